//go:build unix

package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	xterm "golang.org/x/term"

	"agentvault/proxy/event"
)

// deadline is when a test gives up: far beyond what any of them takes.
const deadline = time.Minute

// terminal is a PTY whose other side is read and kept.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	before *xterm.State

	mu    sync.Mutex
	wrote bytes.Buffer
	more  chan struct{}
}

func newTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Cols: width, Rows: height}); err != nil {
		t.Fatal(err)
	}
	before, err := xterm.GetState(int(slave.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	tt := &terminal{t: t, master: master, slave: slave, before: before, more: make(chan struct{}, 1)}
	t.Cleanup(func() { slave.Close(); master.Close() })
	go tt.read()
	return tt
}

func (tt *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := tt.master.Read(buf)
		if err != nil {
			return
		}
		tt.mu.Lock()
		tt.wrote.Write(buf[:n])
		tt.mu.Unlock()
		select {
		case tt.more <- struct{}{}:
		default:
		}
	}
}

func (tt *terminal) text() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.wrote.String()
}

// await waits until the terminal was sent s.
func (tt *terminal) await(s string) {
	tt.t.Helper()
	give := time.After(deadline)
	for !strings.Contains(tt.text(), s) {
		select {
		case <-tt.more:
		case <-give:
			tt.t.Fatalf("the terminal never got %q, but %q", s, tt.text())
		}
	}
}

func (tt *terminal) keys(s string) {
	tt.t.Helper()
	if _, err := io.WriteString(tt.master, s); err != nil {
		tt.t.Fatal(err)
	}
}

// drain waits until the terminal has read all that was written to it so far: it keeps the order.
func (tt *terminal) drain() {
	tt.t.Helper()
	const mark = "\x1b]7777;all was read\a"
	if _, err := tt.slave.WriteString(mark); err != nil {
		tt.t.Fatal(err)
	}
	tt.await(mark)
}

// restored fails unless the terminal is as it was: cooked, on its first screen, with a
// cursor, without bracketed paste.
func (tt *terminal) restored() {
	tt.t.Helper()
	tt.drain()
	for _, pair := range [][2]string{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}, {"\x1b[?2004h", "\x1b[?2004l"}} {
		if text := tt.text(); !strings.Contains(text, pair[1]) || strings.LastIndex(text, pair[0]) > strings.LastIndex(text, pair[1]) {
			tt.t.Errorf("%q is not undone", pair[0])
		}
	}
	after, err := xterm.GetState(int(tt.slave.Fd()))
	if err != nil {
		tt.t.Fatal(err)
	}
	if fmt.Sprint(*after) != fmt.Sprint(*tt.before) {
		tt.t.Errorf("the terminal's mode: got %v, want %v", *after, *tt.before)
	}
}

func (tt *terminal) config() Config {
	return Config{In: tt.slave, Out: tt.slave, Title: "claude", Template: template, Env: noColor, Now: func() time.Time { return noon.Add(20 * time.Second) }}
}

// finish waits for what run returned.
func finish(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(deadline):
		t.Fatal("it does not return")
		return nil
	}
}

func start(run func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	return done
}

func TestRunInspector(t *testing.T) {
	tt := newTerminal(t, 100, 30)
	events := make(chan event.Event, 64)
	c := tt.config()
	c.Events, c.Dropped = events, func() uint64 { return 3 }
	done := start(func() error { return RunInspector(context.Background(), c) })
	tt.await("no calls yet")
	for _, e := range session() {
		events <- e
	}
	tt.await("/left-pad.tgz")
	tt.await("3 not shown")
	close(events)
	tt.await("ended")
	tt.keys("gy")
	tt.await("\x1b]52;c;aHR0cHM6Ly9hcGkuYW50aHJvcGljLmNvbS92MS9tZXNzYWdlcw==\a")
	tt.keys("q")
	if err := finish(t, done); err != nil {
		t.Errorf("got %v", err)
	}
	tt.restored()
}

