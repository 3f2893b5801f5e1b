//go:build unix

package margin

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// answer queues a reply for the child. It is sent by the input goroutine, so that it does not
// come between two pieces of what is typed.
func (t *Terminal) answer(p []byte) {
	select {
	case t.answers <- p:
		t.rouse()
	default:
	}
}

// rouse ends the input goroutine's wait.
func (t *Terminal) rouse() {
	if t.wake != nil {
		_, _ = t.wake.Write([]byte{0})
	}
}

// copyInput takes what the human types to the child. It waits with select: poll does not know
// terminals on macOS, and a blocked read could not give the terminal away.
func (t *Terminal) copyInput() error {
	buf := make([]byte, 4096)
	for {
		if !t.beginInput() {
			return nil
		}
		n, err := t.readInput(buf)
		t.endInput()
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		t.sendAnswers()
		if n > 0 {
			t.keys.feed(buf[:n], t.send, t.press)
		} else if n < 0 {
			t.keys.timeout(t.send, t.press)
		}
	}
}

// beginInput waits until In is ours to read; false when it will not be again.
func (t *Terminal) beginInput() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.suspended && t.running {
		t.turn.Wait()
	}
	t.reading = t.running
	return t.running
}

func (t *Terminal) endInput() {
	t.mu.Lock()
	t.reading = false
	t.turn.Broadcast()
	t.mu.Unlock()
}

// stopInput makes sure that nobody of us reads In; suspended or not running is already set.
func (t *Terminal) stopInput() {
	t.rouse()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn.Broadcast()
	for t.reading {
		t.turn.Wait()
	}
}

// readInput reads what is typed: n < 0 when a wait of the hotkey is over, 0 when it was roused.
func (t *Terminal) readInput(buf []byte) (int, error) {
	in, woke := int(t.c.In.Fd()), int(t.woke.Fd())
	if max(in, woke) >= unix.FD_SETSIZE {
		return 0, fmt.Errorf("margin: descriptor %d: too many open files for select", max(in, woke))
	}
	var set unix.FdSet
	set.Set(woke)
	set.Set(in)
	n, err := unix.Select(max(in, woke)+1, &set, nil, nil, t.wait())
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("margin: select: %w", err)
	}
	if n == 0 {
		return -1, nil
	}
	if set.IsSet(woke) {
		var b [64]byte
		if n, _ := t.woke.Read(b[:]); n == 0 {
			return 0, io.EOF
		}
		return 0, nil // first see why
	}
	n, err = unix.Read(in, buf)
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return 0, nil
	case err != nil || n == 0: // the terminal is gone; SIGHUP is the session's to handle
		return 0, io.EOF
	}
	return n, nil
}

// wait is how long select may take: for ever, unless a key hangs in the air.
func (t *Terminal) wait() *unix.Timeval {
	d := time.Duration(0)
	switch {
	case len(t.keys.held) > 0:
		d = keyHold
	case t.keys.armed:
		d = t.c.HotkeyWait
		if t.c.Asking != nil && t.c.Asking() {
			d = max(d, lingerWait)
		}
	default:
		return nil
	}
	tv := unix.NsecToTimeval(d.Nanoseconds())
	return &tv
}

func (t *Terminal) sendAnswers() {
	for {
		select {
		case p := <-t.answers:
			t.send(p)
		default:
			return
		}
	}
}

func (t *Terminal) send(p []byte) { t.child.put(p) }

// press calls OnHotkey, unless a call is still on its way.
func (t *Terminal) press(key string) {
	if t.c.OnHotkey == nil {
		return
	}
	select {
	case t.hotkey <- struct{}{}:
	default:
		return
	}
	go t.guard(func() error {
		defer func() { <-t.hotkey }()
		t.c.OnHotkey(key)
		return nil
	})
}
