package cmd

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
	"agentvault/tui"
	"agentvault/tui/margin"
)

// viewConfig is what every view of this session has in common.
func (l *live) viewConfig(sub *event.Subscription) tui.Config {
	return tui.Config{
		Events: sub.C, Dropped: sub.Dropped, Title: title(l.argv), In: l.env.Stdin, Out: l.env.Stdout,
		Template: discover.Template, Env: l.env.get,
		Cover: func(c tui.Call) string { return l.book.text(c.Event) },
		Head:  l.proxy.Head, Services: l.services,
		Write: func(c tui.Call, shown string) (string, error) { return l.book.cover(c.Event, shown) },
	}
}

func title(argv []string) string {
	if len(argv) == 0 {
		return "agentvault"
	}
	return filepath.Base(argv[0])
}

// panelView gives the terminal to the view and shows the child's output in a pane.
func panelView(ctx context.Context, l *live, environ []string) (int, error) {
	cols, rows, err := term.GetSize(int(l.env.Stdout.Fd()))
	if err != nil {
		return 0, fmt.Errorf("terminal: %w", err)
	}
	sub := l.bus.Subscribe(viewBuffer)
	defer sub.Close()
	defer l.drawing()()
	defer l.proxy.Watch()()
	g := l.guard()
	child, err := l.start(session.Options{Env: environ, Mode: session.PTY, Rows: uint16(rows), Cols: uint16(cols)})
	if err != nil {
		g.dismiss()
		return 0, err
	}
	g.tell(testament{Child: child.Pid(), State: &margin.State{Alternate: 1049, Rows: rows, Height: rows}})
	defer func() { _ = child.PTY().Close() }()
	ended := func() string { return fmt.Sprintf("status %d", child.Wait()) }
	err = tui.RunPanel(ctx, tui.PanelConfig{Config: l.viewConfig(sub), Output: child.PTY(), Ended: ended,
		Interrupt: func() { _ = child.Signal(interrupt) }})
	code := child.Wait()
	g.dismiss()
	return code, err
}

// splitView opens the view in a pane of tmux beneath the child, which keeps its terminal.
func splitView(ctx context.Context, l *live, environ []string) (int, error) {
	if l.feed == nil {
		return 0, fmt.Errorf("split: the session has no socket to watch")
	}
	self, err := executable()
	if err != nil {
		return 0, fmt.Errorf("split: %w", err)
	}
	// Found now: by the end of the session the child may have put another one before it.
	program, err := exec.LookPath("tmux")
	if err != nil {
		return 0, fmt.Errorf("split: %w", err)
	}
	environment := l.env.only("PATH", "HOME", "TERM", "LANG", "TMUX", "TMUX_PANE", "TMUX_TMPDIR")
	args := []string{"split-window", "-d", "-v", "-l", "33%", "-P", "-F", "#{pane_id}", self, "watch", shortID(l.id)}
	tmux := exec.CommandContext(ctx, program, args...)
	tmux.Env = environment
	out, err := tmux.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("split: tmux: %s", printable(strings.TrimSpace(string(out))))
	}
	defer func() {
		kill := exec.Command(program, "kill-pane", "-t", strings.TrimSpace(string(out)))
		kill.Env = environment
		_ = kill.Run() // the human may have closed it
	}()
	return plainView(ctx, l, environ)
}
