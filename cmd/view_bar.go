//go:build unix

package cmd

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
	"agentvault/tui"
	"agentvault/tui/margin"
)

// barWorks says whether this platform can share the terminal with the child.
const barWorks = true

const (
	// The dock is a third of the screen.
	dockShare = 3
	// The bar's clock and durations of open calls move at this pace when nothing happens.
	barTick = time.Second
)

// footer is what stands under the agent: the folded events, and how they are shown.
type footer struct {
	mu      sync.Mutex
	foot    tui.Foot
	dock    bool
	height  int
	asker   *asker
	changed chan struct{}
}

func newFooter(l *live, dock bool) *footer {
	f := &footer{dock: dock, asker: l.asker, changed: make(chan struct{}, 1)}
	f.foot = tui.Foot{Store: tui.NewStore(discover.Template), Styles: tui.NewStyles(l.env.get)}
	return f
}

func (f *footer) follow(events <-chan event.Event) {
	tick := time.NewTicker(barTick)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			f.mu.Lock()
			f.foot.Store.Apply(e)
			f.mu.Unlock()
		case <-tick.C:
		}
		f.touch()
	}
}

func (f *footer) touch() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *footer) rows(width int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.foot.Question, f.foot.Note = f.asker.front(), f.asker.news()
	if f.dock {
		return f.foot.Dock(width, max(3, f.height/dockShare))
	}
	return f.foot.Bar(width)
}

// barView gives the terminal to the child but for the last rows.
func barView(dock bool) view {
	return func(ctx context.Context, l *live, environ []string) (int, error) {
		cols, rows, err := term.GetSize(int(l.env.Stdout.Fd()))
		if err != nil {
			return plainView(ctx, l, environ)
		}
		f := newFooter(l, dock)
		f.height = rows
		taken := len(f.rows(cols))
		sub := l.bus.Subscribe(viewBuffer)
		defer sub.Close()
		defer l.drawing()()
		defer l.proxy.Watch()() // the inspector may be opened on what has been
		go f.follow(sub.C)
		g := l.guard()
		child, err := l.start(session.Options{Env: environ, Mode: session.PTY, Rows: uint16(max(1, rows-taken)), Cols: uint16(cols)})
		if err != nil {
			g.dismiss()
			return 0, err
		}
		g.tell(testament{Child: child.Pid()})
		defer func() { _ = child.PTY().Close() }()
		var terminal *margin.Terminal
		terminal, err = margin.New(margin.Config{
			In: l.env.Stdin, Out: l.env.Stdout, PTY: child.PTY(), Rows: f.rows, Changed: f.changed, Keys: "av" + tui.AnswerKeys, Deliberate: tui.AnswerKeys, Asking: l.asker.asking,
			OnHotkey: func(key string) { l.hotkey(ctx, f, terminal, key) },
			State:    func(s margin.State) { g.tell(testament{State: &s}) },
		})
		if err != nil {
			child.End(0)
			g.dismiss()
			return 0, err
		}
		l.asker.attach(f.touch)
		defer func() {
			for _, note := range l.asker.farewell() {
				l.notice("%s", note)
			}
		}()
		done := make(chan error, 1)
		go func() { done <- terminal.Run(ctx) }()
		code := child.Wait()
		l.asker.detach()
		err = <-done
		g.dismiss()
		if err != nil {
			l.notice("view: %v", err)
		}
		return code, nil
	}
}

// hotkey: alone it goes from the bar to the dock and on to the inspector; with v
// straight to the inspector; with a it marks what is shown as read. The keys that answer
// do nothing where nothing asks: they came too late, and are nobody else's.
func (l *live) hotkey(ctx context.Context, f *footer, t *margin.Terminal, key string) {
	if key != "" && strings.Contains(tui.AnswerKeys, key) {
		if l.legible(f) {
			l.asker.answer(key)
		}
		return
	}
	f.mu.Lock()
	_, f.height = t.Size()
	switch {
	case key == "a":
		f.foot.Store.Acknowledge()
	case key == "" && !f.dock:
		f.dock = true
	default:
		f.dock = false
		f.mu.Unlock()
		_ = t.Suspend(func() error { return l.inspect(ctx, f) })
		f.touch()
		return
	}
	f.mu.Unlock()
	f.touch()
}

// legible says whether the terminal is high enough for all of the question to be seen,
// above the row of counts: half of it is ours at the most.
func (l *live) legible(f *footer) bool {
	width, height, err := term.GetSize(int(l.env.Stdout.Fd()))
	f.mu.Lock()
	defer f.mu.Unlock()
	return err == nil && height >= margin.MinHeight && f.foot.Question.Height(width)+1 <= height/2
}

// inspect runs the inspector on what the footer knows, and on what comes meanwhile.
func (l *live) inspect(ctx context.Context, f *footer) error {
	sub := l.bus.Subscribe(viewBuffer)
	defer sub.Close()
	f.mu.Lock()
	store := f.foot.Store.Copy()
	f.mu.Unlock()
	c := l.viewConfig(sub)
	c.Store, c.Question, c.Answer = store, l.asker.front, l.asker.answer
	c.OnRead = func() {
		f.mu.Lock()
		f.foot.Store.Acknowledge()
		f.mu.Unlock()
	}
	return tui.RunInspector(ctx, c)
}
