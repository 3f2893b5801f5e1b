package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
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
		Description: `SESSION is the id that run shows at its end, or the beginning of it. Without one the
only running session is shown. Where standard output is no terminal, each call is one
line of text.`,
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("agentvault watch SESSION", "watch: too many arguments")
			}
			return watch(c.Context, env, c.Args().First())
		},
	}
}

func watch(ctx context.Context, env Env, id string) error {
	conn, r, h, err := openFeed(env, id)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var backlog []event.Event
	for e, err := range event.ReadLog(h.Log) {
		if err == nil {
			backlog = append(backlog, e)
		}
	}
	events := feedEvents(r)
	if !env.interactive() {
		return watchLines(env, backlog, events)
	}
	return tui.RunInspector(ctx, tui.Config{
		Events: events, Backlog: backlog, Title: title(strings.Fields(h.Command)), In: env.Stdin, Out: env.Stdout,
		Template: discover.Template, Env: env.get,
		Cover: func(c tui.Call) string {
			s, err := config.Suggest(c.Host, c.Port, c.Auth, nil)
			if err != nil {
				return ""
			}
			s.Allow, _ = parseOps(c.Method + " " + discover.Template(c.Host, c.Path))
			return config.ServiceTOML(s)
		},
	})
}

// watchLines prints each call once, when it has ended. The log and the feed overlap.
func watchLines(env Env, backlog []event.Event, events <-chan event.Event) error {
	print := func(e event.Event) error {
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
	text := fmt.Sprintf("%-9s %-6s %s%s", e.Verdict, e.Method, host, e.Path)
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
