package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/auditlog"
	"agentvault/proxy/event"
)

// How often a followed log is looked at; a human does not see a fifth of a second.
const followEvery = 200 * time.Millisecond

// statusBroken is the exit status of `log verify` for a log that was changed.
const statusBroken = status(1)

func newLogCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "ask the audit log",
		ArgsUsage: "[SESSION] [FILTER...]",
		Description: `SESSION is an id or the part of it that run showed; without one it is the newest session.
A FILTER is what the inspector takes: host:NAME status:4xx verdict:uncovered method:delete
service:NAME path:TEXT endpoint:TEMPLATE op:NAME client: auth: secret:REF label:live asked:yes
session: code: scheme: state: call:, or a word that any of them holds. Several of one kind
mean "or", - or ! before one turns it around, * stands for anything, none for no value.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "every session"},
			&cli.StringFlag{Name: "since", Usage: "the calls of the last `TIME` (90m, 24h, 7d)"},
			&cli.StringFlag{Name: "by", Usage: "count by `NAME[,NAME]`: endpoint, host, service, secret, resource, session, status, verdict, method, client, label, op"},
			&cli.BoolFlag{Name: "json", Usage: "the chosen lines as they are (JSON lines)"},
			&cli.BoolFlag{Name: "csv", Usage: "as CSV"},
			&cli.BoolFlag{Name: "har", Usage: "as HAR 1.2, without headers' values, queries and bodies"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on while the session runs"},
			&cli.BoolFlag{Name: "sessions", Usage: "list the sessions"},
		},
		Action: func(c *cli.Context) error { return showLog(c.Context, env, c) },
		Subcommands: []*cli.Command{
			{
				Name: "verify", Usage: "say whether any line was changed or removed", ArgsUsage: "[SESSION]",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "every session"}},
				Action: func(c *cli.Context) error { return verifyLog(env, c) },
			},
			{
				Name: "prune", Usage: "remove old logs",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "older-than", Usage: "remove what ended longer than `TIME` ago (30d)"},
					&cli.Int64Flag{Name: "keep-mib", Usage: "keep the newest logs up to this many `MIB` in all"},
					&cli.BoolFlag{Name: "dry-run", Usage: "show what would be removed"},
				},
				Action: func(c *cli.Context) error { return pruneLog(env, c) },
			},
		},
	}
}

func logOptions(env Env) auditlog.Options {
	o := auditlog.Options{}
	if isTerminal(env.Stdout) {
		o.Width, o.Color = width(env.Stdout), env.color(env.Stdout)
	}
	return o
}

func allSessions(env Env) ([]auditlog.Session, error) {
	if err := checkLogFolder(env); err != nil {
		return nil, err
	}
	return auditlog.Sessions(env.sessionsDir())
}

// checkLogFolder refuses a folder that would be one of the working directory.
func checkLogFolder(env Env) error {
	if env.stateDir() != "" {
		return nil
	}
	return withHint(errors.New("log: no folder for it: HOME is not set"), "set HOME or XDG_STATE_HOME to an absolute path; a session's log may go elsewhere: --log FILE")
}

// findLog is the log of a session, or that in a file where a path was given.
func findLog(env Env, name string) (s auditlog.Session, isFile bool, err error) {
	if strings.ContainsRune(name, os.PathSeparator) || strings.HasSuffix(name, ".jsonl") {
		s, err = auditlog.File(name)
		return s, true, err
	}
	sessions, err := allSessions(env)
	if err != nil {
		return s, false, err
	}
	if s, err = auditlog.Find(sessions, name); err != nil {
		return s, false, &configError{err}
	}
	return s, false, nil
}

// logSessions chooses the sessions. The first word is one if it names one; else it is
// the beginning of the filter.
func logSessions(env Env, c *cli.Context) (chosen []auditlog.Session, filter []string, err error) {
	sessions, err := allSessions(env)
	if err != nil {
		return nil, nil, err
	}
	words := c.Args().Slice()
	switch {
	case c.Bool("all"):
		return sessions, words, nil
	case c.String("since") != "":
		d, err := days(c.String("since"))
		if err != nil {
			return nil, nil, usagef("", "--since %q: %v", c.String("since"), err)
		}
		return auditlog.Since(sessions, time.Now().Add(-d)), words, nil
	case len(words) > 0 && strings.HasSuffix(words[0], ".jsonl"):
		s, err := auditlog.File(words[0])
		return []auditlog.Session{s}, words[1:], err
	case len(words) > 0 && !strings.Contains(words[0], ":"):
		s, err := auditlog.Find(sessions, words[0])
		if err != nil {
			return nil, nil, &configError{err}
		}
		return []auditlog.Session{s}, words[1:], nil
	}
	s, err := auditlog.Find(sessions, "last")
	if err != nil {
		return nil, nil, withHint(&configError{err}, "agentvault demo makes one")
	}
	return []auditlog.Session{s}, words, nil
}

// days is a duration in Go's form, or a number of days.
func days(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if v, err := strconv.ParseUint(n, 10, 16); err == nil {
			return time.Duration(v) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("not a time (such as 90m, 24h or 7d)")
	}
	return d, nil
}

func showLog(ctx context.Context, env Env, c *cli.Context) error {
	if c.Bool("sessions") {
		sessions, err := allSessions(env)
		if err != nil {
			return err
		}
		return auditlog.List(env.Stdout, sessions, logOptions(env))
	}
	sessions, words, err := logSessions(env, c)
	if err != nil {
		return err
	}
	filter, err := auditlog.ParseFilter(words)
	if err != nil {
		return usagef("agentvault log --help", "%v", err)
	}
	if c.Bool("follow") {
		return followLog(ctx, env, sessions, filter, c.Bool("json"))
	}
	q := auditlog.Query{Sessions: sessions, Filter: filter}
	if d, err := days(c.String("since")); err == nil { // it was checked with the sessions
		q.Since = time.Now().Add(-d)
	}
	return writeLog(env, c, q)
}

func writeLog(env Env, c *cli.Context, q auditlog.Query) error {
	var stats auditlog.Stats
	var err error
	switch {
	case c.String("by") != "":
		g, gerr := auditlog.NewGrouping(c.String("by"))
		if gerr != nil {
			return usagef("", "--by: %v", gerr)
		}
		if stats, err = q.Each(g.Add); err != nil {
			return err
		}
		if c.Bool("json") {
			err = g.JSON(env.Stdout)
		} else {
			err = g.Table(env.Stdout, logOptions(env))
		}
	case c.Bool("json"):
		stats, err = auditlog.JSON(env.Stdout, q)
	case c.Bool("csv"):
		stats, err = auditlog.CSV(env.Stdout, q)
	case c.Bool("har"):
		stats, err = auditlog.HAR(env.Stdout, q, version())
	default:
		stats, err = auditlog.Table(env.Stdout, q, logOptions(env))
	}
	tellGaps(env, stats)
	return err
}

// tellGaps says what of the logs could not be read.
func tellGaps(env Env, stats auditlog.Stats) {
	if stats.Bad > 0 || stats.Lost > 0 {
		fmt.Fprintf(env.Stderr, "agentvault: %d lines could not be read, %d events were never written; agentvault log verify says more\n", stats.Bad, stats.Lost)
	}
}

func followLog(ctx context.Context, env Env, sessions []auditlog.Session, filter *auditlog.Filter, raw bool) error {
	if len(sessions) != 1 {
		return usagef("agentvault log -f SESSION", "log: one session can be followed at a time")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	id := sessions[0].ID
	f := auditlog.Following{Session: sessions[0], Filter: filter, Interval: followEvery, Running: func() bool { return isRunning(env, id) }}
	err := f.Follow(ctx, func(e *event.Event, line []byte) error {
		text := describe(*e)
		if raw {
			text = string(line)
		}
		_, err := fmt.Fprintln(env.Stdout, text)
		return err
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func verifyLog(env Env, c *cli.Context) error {
	sessions, words, err := logSessions(env, c)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usagef("", "log verify: too many arguments")
	}
	running := func(id string) bool { return isRunning(env, id) }
	whole, err := auditlog.Verify(env.Stdout, sessions, auditlog.NewLedger(env.sessionsDir()), c.Bool("all"), running, logOptions(env))
	if err == nil && !whole {
		return statusBroken
	}
	return err
}
