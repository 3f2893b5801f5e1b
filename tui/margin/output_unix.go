//go:build unix

package margin

import "time"

// copyOutput takes the child's output to the terminal until the PTY has no other side.
func (t *Terminal) copyOutput() error {
	buf := make([]byte, 64<<10)
	for {
		n, err := t.c.PTY.Read(buf)
		if n > 0 {
			if err := t.output(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			// EIO is how Linux says that the slave is closed; a deadline is our own drain.
			return nil
		}
	}
}

func (t *Terminal) output(p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		return nil
	}
	if t.suspended {
		t.hold(p)
		return nil
	}
	t.write(p)
	return t.flush()
}

// write filters p into out and paints where it is due and allowed.
func (t *Terminal) write(p []byte) {
	for len(p) > 0 {
		var n int
		t.out, n = t.f.run(t.out, p, t.pending && t.f.slot().used)
		p = p[n:]
		// A wipe is mended at once, but not more often than a screen is looked at.
		due := t.pending || t.f.Wiped() && (len(p) == 0 || t.f.clean)
		if due && t.f.Safe() && time.Since(t.painted) > frameTime/2 {
			t.out = t.paint(t.out)
		}
	}
	if !t.pending && !t.f.Wiped() {
		return
	}
	t.later()
	t.soon()
}

// later notes that a painting waits.
func (t *Terminal) later() {
	if !t.pending {
		t.pending, t.since = true, time.Now()
	}
}

// soon has the loop look at it.
func (t *Terminal) soon() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// paint appends our rows.
func (t *Terminal) paint(dst []byte) []byte {
	t.pending = false
	t.painted = time.Now()
	t.shown = t.rows
	if len(t.rows) == 0 {
		t.f.Painted()
		return dst
	}
	return t.f.appendPaint(dst, t.rows)
}

// refresh asks for our rows and paints what is new. It returns when to try again, 0 = never.
func (t *Terminal) refresh() (time.Duration, error) {
	t.mu.Lock()
	size := t.size
	t.mu.Unlock()
	rows := fitAll(t.c.Rows(size.cols), size.cols, room(size.height))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.suspended || t.size != size {
		return 0, nil
	}
	if !t.pending && !t.f.Wiped() && same(rows, t.shown) {
		return 0, nil
	}
	t.later()
	limit := patience
	if t.f.Wiped() && t.f.state == ground {
		limit = wipedPatience
	}
	force := time.Since(t.since) >= limit
	if !t.f.Safe() && !force {
		if len(rows) == len(t.rows) {
			t.rows = rows // for the painting that output may allow
		}
		return frameTime, nil
	}
	if !t.f.Safe() {
		t.out = t.f.Abort(t.out)
	}
	if len(rows) != len(t.rows) {
		t.out = t.f.appendLayout(t.out, t.size.height-len(rows))
		if err := t.resizeChild(); err != nil {
			return 0, err
		}
	}
	t.rows = rows
	t.out = t.paint(t.out)
	return 0, t.flush()
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// resized follows SIGWINCH.
func (t *Terminal) resized() error {
	size, err := measure(t.c.Out)
	if err != nil {
		return nil //nolint: a terminal that cannot be measured keeps its size
	}
	t.mu.Lock()
	if size == t.size || t.suspended {
		t.mu.Unlock()
		return nil
	}
	t.mu.Unlock()
	rows := fitAll(t.c.Rows(size.cols), size.cols, room(size.height))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.suspended {
		return nil
	}
	t.out = t.f.Abort(t.out)
	t.resizeTo(size, rows)
	if err := t.resizeChild(); err != nil {
		return err
	}
	return t.flush()
}

func (t *Terminal) resizeTo(size winsize, rows []string) {
	t.size, t.rows = size, rows
	t.f.pixelW, t.f.pixelH = size.pixelW, size.pixelH
	t.out = t.f.appendResize(t.out, size.cols, size.height-len(rows), size.height)
	t.out = t.paint(t.out)
}
