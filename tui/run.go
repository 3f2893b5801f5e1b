package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

// Config is what a view needs of the world. Only Out has to be set.
type Config struct {
	// Events are folded as they come; closing the channel marks the session as ended.
	// nil means that there are none but the backlog.
	Events <-chan event.Event
	// Dropped says how many events the subscription has lost; nil means none.
	Dropped func() uint64
	// Backlog is folded before the first drawing. It may overlap with Events.
	Backlog []event.Event
	// Store is where to go on from, and the view's own from then on: hand over a Copy.
	// nil starts with an empty one.
	Store *Store

	// Title names the session: the agent's command.
	Title string
	// In and Out are the terminal. A file that is one is put into raw mode and back;
	// In must be a terminal or stay silent, since no reader can be called off otherwise.
	In  io.Reader
	Out io.Writer
	// Resized asks for the terminal's size again, where the view runs on another
	// terminal than the process, which SIGWINCH says nothing about.
	Resized <-chan struct{}

	// Template folds the ids of a path; nil leaves paths as they are. Cover writes the
	// TOML that would cover a call; nil shows none. Its Call is escaped and clipped.
	Template func(host, path string) string
	Cover    func(c Call) string
	// Write makes what Cover showed for the call a part of the configuration and of the
	// running session, and says what it did; nil where a view may change nothing. shown is
	// the text that the human said yes to. Called on a goroutine of its own, one at a time.
	Write func(c Call, shown string) (done string, err error)
	// Head returns the headers of a call, where they were kept; Services how the session
	// stands with its services. Each is called on a goroutine of its own and may take a
	// while; nil where nobody can tell.
	Head     func(call uint64) (event.Head, bool)
	Services func() []event.Service
	// Question is what waits for the human now, nil for nothing; Answer takes one of
	// AnswerKeys for it and says what became of that, "" for nothing worth a line. Both are
	// nil where a view cannot answer, and safe for concurrent use.
	Question func() *Question
	Answer   func(key string) string
	// OnRead is told, on a goroutine of its own, that the banner was marked as read.
	OnRead func()

	// Env looks up NO_COLOR, TERM and COLORFGBG; nil finds nothing. Now is the clock;
	// time.Now when nil. Its zone is the one that times are shown in.
	Env func(string) string
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Store == nil {
		c.Store = NewStore(c.Template)
	}
	return c
}

// RunInspector shows the inspector on the alternate screen until the human leaves it or
// ctx ends; neither is an error. It catches no signal. A panic of the view is returned as
// an error that holds the stack, after the terminal was restored.
func RunInspector(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.Out = serial(c.Out)
	m := newInspector(ctx, c)
	if err := runProgram(ctx, m, c); err != nil {
		return err
	}
	return m.failed
}

// PanicError is a panic of a view. Its text has no stack, so that it fits on a line.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("view: panic: %v", e.Value) }

// runProgram runs m on the terminal of c, and gives the terminal back however it ends.
func runProgram(ctx context.Context, m tea.Model, c Config) (err error) {
	p := tea.NewProgram(m,
		tea.WithContext(ctx),
		tea.WithInput(c.In),
		tea.WithOutput(c.Out),
		tea.WithFPS(framesPerSecond),
		tea.WithAltScreen(),
		tea.WithoutSignalHandler(), // the session forwards signals and ends ctx
		tea.WithoutCatchPanics(),   // it prints the stack on the raw terminal
	)
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
			// Run has unwound without giving the terminal back.
			_ = p.ReleaseTerminal()
		}
	}()
	done := make(chan struct{})
	defer close(done)
	if c.Resized != nil {
		go passSizes(p, c.Resized, done)
	}
	_, err = p.Run()
	if ctx.Err() != nil && (errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	return nil
}

// passSizes makes p look at its terminal's size each time resized says so.
func passSizes(p *tea.Program, resized <-chan struct{}, done <-chan struct{}) {
	for {
		select {
		case _, ok := <-resized:
			if !ok {
				return
			}
			p.Send(tea.WindowSize()())
		case <-done:
			return
		}
	}
}

// guarded is cmd with its panic turned into a message.
func guarded(cmd tea.Cmd) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if v := recover(); v != nil {
				msg = panicMsg{&PanicError{v, debug.Stack()}}
			}
		}()
		return cmd()
	}
}

// serial makes out safe for the renderer and for what is copied. A file is already: each
// write of one is whole.
func serial(out io.Writer) io.Writer {
	if out == nil {
		return io.Discard
	}
	if _, ok := out.(*os.File); ok {
		return out
	}
	return &serialWriter{w: out}
}

type serialWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serialWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
