package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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
		Template: discover.Template, Env: l.env.get, Now: l.env.Now,
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
	if err != nil {
		l.viewFailed(err) // the child's output went on as plain text
	}
	return code, nil
}

// splitView opens the view in a pane beneath the child, which keeps its terminal.
func splitView(ctx context.Context, l *live, environ []string) (int, error) {
	if l.feed == nil {
		return 0, fmt.Errorf("split: the session has no socket to watch")
	}
	self, err := executable()
	if err != nil {
		return 0, fmt.Errorf("split: %w", err)
	}
	s := findSplitter(l.env)
	if s == nil { // chooseView has looked already
		return 0, errors.New("split: nobody can be asked for a pane")
	}
	p, err := s.openPane(ctx, l.env, []string{self, "watch", "--close", shortID(l.id)})
	if err != nil {
		return 0, err
	}
	defer p.close()
	return plainView(ctx, l, environ)
}
