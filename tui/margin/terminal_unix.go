//go:build unix

package margin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Terminal is the real terminal while it is shared with a child. Its methods may be called from
// any goroutine.
type Terminal struct {
	c       Config
	keys    keys
	wake    *os.File // ends a wait of the input goroutine
	woke    *os.File
	answers chan []byte // for the child, from the filter
	child   *outbox
	kick    chan struct{}
	failed  chan error
	hotkey  chan struct{} // held while OnHotkey runs

	suspending sync.Mutex // one Suspend at a time

	mu        sync.Mutex
	f         *Filter
	out       []byte
	size      winsize
	rows      []string // fitted, as many as are ours
	shown     []string // as the terminal shows them
	running   bool
	reading   bool       // the input goroutine waits for In or reads it
	turn      *sync.Cond // on mu: running, suspended or reading has changed
	suspended bool
	held      []byte // what the child wrote meanwhile
	lost      bool   // some of it was dropped
	told      State  // what Config.State has heard last
	pending   bool   // a painting waits for a safe point
	since     time.Time
	painted   time.Time
}

type winsize struct{ cols, height, pixelW, pixelH int }

const (
	// frameTime is the shortest time between two paintings: 30 a second.
	frameTime = time.Second / 30
	// patience is how long a child may keep us from painting (an endless OSC, a frame that does
	// not end, a saved cursor): terminals give up on frames after 150 ms to a second.
	patience = 500 * time.Millisecond
	// wipedPatience is the same while our rows are damaged and nothing streams.
	wipedPatience = 100 * time.Millisecond
	// lingerWait is how long a second key is waited for while something is asked: somebody who
	// looks for the key takes about a second.
	lingerWait = 3 * time.Second
	// keyHold is how long the beginning of what may be the hotkey is held back.
	keyHold = 20 * time.Millisecond
	// drain is how long output is awaited that a child wrote before it ended.
	drain = 100 * time.Millisecond
	// grace is how long a suspended program may take to end once ctx is over.
	grace = 2 * time.Second
)

// New measures the terminal and gives the child's PTY its size; start the child after it and
// then Run. Nothing is written yet.
func New(c Config) (*Terminal, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Terminal{c: c, answers: make(chan []byte, 16), child: newOutbox(), kick: make(chan struct{}, 1),
		failed: make(chan error, 4), hotkey: make(chan struct{}, 1)}
	if t.keys.ctl, t.keys.code, err = parseHotkey(c.Hotkey); err != nil {
		return nil, err
	}
	t.keys.wanted, t.keys.deliberate = c.Keys, c.Deliberate
	t.turn = sync.NewCond(&t.mu)
	if t.size, err = measure(c.Out); err != nil {
		return nil, fmt.Errorf("margin: %s: size: %w", c.Out.Name(), err)
	}
	t.rows = fitAll(c.Rows(t.size.cols), t.size.cols, room(t.size.height))
	t.f = NewFilter(t.size.cols, t.size.height-len(t.rows), t.size.height, t.answer)
	t.f.pixelW, t.f.pixelH, t.f.gnuScreen = t.size.pixelW, t.size.pixelH, c.GNUScreen
	return t, t.resizeChild()
}

func measure(f *os.File) (winsize, error) {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return winsize{}, err
	}
	return winsize{max(int(ws.Col), 2), max(int(ws.Row), 2), int(ws.Xpixel), int(ws.Ypixel)}, nil
}

// resizeChild sets the PTY's size from the filter's. Fd would make the file blocking, and then
// closing it could not end a read.
func (t *Terminal) resizeChild() error {
	ws := unix.Winsize{Row: uint16(t.f.rows), Col: uint16(t.f.cols),
		Xpixel: uint16(t.size.pixelW), Ypixel: uint16(t.f.pixelRows())}
	raw, err := t.c.PTY.SyscallConn()
	if err != nil {
		return fmt.Errorf("margin: pty: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &ws) })
	if err := errors.Join(err, set); err != nil {
		return fmt.Errorf("margin: pty: size: %w", err)
	}
	t.f.Resized()
	return nil
}

// Size is the size of the child's screen.
func (t *Terminal) Size() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.f.cols, t.f.rows
}

// Run shares the terminal until the child's side of the PTY is closed (nil), ctx ends (its
// error), or something of ours fails. The terminal is put back before it returns. A Terminal
// runs once.
func (t *Terminal) Run(ctx context.Context) (err error) {
	if t.woke, t.wake, err = os.Pipe(); err != nil {
		return fmt.Errorf("margin: %w", err)
	}
	cooked, err := term.MakeRaw(int(t.c.In.Fd()))
	if err != nil {
		return fmt.Errorf("margin: %s: raw mode: %w", t.c.In.Name(), err)
	}
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, syscall.SIGWINCH)
	defer signal.Stop(winch)
	if err := t.start(); err != nil {
		return errors.Join(err, term.Restore(int(t.c.In.Fd()), cooked))
	}
	ended := make(chan error, 1)
	go t.guard(func() error { ended <- t.copyOutput(); return nil })
	go t.guard(t.copyInput)
	go t.guard(func() error { t.child.carry(t.c.PTY); return nil })
	err = t.loop(ctx, winch, ended)
	t.awaitSuspended(ctx)
	t.finish()
	return errors.Join(err, term.Restore(int(t.c.In.Fd()), cooked))
}

