package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
)

// statusUncovered is the exit status of --fail-uncovered.
const statusUncovered = status(1)

type discoverOptions struct {
	json, write, failUncovered bool
	config                     string
}

func newDiscoverCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "discover",
		Usage:     "list the endpoints that a session called, and the configuration that covers them",
		ArgsUsage: "-- COMMAND [ARG...]",
		Description: `Runs COMMAND like run does, but lets everything pass and hands the environment's own
credentials on, so that they are seen being used. With --from it reads the log of a
session that has ended, or of the newest one ("last").`,
		Flags: append(sessionFlags(env),
			&cli.StringSliceFlag{Name: "from", Usage: "report on this `SESSION` instead of running one; may be repeated"},
			&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
			&cli.BoolFlag{Name: "write", Usage: "add the services that are missing to agentvault.toml"},
			&cli.BoolFlag{Name: "fail-uncovered", Usage: "exit with 1 if any endpoint is uncovered"},
		),
		Action: func(c *cli.Context) error {
			o := discoverOptions{c.Bool("json"), c.Bool("write"), c.Bool("fail-uncovered"), c.String("config")}
			if from := c.StringSlice("from"); len(from) > 0 {
				if c.NArg() > 0 {
					return usagef("", "discover: either --from or a command, not both")
				}
				return discoverFrom(env, from, o)
			}
			s, err := sessionFlagValues(env, c)
			if err != nil {
				return err
			}
			return discoverRun(c.Context, env, s, o)
		},
	}
}

func discoverRun(ctx context.Context, env Env, s sessionOptions, o discoverOptions) error {
	s.observe = true
	return run(ctx, env, s, func(l *live) error {
		l.mu.Lock()
		endpoints, over := l.summary.Endpoints()
		l.mu.Unlock()
		return discoverReport(env, endpoints, over, shortID(l.id), o)
	})
}

func discoverFrom(env Env, sessions []string, o discoverOptions) error {
	var folder discover.Folder
	name := sessions[0]
	for _, s := range sessions {
		path, err := findLog(env, s)
		if err != nil {
			return err
		}
		name = shortID(strings.TrimSuffix(filepath.Base(path), ".jsonl"))
		for e, err := range event.ReadLog(path) {
			if err != nil {
				if !errors.Is(err, event.ErrTorn) {
					fmt.Fprintf(env.Stderr, "agentvault: %s\n", printable(err.Error()))
				}
				continue
			}
			folder.Add(&e)
		}
	}
	if len(sessions) > 1 {
		name = ""
	}
	return discoverReport(env, folder.Endpoints(), folder.Over(), name, o)
}

func discoverReport(env Env, endpoints []discover.Endpoint, over int, session string, o discoverOptions) error {
	options := discover.Options{Session: session, Known: known, Over: over}
	if isTerminal(env.Stdout) {
		options.Width, options.Color = width(env.Stdout), env.color(env.Stdout)
	}
	suggestions := discover.Suggest(endpoints, known)
	switch {
	case o.json:
		if err := discover.JSON(env.Stdout, endpoints, options); err != nil {
			return err
		}
	default:
		if o.write {
			options.Session = "" // what it would tell to type is being done
		}
		if err := discover.Report(env.Stdout, endpoints, options); err != nil {
			return err
		}
		if !o.write {
			printTOML(env, suggestions)
		}
	}
	if o.write {
		if err := writeServices(env, suggestions, o.config); err != nil {
			return err
		}
	}
	if c := discover.CoverageOf(endpoints); o.failUncovered && c.Covered < c.Endpoints {
		return statusUncovered
	}
	return nil
}

// known is the catalogue as discover asks it.
func known(host string, port int) (string, bool) {
	e, ok := config.ForHost(host, port)
	if !ok {
		return "", false
	}
	s, err := config.Suggest(host, port, "", nil)
	return e.Name, err == nil && len(s.Hosts) == 0
}

func printTOML(env Env, suggestions []discover.Suggestion) {
	for _, s := range suggestions {
		fmt.Fprintf(env.Stdout, "\n%s", s.TOML())
	}
}

// writeServices adds what is missing to the project's file, or to the one that was
// named. What a service that is there lacks is said, and left to the human's hand.
func writeServices(env Env, suggestions []discover.Suggestion, path string) error {
	if path == "" {
		path = filepath.Join(env.Dir, config.FileName)
	}
	var text strings.Builder
	for _, s := range suggestions {
		if s.Extend {
			fmt.Fprint(env.Stderr, printableLines(s.TOML()))
			continue
		}
		fmt.Fprintf(&text, "\n%s", s.TOML())
	}
	if text.Len() == 0 {
		return nil
	}
	w, err := addServices(env, path, strings.TrimPrefix(text.String(), "\n"))
	if err != nil {
		return err
	}
	word := "added to"
	if w.created {
		word = "wrote"
	}
	fmt.Fprintf(env.Stderr, "agentvault: %s %s\n", word, printable(path))
	return nil
}

func printableLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
