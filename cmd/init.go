package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
)

// initOptions are the flags of `init`.
type initOptions struct {
	catalogue []string
	yes       bool
	config    string
}

func newInitCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "write an agentvault.toml for the services that this machine has credentials for",
		Description: `Looks at names alone: variables that are set, .env files, the files of known tools,
agents on PATH. No value is read into the file. On a terminal it asks about each
service. A file that is there is never touched.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "from-catalogue", Usage: "write this service of the catalogue instead of looking, `NAME`; may be repeated"},
			&cli.BoolFlag{Name: "yes", Usage: "take every service without asking"},
			&cli.StringFlag{Name: "config", Usage: "write this `FILE` instead of agentvault.toml in the working directory"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("agentvault init --from-catalogue NAME", "init: unexpected argument %q", c.Args().First())
			}
			return initialise(env, initOptions{catalogue: c.StringSlice("from-catalogue"), yes: c.Bool("yes"), config: c.String("config")})
		},
	}
}

func initialise(env Env, o initOptions) error {
	path := o.config
	if path == "" {
		path = filepath.Join(env.Dir, config.FileName)
	}
	if _, err := os.Lstat(path); err == nil {
		return &configError{withHint(fmt.Errorf("%s: is there already, and is not overwritten", path),
			"to add a service: agentvault services NAME prints its lines; agentvault discover --write -- AGENT adds what an agent called\nto start anew elsewhere: agentvault init --config FILE")}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return &configError{fmt.Errorf("%s: %w", path, unwrapPath(err))}
	}
	found, err := lookAround(env, o.catalogue)
	if err != nil {
		return err
	}
	for _, n := range found.Notes {
		fmt.Fprintf(env.Stderr, "agentvault: %s; it was left out\n", printable(n))
	}
	draft := draftConfig(found)
	if err := draft.choose(env, o.yes); err != nil {
		return err
	}
	if err := draft.settle(); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if err := config.AddService(path, draft.text()); err != nil {
		return &configError{err}
	}
	if err := trustOwn(env, path); err != nil {
		return err
	}
	draft.report(env, path, found)
	return nil
}

// lookAround is what the machine has, or what the flags name.
func lookAround(env Env, names []string) (scan.Found, error) {
	if len(names) == 0 {
		return scan.Scan(scan.Machine{Home: env.home(), Dir: env.Dir, Environ: env.Environ, LookPath: exec.LookPath}, config.Catalogue()), nil
	}
	var found scan.Found
	seen := map[string]bool{}
	for _, name := range names {
		if _, ok := config.Lookup(name); !ok {
			return found, usagef("agentvault services", "init: the catalogue has no %q", name)
		}
		if !seen[name] {
			seen[name] = true
			found.Services = append(found.Services, scan.Service{Name: name, Why: []string{"from the catalogue"}})
		}
	}
	return found, nil
}

// trustOwn approves the file that the human has just had written.
func trustOwn(env Env, path string) error {
	content, err := os.ReadFile(path)
	if err != nil || env.stateDir() == "" {
		return err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return config.NewTrust(env.stateDir()).Approve(full, content)
}

// choose asks about each service where there is somebody to ask.
func (d *draft) choose(env Env, yes bool) error {
	if yes || len(d.services) == 0 || !isTerminal(env.Stdin) {
		return nil
	}
	tty, err := openTerminal()
	if err != nil {
		return nil // nobody there: all of them, as without a terminal
	}
	defer func() { _ = tty.Close() }()
	var taken []draftService
	for _, s := range d.services {
		question, standard := fmt.Sprintf("agentvault: %s (%s)? [Y/n] ", s.name, s.reason()), "y"
		if s.maybe {
			question, standard = fmt.Sprintf("agentvault: %s (%s; say n if it is logged in without a key)? [y/N] ", s.name, s.reason()), "n"
		}
		answer, err := ask(tty, printable(question))
		if err != nil {
			return err
		}
		if answer == "" {
			answer = standard
		}
		if answer == "y" || answer == "yes" {
			s.maybe = false
			taken = append(taken, s)
		}
	}
	d.services = taken
	return nil
}

// report says what to do next.
func (d *draft) report(env Env, path string, found scan.Found) {
	live := d.live()
	fmt.Fprintf(env.Stderr, "agentvault: wrote %s: %s\n", printable(path), orNone(live))
	for _, s := range d.services {
		if s.why != "" {
			fmt.Fprintf(env.Stderr, "agentvault: %s is in it as a comment: %s\n", s.name, printable(s.why))
		}
	}
	fmt.Fprintln(env.Stdout, "next:")
	step := func(command, note string) {
		if note != "" {
			note = "   # " + note
		}
		fmt.Fprintln(env.Stdout, printable("  "+command+note))
	}
	if len(live) > 0 {
		for _, file := range found.Dotenv {
			step("agentvault secret import "+file, "stores the keys that it has, or one by one:")
		}
		if anySet(found) {
			step("agentvault secret import --from-env", "stores the keys that are set, or one by one:")
		}
		for _, name := range live {
			step("agentvault secret set "+name, "")
		}
	}
	agent := "AGENT"
	if len(found.Agents) > 0 {
		agent = found.Agents[0].Program
	}
	if len(live) == 0 {
		step("agentvault discover -- "+agent, "shows what it calls, and the lines that would cover it")
		return
	}
	step("agentvault test", "sends a request with each and checks what was used")
	step("agentvault run -- "+agent, "")
}

func anySet(found scan.Found) bool {
	for _, s := range found.Services {
		if s.Set {
			return true
		}
	}
	return false
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "no service yet"
	}
	return strings.Join(names, ", ")
}
