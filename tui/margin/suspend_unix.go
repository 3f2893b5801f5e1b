//go:build unix

package margin

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/term"
)

// Suspend hands the real terminal to run: raw, on the main screen, its modes plain, no region,
// our rows gone. run may use the alternate screen and must leave it.
//
// The child goes on meanwhile. What it writes is held (Config.HoldLimit) and goes through the
// filter when run returns, so that nothing is lost and nothing is drawn twice; questions that it
// asks of the terminal are answered then. Beyond the limit the older half is parsed without
// being shown: modes and the alternate screen stay exact, text of the main screen is lost from
// the scrollback. A child on the alternate screen gets that screen back from a shadow that the
// filter keeps; where the shadow may be wrong (mode 47, left and right margins) it is told to
// draw again by two changes of its size.
//
// A panic of run becomes an error, after the terminal is the child's again.
func (t *Terminal) Suspend(run func() error) error {
	t.suspending.Lock()
	defer t.suspending.Unlock()
	if err := t.leave(); err != nil {
		return err
	}
	err := protected(run)
	if back := t.comeBack(); back != nil && err == nil {
		err = back
	}
	return err
}

func protected(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{r, debug.Stack()}
		}
	}()
	return run()
}

// leave waits for a moment at which the child can be interrupted and makes the terminal plain.
func (t *Terminal) leave() error {
	deadline := time.Now().Add(patience / 2)
	t.mu.Lock()
	for t.running && !t.f.Safe() && time.Now().Before(deadline) {
		t.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		t.mu.Lock()
	}
	if !t.running {
		t.mu.Unlock()
		return ErrNotRunning
	}
	t.out = t.f.appendLeave(t.f.Abort(t.out))
	t.suspended = true
	err := t.flush()
	t.mu.Unlock()
	t.stopInput()
	return err
}

// comeBack makes the terminal the child's again and shows what it missed.
func (t *Terminal) comeBack() error {
	size, err := measure(t.c.Out)
	if err != nil {
		size = t.size
	}
	rows := fitAll(t.c.Rows(size.cols), size.cols, room(size.height))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.suspended = false
	defer t.turn.Broadcast()
	if !t.running { // Run has waited long enough, and has put the terminal back
		t.held = nil
		return nil
	}
	if _, err := term.MakeRaw(int(t.c.In.Fd())); err != nil {
		return fmt.Errorf("margin: %s: raw mode: %w", t.c.In.Name(), err)
	}
	repaint := t.restoreScreen(size, rows)
	held := t.held
	t.held, t.lost = nil, false
	t.write(held)
	t.later()
	if t.f.Safe() {
		t.out = t.paint(t.out)
	} else {
		t.soon()
	}
	if err := t.flush(); err != nil {
		return err
	}
	if repaint {
		return t.shake()
	}
	return t.resizeChild()
}

// restoreScreen undoes appendLeave. It says whether the child has to draw again by itself.
func (t *Terminal) restoreScreen(size winsize, rows []string) (repaint bool) {
	f := t.f
	if f.Alternate() {
		t.size, t.rows = size, rows
		f.size(size.cols, size.height-len(rows), size.height)
		t.out = f.appendEnter(t.out)
		repaint = f.shadow.bad
	} else {
		repaint = t.restoreMain(size, rows)
	}
	t.out = f.modes.again(t.out, f.Alternate())
	t.out = f.appendBack(t.out)
	return repaint
}

func (t *Terminal) restoreMain(size winsize, rows []string) (repaint bool) {
	f := t.f
	if t.lost {
		t.out = append(t.out, "\r\n"...)
		f.row, f.col = span{1, f.rows}, span{0, f.cols}
	} else if size == t.size && len(rows) == len(t.rows) {
		t.rows = rows
		t.out = f.appendRegion(t.out, true)
		return false
	}
	if f.origin { // the terminal has it off already
		f.origin = false
		delete(f.modes.set, 6)
	}
	t.size, t.rows = size, rows
	f.size(size.cols, size.height-len(rows), size.height)
	t.out = f.appendFit(t.out)
	return t.lost
}

// shake makes the child draw again: most do it on SIGWINCH, and only if the size has changed.
func (t *Terminal) shake() error {
	rows := t.f.rows
	t.f.rows = max(rows-1, 1)
	err := t.resizeChild()
	t.f.rows = rows
	if err != nil {
		return err
	}
	go t.guard(func() error {
		time.Sleep(50 * time.Millisecond) // two changes in one moment are none to the child
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.resizeChild()
	})
	return nil
}

// hold keeps output while the terminal is another's.
func (t *Terminal) hold(p []byte) {
	t.held = append(t.held, p...)
	if len(t.held) <= t.c.HoldLimit {
		return
	}
	cut := bytes.LastIndexByte(t.held[:len(t.held)/2], '\n') + 1
	if cut == 0 {
		cut = len(t.held) / 2
	}
	// The effect of what is dropped is kept: modes, renditions, the alternate screen.
	t.out = t.f.Append(t.out[:0], t.held[:cut])[:0]
	t.held = append([]byte(nil), t.held[cut:]...)
	t.lost = true
}