func TestInspectorFollowsTheTerminalsSize(t *testing.T) {
	tt := newTerminal(t, 100, 30)
	resized := make(chan struct{})
	c := tt.config()
	c.Resized = resized
	done := start(func() error { return RunInspector(context.Background(), c) })
	tt.await(strings.Repeat("─", 100))
	if err := pty.Setsize(tt.slave, &pty.Winsize{Cols: 130, Rows: 20}); err != nil {
		t.Fatal(err)
	}
	resized <- struct{}{}
	tt.await(strings.Repeat("─", 130))
	tt.keys("q")
	if err := finish(t, done); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestContextEndsTheInspector(t *testing.T) {
	tt := newTerminal(t, 80, 24)
	ctx, cancel := context.WithCancel(context.Background())
	done := start(func() error { return RunInspector(ctx, tt.config()) })
	tt.await("no calls yet")
	cancel()
	if err := finish(t, done); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	tt.restored()
}

// A panic while drawing, or in a command, gives the terminal back and comes as an error;
// nothing of it is printed.
func TestPanicRestoresTheTerminal(t *testing.T) {
	for name, sabotage := range map[string]func(c *Config){
		"drawing": func(c *Config) { c.Cover = func(Call) string { panic("boom") } },
		"command": func(c *Config) { c.OnRead = func() { panic("boom") } },
	} {
		t.Run(name, func(t *testing.T) {
			tt := newTerminal(t, 80, 30)
			c := tt.config()
			c.Backlog = session()
			sabotage(&c)
			done := start(func() error { return RunInspector(context.Background(), c) })
			tt.await("/left-pad.tgz")
			tt.keys("gjj\r" + "a") // the detail of an uncovered call, and "read"
			err := finish(t, done)
			var p *PanicError
			if !errors.As(err, &p) || p.Value != "boom" || err.Error() != "view: panic: boom" || !bytes.Contains(p.Stack, []byte("run_test.go")) {
				t.Errorf("got %v, want a PanicError with its stack", err)
			}
			tt.restored()
			if strings.Contains(tt.text(), "goroutine") || strings.Contains(tt.text(), "boom") {
				t.Error("the panic was printed")
			}
		})
	}
}

func TestRunPanel(t *testing.T) {
	tt := newTerminal(t, 80, 24)
	r, w := io.Pipe()
	events := make(chan event.Event, 64)
	c := PanelConfig{Config: tt.config(), Output: r, Ended: func() string { return "status 7" }, Stay: true}
	c.Title, c.Events = "build.sh", events
	done := start(func() error { return RunPanel(context.Background(), c) })
	_, _ = io.WriteString(w, "compiling\r\ndone\x1b[2J\r\n")
	tt.await("compiling")
	for _, e := range session() {
		events <- e
	}
	tt.await("✕ bypassed")
	w.Close()
	tt.await("build.sh ended, status 7")
	tt.keys("\r")
	if err := finish(t, done); err != nil {
		t.Errorf("got %v", err)
	}
	tt.restored()
	tt.await("build.sh ended, status 7\r\n")
	after := tt.text()[strings.LastIndex(tt.text(), "\x1b[?1049l"):]
	if !strings.Contains(after, "compiling\r\ndone\r\nbuild.sh ended, status 7\r\n") {
		t.Errorf("left on the terminal: %q", after)
	}
}

// Who leaves the panel early sees the rest as it comes, and RunPanel stays for it.
func TestPanelLeftEarly(t *testing.T) {
	tt := newTerminal(t, 80, 24)
	r, w := io.Pipe()
	done := start(func() error {
		return RunPanel(context.Background(), PanelConfig{Config: tt.config(), Output: r})
	})
	_, _ = io.WriteString(w, "one\n")
	tt.await("one")
	tt.keys("q")
	tt.await("\x1b[?1049l")
	tt.await("one\r\n")
	_, _ = io.WriteString(w, "two\n")
	tt.await("two\r\n")
	select {
	case err := <-done:
		t.Fatalf("it returned before the output ended: %v", err)
	default:
	}
	w.Close()
	if err := finish(t, done); err != nil {
		t.Errorf("got %v", err)
	}
	tt.restored()
}

// Events come in batches, none is lost, and the last batch says so.
func TestFeed(t *testing.T) {
	events := make(chan event.Event, 3*batchMost)
	for n := range uint64(2*batchMost + 5) {
		events <- event.Event{Call: n + 1}
	}
	close(events)
	f := &feed{events: events}
	var calls, batches int
	for {
		b, ok := f.next(context.Background()).(batchMsg)
		if !ok {
			t.Fatal("no batch")
		}
		calls += len(b.events)
		batches++
		if len(b.events) > batchMost {
			t.Errorf("a batch of %d", len(b.events))
		}
		if b.ended {
			break
		}
	}
	if calls != 2*batchMost+5 {
		t.Errorf("got %d events in %d batches, want %d", calls, batches, 2*batchMost+5)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if msg := (&feed{}).next(ctx); msg != nil {
		t.Errorf("after the end of its context: %v", msg)
	}
}
