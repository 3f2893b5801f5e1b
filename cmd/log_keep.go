package cmd

import (
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/auditlog"
	"agentvault/proxy/event"
)

// openLog begins the session's log, and has the ledger know of it.
func (l *live) openLog(o sessionOptions) (err error) {
	dir, path := l.env.stateDir(), o.logPath
	switch {
	case path != "":
		if l.log, err = event.CreateLog(path); err != nil {
			return &configError{withHint(fmt.Errorf("--log %s: %w", path, unwrapPath(err)), "name a file that is not there yet, in a folder that is")}
		}
	case dir == "":
		return checkLogFolder(l.env)
	default:
		if l.log, err = event.OpenLog(l.env.sessionsDir(), l.id); err != nil {
			return withHint(err, "make the folder writable, or have the log elsewhere: --log FILE")
		}
	}
	if k := l.compiled.Keeping; k.PartMiB > 0 {
		l.log.SetPart(k.PartMiB<<20, l.partFull)
	} else {
		l.log.SetPart(event.PartSize, l.partFull)
	}
	var ledger *auditlog.Ledger
	if dir != "" && !o.fleeting && os.MkdirAll(l.env.sessionsDir(), 0o700) == nil {
		ledger = auditlog.NewLedger(l.env.sessionsDir())
	}
	l.enter(ledger, auditlog.Entry{What: auditlog.Opened, Elsewhere: path != ""})
	l.onClose(func() { l.closeLog(ledger) })
	l.logOpened()
	return nil
}

// closeLog ends the log and tells the ledger how.
func (l *live) closeLog(ledger *auditlog.Ledger) {
	if l.log.Close() != nil {
		return // then it was not closed in order, and verify says so
	}
	e := auditlog.Entry{What: auditlog.Closed}
	e.Head, e.Lines = l.log.Head()
	l.enter(ledger, e)
}

// enter writes a line of the ledger. What cannot be written is said, and no reason not to start.
func (l *live) enter(ledger *auditlog.Ledger, e auditlog.Entry) {
	if ledger == nil {
		return
	}
	e.Session, e.Time = l.id, time.Now().UTC()
	if err := ledger.Append(e); err != nil {
		l.notice("%v; agentvault log verify will say that it does not have this session", err)
	}
}

// partFull removes what is beyond what the user wants kept, now that it has grown. The log
// does not wait for it.
func (l *live) partFull() { l.background(l.pruneLogs) }

// pruneLogs removes what the user's own file does not want kept. What cannot be removed is
// said, and no reason not to start.
func (l *live) pruneLogs() {
	k := l.compiled.Keeping
	if k.Age == 0 && k.MiB == 0 || l.env.stateDir() == "" {
		return
	}
	now := time.Now()
	p := pruner(l.env, now)
	p.Bytes = k.MiB << 20
	if k.Age > 0 {
		p.Before = now.Add(-k.Age)
	}
	own := p.Running
	p.Running = func(s auditlog.Session) bool { return s.ID == l.id || own(s) }
	sessions, err := auditlog.Sessions(l.env.sessionsDir())
	if err == nil {
		_, err = p.Sessions(sessions, now)
	}
	if err != nil {
		l.notice("%v", err)
	}
}

// pruner knows what runs: a session that can be reached, and for a day one that cannot and that
// nobody has closed.
func pruner(env Env, now time.Time) auditlog.Prune {
	const grace = 24 * time.Hour
	return auditlog.Prune{Ledger: auditlog.NewLedger(env.sessionsDir()), Running: func(s auditlog.Session) bool {
		return !s.Closed && (now.Sub(s.Modified) < grace || isRunning(env, s.ID))
	}}
}

func pruneLog(env Env, c *cli.Context) error {
	if err := noWords(c); err != nil {
		return err
	}
	now := time.Now()
	p := pruner(env, now)
	if text := c.String("older-than"); text != "" {
		d, err := days(text)
		if err != nil {
			return usagef("", "--older-than %q: %v", text, err)
		}
		p.Before = now.Add(-d)
	}
	p.Bytes = c.Int64("keep-mib") << 20
	if p.Before.IsZero() && p.Bytes == 0 {
		return usagef("agentvault log prune --older-than 30d", "log prune: say what goes: --older-than or --keep-mib")
	}
	sessions, err := allSessions(env)
	if err != nil {
		return err
	}
	p.DryRun = c.Bool("dry-run")
	gone, err := p.Sessions(sessions, now)
	if p.DryRun && err == nil {
		return auditlog.ListGone(env.Stdout, gone, logOptions(env))
	}
	whole, parts := 0, 0
	for _, g := range gone {
		if g.Whole {
			whole++
		} else {
			parts += g.Parts
		}
	}
	more := ""
	if parts > 0 {
		more = fmt.Sprintf(", and %s of others", count(parts, "part"))
	}
	fmt.Fprintf(env.Stderr, "agentvault: removed %d of %d logs%s\n", whole, len(sessions), more)
	return err
}
