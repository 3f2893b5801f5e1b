//go:build unix

package cmd

import (
	"context"
	"errors"
	"os/signal"
	"strings"
	"sync"
	"syscall"
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
	broken  error       // a panic of ours: from then on one row says so, and the agent goes on
	blame   func(error) // is told of it, once
}

func newFooter(l *live, dock bool) *footer {
	f := &footer{dock: dock, asker: l.asker, changed: make(chan struct{}, 1), blame: l.viewFailed}
	f.foot = tui.Foot{Store: tui.NewStore(discover.Template), Styles: tui.NewStyles(l.env.get), Now: l.env.Now}
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
			f.guarded(func() { f.foot.Store.Apply(e) })
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

func (f *footer) rows(width int) (rows []string) {
	f.guarded(func() {
		f.foot.Question, f.foot.Note = f.asker.front(), f.asker.news()
		if f.dock {
			rows = f.foot.Dock(width, max(3, f.height/dockShare))
		} else {
			rows = f.foot.Bar(width)
		}
	})
	if rows == nil {
		rows = []string{brokenRow}
	}
	return rows
}

// brokenRow stands where a view has failed. Nothing can be asked on it.
const brokenRow = "  ✕ the view has failed; the agent goes on, and the end of the session says why"

// guarded runs f, which looks at the store or changes it, unless that has failed before. An agent
// is not ended because its calls could not be drawn.
func (f *footer) guarded(run func()) {
	f.mu.Lock()
	if f.broken != nil {
		f.mu.Unlock()
		return
	}
	f.broken = protect(func() error { run(); return nil })
	broken := f.broken
	f.mu.Unlock()
	if broken != nil {
		f.blame(broken)
	}
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
			GNUScreen: l.env.get("STY") != "",
			OnHotkey:  func(key string) { l.hotkey(ctx, f, terminal, key) },
			State:     func(s margin.State) { g.tell(testament{State: &s}) },
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
		go func() {
			err := terminal.Run(ctx)
			if err != nil { // the terminal is gone, or we have failed: nobody reads the child any more
				child.End(endGrace)
			}
			done <- err
		}()
		code := child.Wait()
		l.asker.detach()
		err = <-done
		g.dismiss()
		if err != nil {
			l.viewFailed(err)
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
		if err := t.Suspend(func() error { return l.inspect(ctx, f) }); err != nil && !errors.Is(err, margin.ErrNotRunning) {
			l.viewFailed(err)
		}
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
	return err == nil && f.broken == nil && height >= margin.MinHeight && f.foot.Question.Height(width)+1 <= height/2
}

// inspect runs the inspector on what the footer knows, and on what comes meanwhile. It stays
// when the agent ends by itself: somebody is looking. It ends where we are asked to, or the
// terminal is gone: nobody is there to leave it.
func (l *live) inspect(ctx context.Context, f *footer) error {
	sub := l.bus.Subscribe(viewBuffer)
	defer sub.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go func(ended <-chan struct{}) {
		select {
		case <-ended:
			sub.Close()
		case <-ctx.Done():
		}
	}(l.child.Load().Done())
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
