package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/session"
)

// A child that was asked to end has this long to save its work before it is killed.
const endGrace = 5 * time.Second

var uis = []string{"auto", "bar", "dock", "split", "panel", "off"}

func newRunCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run an agent behind a proxy that holds its credentials",
		ArgsUsage: "-- COMMAND [ARG...]",
		Description: `Starts a proxy for this one session, launches COMMAND with placeholders instead of
keys, and puts the real credential into each request that a service in
agentvault.toml covers. Everything of the session is gone when COMMAND ends, and its
exit status is agentvault's.`,
		Flags: append(sessionFlags(),
			&cli.StringFlag{Name: "unmatched", Usage: "`POLICY` for calls that no service covers: " + strings.Join(config.Policies(), ", ")}),
		Action: func(c *cli.Context) error {
			o, err := sessionFlagValues(env, c)
			if err != nil {
				return err
			}
			return run(c.Context, env, o, nil)
		},
	}
}

// sessionFlags are those that run and discover share.
func sessionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "use this `FILE` instead of the project's agentvault.toml"},
		uiFlag(),
		&cli.StringFlag{Name: "log", Usage: "write the audit log to this new `FILE`"},
		&cli.StringSliceFlag{Name: "pass-env", Usage: "hand the variable `NAME` on although it looks like a credential; * and ? are globs, may be repeated"},
		&cli.BoolFlag{Name: "lazy", Usage: "get a secret at its first use instead of before the start"},
		passphraseFlag(),
	}
}

func passphraseFlag() cli.Flag {
	return &cli.IntFlag{Name: "passphrase-fd", Value: noFD, DefaultText: "ask on the terminal", Usage: "read the passphrase of the encrypted secret file from this file `DESCRIPTOR`"}
}

func sessionFlagValues(env Env, c *cli.Context) (sessionOptions, error) {
	o := sessionOptions{
		configPath: c.String("config"), unmatched: c.String("unmatched"), logPath: c.String("log"), ui: c.String("ui"),
		passEnv: c.StringSlice("pass-env"), lazy: c.Bool("lazy"), passphraseFD: c.Int("passphrase-fd"), trusted: approver(env),
	}
	if o.unmatched != "" && !slices.Contains(config.Policies(), o.unmatched) {
		return o, usagef("", "--unmatched %q: unknown policy (one of: %s)", o.unmatched, strings.Join(config.Policies(), ", "))
	}
	if err := checkUI(o.ui); err != nil {
		return o, err
	}
	argv, err := childArgs(c)
	o.argv = argv
	return o, err
}

func uiFlag() cli.Flag {
	return &cli.StringFlag{Name: "ui", Value: "auto", Usage: "`MODE` of the live view: " + strings.Join(uis, ", ")}
}

func checkUI(ui string) error {
	if !slices.Contains(uis, ui) {
		return usagef("", "--ui %q: unknown view (one of: %s)", ui, strings.Join(uis, ", "))
	}
	return nil
}

// run is one session from beginning to end. after, if any, is called when the child has
// ended and the terminal is ours again; without it the summary is written.
func run(ctx context.Context, env Env, o sessionOptions, after func(*live) error) error {
	if id := env.get("AGENTVAULT_SESSION"); id != "" {
		return withHint(fmt.Errorf("this is inside session %s already: its proxy would be asked for credentials by another", shortID(id)),
			"run the command without agentvault, or from a terminal outside the session")
	}
	show, err := chooseView(env, o.ui)
	if err != nil {
		return err
	}
	return runWith(ctx, env, o, show, after)
}

func runWith(ctx context.Context, env Env, o sessionOptions, show view, after func(*live) error) error {
	// Until the child has them, and again once it has ended, signals only end the start: a
	// process that dies while it clears up leaves something behind.
	starting, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if len(session.Sweep("")) > 0 {
		livingFeeds(env)
		tellUnreturned(env, func(format string, args ...any) {
			fmt.Fprintf(env.Stderr, "agentvault: %s\n", printable(fmt.Sprintf(format, args...)))
		})
	}
	l, err := open(starting, env, o)
	if starting.Err() != nil && ctx.Err() == nil {
		if err == nil {
			l.close()
		}
		return errInterrupted
	}
	if err != nil {
		return err
	}
	defer l.close()
	// On a panic of the view the child must not outlive what it was connected to.
	defer func() {
		if child := l.child.Load(); child != nil {
			child.End(endGrace)
		}
	}()
	environ := l.environ(o)
	l.warnOfPresser()
	code, err := show(ctx, l, environ)
	if p := l.broken.Load(); p != nil {
		return p
	}
	if err != nil {
		return err
	}
	// The summary speaks of a session that has ended: what is still open ends first.
	_ = l.proxy.Finish()
	l.release(after == nil)
	if after != nil {
		if err := after(l); err != nil && code == 0 {
			return err
		} else if err != nil { // the child's own status tells more
			return errors.Join(err, status(code))
		}
	} else {
		l.finish(env.Stderr)
	}
	return status(code)
}
