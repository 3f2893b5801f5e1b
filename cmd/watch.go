package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
	"agentvault/tui"
)

// interrupt is what ^C means to a child.
const interrupt = syscall.SIGINT

func executable() (string, error) { return os.Executable() }

func newWatchCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Usage:     "show a running session in this terminal",
		ArgsUsage: "[SESSION]",
		Description: `SESSION is an id as "agentvault log --sessions" shows it, or the beginning of its last
part. Without one the only running session is shown. Where standard output is no terminal, each call is one
line of text.`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "close", Usage: "end with the session, instead of staying to be read"}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("agentvault watch SESSION", "watch: too many arguments")
			}
			return watch(c.Context, env, c.Args().First(), c.Bool("close"))
		},
	}
}

func watch(ctx context.Context, env Env, id string, shut bool) error {
	w, err := openFeed(env, id)
	if err != nil {
		return err
	}
	defer w.close()
	var backlog []event.Event
	for e, err := range event.ReadLog(w.Log) {
		if err == nil {
			backlog = append(backlog, e)
		}
	}
	if !env.interactive() {
		return watchLines(env, backlog, w.events)
	}
	var events <-chan event.Event = w.events
	if shut {
		ctx, events = untilEnd(ctx, events)
	}
	err = tui.RunInspector(ctx, tui.Config{
		Events: events, Dropped: w.dropped.Load, Backlog: backlog, Title: title(strings.Fields(w.Command)), In: env.Stdin, Out: env.Stdout,
		Template: discover.Template, Env: env.get, Now: env.Now, Cover: wouldCover, Head: w.head, Services: w.standing,
	})
	if value, stack := panicked(err); stack != nil {
		return &panicError{value, stack}
	}
	return err
}

// untilEnd hands events on and ends the context after the last one.
func untilEnd(ctx context.Context, events <-chan event.Event) (context.Context, <-chan event.Event) {
	ctx, cancel := context.WithCancel(ctx)
	handed := make(chan event.Event)
	go func() {
		defer cancel()
		for e := range events {
			select {
			case handed <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, handed
}

// wouldCover is the TOML for a call of a session whose configuration is not at hand: what
// the call's event says of its service has to do.
func wouldCover(c tui.Call) string {
	e := c.Event
	e.Phase, e.Verdict = event.End, event.Uncovered
	suggestions := discover.Suggest(discover.Endpoints([]event.Event{e}), knowledge(nil))
	if len(suggestions) != 1 {
		return ""
	}
	if s := suggestions[0]; s.Extend {
		return wider(s.Name, s.Allow)
	}
	return suggestions[0].TOML()
}

// watchLines prints each call once, when it has ended. The log and the feed overlap.
func watchLines(env Env, backlog []event.Event, events <-chan event.Event) error {
	print := func(e event.Event) error {
		if e.Phase == event.Note && e.State != "" {
			_, err := fmt.Fprintf(env.Stdout, "%-9s %s\n", e.State, printable(e.Reason))
			return err
		}
		if e.Phase != event.End {
			return nil
		}
		_, err := fmt.Fprintln(env.Stdout, describe(e))
		return err
	}
	seen := make(map[uint64]bool)
	for _, e := range backlog {
		if e.Phase == event.End {
			seen[e.Call] = true
		}
		if err := print(e); err != nil {
			return err
		}
	}
	for e := range events {
		if e.Phase == event.End && seen[e.Call] {
			continue
		}
		if err := print(e); err != nil {
			return err
		}
	}
	return nil
}

// describe is a call in one line.
func describe(e event.Event) string {
	host := e.Host
	if e.Port != 0 && e.Port != 443 {
		host = fmt.Sprintf("%s:%d", host, e.Port)
	}
	text := fmt.Sprintf("%-9s %-6s %s%s", e.Verdict, e.Method, host, e.WithOperation(e.Path))
	if e.Status != 0 {
		text += fmt.Sprintf("  %d", e.Status)
	}
	if e.Service != "" {
		text += "  " + e.Service
	}
	if e.Reason != "" {
		text += "  (" + e.Reason + ")"
	}
	return printable(text)
}
