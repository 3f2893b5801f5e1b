package cmd

import (
	"cmp"
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
			return found, usagef(cmp.Or(config.DidYouMean(name, catalogueNames()), "agentvault services"), "init: the catalogue has no %q", name)
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

// choose asks about each service where there is somebody to ask, and then for others.
func (d *draft) choose(env Env, yes bool) error {
	if yes || !isTerminal(env.Stdin) {
		return nil
	}
	tty, err := openTerminal()
	if err != nil {
		return nil // nobody there: all of them, as without a terminal
	}
	defer func() { _ = tty.Close() }()
	asking, err := newDialog(tty)
	if err != nil {
		return err
	}
	defer asking.end()
	if len(d.services) == 0 {
		asking.say("agentvault: no credential was found in the variables that are set, in .env\nfiles here, or where known tools keep theirs. (Values are never read.)")
	}
	var taken []draftService
	for _, s := range d.services {
		question, standard := fmt.Sprintf("agentvault: %s (%s)? [Y/n] ", s.name, s.reason()), "y"
		if s.maybe {
			asking.say("agentvault: %s; say n if it is logged in without an API key", printable(s.reason()))
			question, standard = fmt.Sprintf("agentvault: %s? [y/N] ", s.name), "n"
		}
		answer, err := asking.ask(printable(question))
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
	return d.more(asking)
}

// more takes further services by name until the answer is empty.
func (d *draft) more(asking *dialog) error {
	for {
		answer, err := asking.ask("agentvault: which others does the agent need? (names, or Enter) ")
		words := strings.FieldsFunc(answer, func(c rune) bool { return c == ' ' || c == ',' })
		if err != nil || len(words) == 0 {
			return err
		}
		for _, w := range words {
			e, ok := config.Lookup(w)
			switch {
			case ok && d.has(e.Name):
			case ok:
				d.add(e, "asked for", false)
				asking.say("agentvault: %s (%s) is in", e.Name, e.Title)
			default:
				asking.say("agentvault: no %q%s", printable(w), meant(w))
			}
		}
	}
}

// meant names services that a word could mean.
func meant(word string) string {
	var names []string
	for _, e := range config.Catalogue() {
		if (servicesOptions{words: []string{word}}).matches(e) {
			names = append(names, e.Name)
		}
	}
	switch n := len(names); {
	case n == 0:
		return " in the catalogue; agentvault services lists it"
	case n > 6:
		return fmt.Sprintf("; %d services have the word, such as %s", n, strings.Join(names[:6], ", "))
	}
	return "; did you mean " + strings.Join(names, ", ") + "?"
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
	for _, st := range d.steps(found, live) {
		fmt.Fprintln(env.Stdout, printable(strings.TrimRight(fmt.Sprintf("  %-38s %s", st.command, st.note), " ")))
	}
}

// step is a command to type next, and what it is for.
type step struct{ command, note string }

func (d *draft) steps(found scan.Found, live []string) []step {
	agent := "AGENT"
	if len(found.Agents) > 0 {
		agent = found.Agents[0].Program
	}
	if len(live) == 0 {
		return []step{{"agentvault discover -- " + agent, "shows what it calls and what covers it"}}
	}
	var steps []step
	for _, file := range found.Dotenv {
		steps = append(steps, step{"agentvault secret import " + file, "stores the keys that stand there"})
	}
	if anySet(found) {
		steps = append(steps, step{"agentvault secret import --from-env", "stores the keys that are set"})
	}
	for _, name := range live {
		steps = append(steps, step{"agentvault secret set " + name, "asks for the key"})
	}
	return append(steps,
		step{"agentvault test", "one request with each: which was used?"},
		step{"agentvault run -- " + agent, "starts the agent"})
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
