package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/session"
	"agentvault/keyring/keychain"
	"agentvault/tui/margin"
)

func newDoctorCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what works on this machine and what does not",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "reset-terminal", Usage: "repair this terminal after agentvault was killed"}},
		Action: func(c *cli.Context) error {
			if err := noWords(c); err != nil {
				return err
			}
			if c.Bool("reset-terminal") {
				return resetTerminal()
			}
			return doctor(c.Context, env)
		},
	}
}

func resetTerminal() error {
	tty, err := openTerminal()
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer func() { _ = tty.Close() }()
	return margin.Reset(tty)
}

// doctor looks at what a session needs, and has each runtime that is installed make a
// call through one. A finding is a line; what stops a session is an error as well.
func doctor(ctx context.Context, env Env) error {
	var failed error
	line := func(what string, err error, good string) {
		if err == nil {
			fmt.Fprintf(env.Stdout, "● %-15s %s\n", what, printable(good))
			return
		}
		fmt.Fprintf(env.Stdout, "⚠ %-15s %s\n", what, printable(err.Error()))
		var h interface{ Hint() string }
		if errors.As(err, &h) && h.Hint() != "" {
			fmt.Fprintf(env.Stdout, "  %-15s %s\n", "", printable(h.Hint()))
		}
	}
	bounded, cancel := context.WithTimeout(ctx, keychainTime)
	line("keychain", keychain.Available(bounded), "can be used")
	cancel()
	stores := newStores(env, noFD, func(string, ...any) {})
	if err := stores.homeless(); err != nil {
		line("secret file", err, "")
	} else if _, err := os.Stat(stores.dir()); err == nil {
		line("secret file", nil, stores.dir())
	} else {
		line("secret file", nil, "not used yet; it would be "+stores.dir())
	}
	if err := canLog(env); err != nil {
		line("audit log", err, "")
		failed = status(statusFailed)
	} else {
		line("audit log", nil, env.sessionsDir())
	}
	if removed := session.Sweep(""); len(removed) > 0 {
		livingFeeds(env)
		line("leftovers", nil, fmt.Sprintf("removed the folders of %d sessions that were killed", len(removed)))
	}
	tellUnreturned(env, func(format string, args ...any) { line("leases", fmt.Errorf(format, args...), "") })
	parent, err := parentUpstream(env)
	switch {
	case err != nil:
		line("way out", err, "")
		failed = status(statusFailed)
	case parent.Proxy != nil:
		line("way out", nil, "through the proxy that the environment names")
	default:
		line("way out", nil, "direct")
	}
	c, err := loadConfig(env, "", nil)
	if err != nil {
		line("configuration", err, "")
		failed = status(statusUsage)
	} else {
		line("configuration", nil, "agentvault check shows it")
	}
	if barWorks {
		line("live view", nil, "under the agent (bar, dock), in a panel, or with agentvault watch")
	} else {
		line("live view", nil, "in a panel, or with agentvault watch")
	}
	if p, ok := findPresser(env); ok && c != nil && asks(c) {
		line("questions", withHint(errors.New(p.String()), presserHint), "")
	}
	found, err := tryRuntimes(ctx, env)
	if err != nil {
		return fmt.Errorf("runtimes: %w", err)
	}
	for _, f := range found {
		line(f.name, f.err, "its call arrived with the credential")
	}
	return failed
}

// canLog says why a session could not keep its log. It makes the folder, as a session would.
func canLog(env Env) error {
	if err := checkLogFolder(env); err != nil {
		return err
	}
	if err := os.MkdirAll(env.sessionsDir(), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(env.sessionsDir(), ".doctor-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