// guard runs f; a panic in it becomes an error of Run, so that the terminal is restored before
// anybody prints.
func (t *Terminal) guard(f func() error) {
	defer func() {
		if r := recover(); r != nil {
			t.fail(&PanicError{r, debug.Stack()})
		}
	}()
	if err := f(); err != nil {
		t.fail(err)
	}
}

func (t *Terminal) fail(err error) {
	select {
	case t.failed <- err:
	default:
	}
}

// loop waits for whatever makes us paint or end.
func (t *Terminal) loop(ctx context.Context, winch <-chan os.Signal, ended <-chan error) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	var due time.Time
	schedule := func(d time.Duration) {
		if at := time.Now().Add(d); due.IsZero() || at.Before(due) {
			due = at
			timer.Reset(d)
		}
	}
	for {
		select {
		case <-ctx.Done():
			t.drainChild(ended)
			return ctx.Err()
		case err := <-ended:
			return err
		case err := <-t.failed:
			return err
		case <-winch:
			if err := t.protect(t.resized); err != nil {
				return err
			}
		case <-t.c.Changed:
			schedule(max(t.c.Debounce, frameTime))
		case <-t.kick:
			schedule(frameTime)
		case <-timer.C:
			due = time.Time{}
			var again time.Duration
			err := t.protect(func() (err error) { again, err = t.refresh(); return err })
			if err != nil {
				return err
			}
			if again > 0 {
				schedule(again)
			}
		}
	}
}

// protect is guard for the loop's own goroutine: Rows is not our code.
func (t *Terminal) protect(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{r, debug.Stack()}
		}
	}()
	return f()
}

// drainChild lets output through that the child wrote before ctx ended.
func (t *Terminal) drainChild(ended <-chan error) {
	if t.c.PTY.SetReadDeadline(time.Now().Add(drain)) != nil {
		return
	}
	select {
	case <-ended:
	case <-time.After(3 * drain):
	}
}

// start takes the terminal: room for our rows, the region, the first painting.
func (t *Terminal) start() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = true
	t.out = t.f.appendFit(t.out[:0])
	t.out = t.paint(t.out)
	return t.flush()
}

// awaitSuspended lets the program end that has the terminal: the human may be reading it after
// the child has ended. A cancelled ctx is the caller's word to that program too, so then it gets
// grace and no more.
func (t *Terminal) awaitSuspended(ctx context.Context) {
	over := make(chan struct{})
	go func() {
		t.suspending.Lock()
		close(over)
		t.suspending.Unlock()
	}()
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	select {
	case <-over:
	case <-time.After(grace):
	}
}

// finish gives the terminal back.
func (t *Terminal) finish() {
	t.mu.Lock()
	t.running = false
	if t.suspended { // run did not end in its grace: it may be on the alternate screen
		t.out = append(t.out[:0], "\x1b[?1049l"...)
	}
	t.out = t.f.appendFinish(t.out)
	_ = t.flush() // the terminal may be gone: there is nobody to tell
	t.mu.Unlock()
	t.stopInput()
	t.child.close()
	t.wake.Close()
	t.woke.Close()
}

// tell tells of the state that the terminal is in after a writing.
func (t *Terminal) tell() {
	s := State{Alternate: t.f.modes.alt, Rows: t.f.rows, Height: t.f.height, Origin: t.f.origin, Tints: uint32(t.f.modes.tints)}
	if t.suspended { // our rows are gone, and whoever has the terminal now is on the alternate screen
		s = State{Alternate: 1049, Rows: t.f.height, Height: t.f.height, Tints: s.Tints}
	}
	if t.c.State != nil && s != t.told {
		t.told = s
		t.c.State(s)
	}
}

func (t *Terminal) flush() error {
	if len(t.out) == 0 {
		return nil
	}
	_, err := t.c.Out.Write(t.out)
	t.out = t.out[:0]
	t.tell()
	if err != nil {
		return fmt.Errorf("margin: %s: %w", t.c.Out.Name(), err)
	}
	return nil
}
