package cmd

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/check"
	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// statusFindings is the exit status of check --strict where there are warnings.
const statusFindings = status(1)

type checkOptions struct {
	config       string
	json, strict bool
}

func newCheckCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "say what the configuration means, and what is wrong with it, without starting anything",
		Description: `Warnings are about what loads and hardly does what was meant: rules that never match,
services that are never reached, secrets that may go further than they need.
Exit status: 0, 2 after errors, and with --strict 1 after warnings.

--json prints one object:
  ok         true without errors (with --strict: and without warnings)
  files      [{path, kind: user|project|named, approved}]
  unmatched  the policy; "" where the configuration does not load
  services   [{name, file, line, hosts, auth, always, search, secret,
             variables, allow, deny, ask}]
  findings   [{file, line, col, severity: error|warning|info, code, text, hint}]
Codes stay as they are; texts may change.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "check this `FILE` instead of the project's agentvault.toml"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.BoolFlag{Name: "strict", Usage: "warnings fail, too: exit status 1"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("agentvault check --config FILE", "check: unexpected argument %q", c.Args().First())
			}
			return runCheck(c.Context, env, checkOptions{c.String("config"), c.Bool("json"), c.Bool("strict")})
		},
	}
}

func runCheck(ctx context.Context, env Env, o checkOptions) error {
	v, err := viewConfig(env, o.config)
	if err != nil {
		if !o.json {
			return &configError{err}
		}
		if err := check.NewReport(nil, nil, check.LoadError(err), o.strict).JSON(env.Stdout); err != nil {
			return err
		}
		return status(statusUsage)
	}
	looked := check.Options{File: v.file, Compiled: v.compiled, Bindings: storedBindings(ctx, env, v.compiled.Refs), Row: config.NewTrust(env.stateDir()).Row}
	if p, ok := findPresser(env); ok {
		looked.Keys, looked.KeysHint = p.String(), presserHint
	}
	findings := check.Run(looked)
	report := check.NewReport(v.compiled, v.files, findings, o.strict)
	if o.json {
		err = report.JSON(env.Stdout)
	} else {
		v.tellUnapproved(env)
		err = report.Text(env.Stdout, printable)
	}
	if err == nil && !report.OK {
		err = statusFindings
	}
	return err
}

// viewedConfig is a configuration that is looked at, not used: nothing of it is asked of
// the human.
type viewedConfig struct {
	file     *config.File
	compiled *config.Compiled
	files    []check.File
}

func viewConfig(env Env, path string) (*viewedConfig, error) {
	f, err := config.Load(env.configOptions(path))
	if err != nil {
		return nil, err
	}
	c, err := f.Compile()
	if err != nil {
		return nil, err
	}
	v := &viewedConfig{file: f, compiled: c}
	trust := config.NewTrust(env.stateDir())
	for _, src := range f.Sources {
		approved := src.Kind != config.Project || trust.Approved(src.Path, src.Content)
		v.files = append(v.files, check.File{Path: src.Name, Kind: string(src.Kind), Approved: approved})
	}
	return v, nil
}

func (v *viewedConfig) tellUnapproved(env Env) {
	for _, f := range v.files {
		if !f.Approved {
			fmt.Fprintf(env.Stderr, "agentvault: %s is not approved yet: agentvault trust\n", printable(f.Path))
		}
	}
}

// storedBindings reads the lists of the stores that refs name, which hold no values and
// need no passphrase. A store that cannot be listed knows nothing.
func storedBindings(ctx context.Context, env Env, refs []keyring.Ref) func(keyring.Ref) (check.Binding, bool) {
	ctx, cancel := context.WithTimeout(ctx, keychainTime)
	defer cancel()
	s := newStores(env, noFD, func(string, ...any) {})
	lists := map[string][]keyring.Entry{}
	for _, r := range refs {
		if _, done := lists[r.Scheme]; done || !r.Stored() {
			continue
		}
		if entries, err := s.list(ctx, r.Scheme); err == nil {
			lists[r.Scheme] = entries
		}
	}
	return func(r keyring.Ref) (check.Binding, bool) {
		entries, ok := lists[r.Scheme]
		for _, e := range entries {
			if e.Name == r.Name {
				return check.Binding{Stored: true, Hosts: e.Hosts}, true
			}
		}
		return check.Binding{}, ok
	}
}

// list returns what the store of a scheme holds. A locked keychain is an error.
func (s *stores) list(ctx context.Context, scheme string) ([]keyring.Entry, error) {
	if scheme == "file" && s.homeless() == nil {
		return s.file.List(ctx)
	}
	store, err := s.chain(ctx)
	if err != nil {
		return nil, err
	}
	return store.List(ctx)
}
