package cmd

import (
	"context"
	"fmt"
	"strings"

	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
)

// view starts the child, shows the session while it runs, and returns the child's exit
// status.
type view func(ctx context.Context, l *live, environ []string) (code int, err error)

// Events that a view may be behind before it loses some.
const viewBuffer = 8192

// chooseView maps --ui to a view. What was asked for by name and cannot be had is an
// error; auto takes what fits and says nothing.
func chooseView(env Env, ui string) (view, error) {
	terminal := env.interactive()
	needs := func(v view) (view, error) {
		if !terminal {
			return nil, usagef("", "--ui %s needs a terminal on standard input and output", ui)
		}
		return v, nil
	}
	switch ui {
	case "bar":
		return needs(barView(false))
	case "dock":
		return needs(barView(true))
	case "panel":
		return needs(panelView)
	case "split":
		if findSplitter(env) == nil {
			return nil, usagef("start tmux first, or open another terminal and run: agentvault watch", "--ui split needs a terminal that can be asked for a pane (one of: tmux, zellij, kitty, WezTerm, iTerm2)")
		}
		return needs(splitView)
	case "auto":
		if terminal && barWorks {
			return barView(false), nil
		}
	}
	return plainView, nil
}

// canAsk says why the view cannot put a question to the human, "" where it can. The panel
// and a second terminal show the session but have no key that nobody else could press.
func canAsk(env Env, ui string) string {
	switch {
	case ui != "auto" && ui != "bar" && ui != "dock":
		return fmt.Sprintf("--ui %s cannot ask", ui)
	case !barWorks:
		return "the live view cannot ask on this system"
	case !env.interactive():
		return "there is no terminal to ask on"
	}
	return ""
}

// plainView draws nothing. Where standard error is not the terminal that the child
// draws on, an uncovered endpoint is told there when it is first met.
func plainView(ctx context.Context, l *live, environ []string) (int, error) {
	mode := session.Group
	if isTerminal(l.env.Stdin) || isTerminal(l.env.Stdout) || isTerminal(l.env.Stderr) {
		mode = session.Inherit
	}
	if !isTerminal(l.env.Stderr) || !isTerminal(l.env.Stdout) {
		l.warn()
	}
	child, err := l.start(session.Options{Env: environ, Stdin: l.env.Stdin, Stdout: l.env.Stdout, Stderr: l.env.Stderr, Mode: mode})
	if err != nil {
		return 0, err
	}
	return child.Wait(), nil
}

// start starts the session's child, to which signals of ours then go.
func (l *live) start(o session.Options) (*session.Child, error) {
	o.Argv, o.Dir, o.Relay = l.argv, l.env.Dir, endGrace
	child, err := session.Start(o)
	if err != nil {
		return nil, startError(err, o.Argv)
	}
	l.child.Store(child)
	l.owner.Store(session.NewOwner(child.Pid()))
	return child, nil
}

// warn writes a line for each endpoint that is uncovered or refused, the first time, and
// when the place where a secret is kept goes out of reach and comes back.
func (l *live) warn() {
	seen := make(map[string]bool)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onEvent = func(e event.Event) {
		if e.State == event.Stale && e.Phase == event.Note || e.State == event.Reachable {
			l.notice("%s", e.Reason)
			return
		}
		if e.Phase != event.End {
			return
		}
		switch e.Verdict {
		case event.Uncovered, event.Denied, event.Failed:
		default:
			return
		}
		line := warning(e)
		l.mu.Lock()
		told := seen[line]
		seen[line] = len(seen) < maxWarnings
		l.mu.Unlock()
		if !told && len(seen) <= maxWarnings {
			l.notice("%s", line)
		}
	}
}

// An agent that crawls the web would fill the log of a CI job with one line a page.
const maxWarnings = 200

func warning(e event.Event) string {
	return strings.Join(strings.Fields(describe(e)), " ")
}
