package margin

import "fmt"

// csiPrivate treats CSI ? sequences.
func (f *Filter) csiPrivate(dst []byte, q *sequence) []byte {
	switch q.final {
	case 'h', 'l':
		return f.privateModes(dst, q)
	case 's':
		for _, mode := range q.args {
			if len(f.modes.saved) < maxModes {
				f.modes.saved[mode] = f.modes.value(mode)
			}
		}
		return dst
	case 'r':
		for _, mode := range q.args {
			if on, ok := f.modes.saved[mode]; ok {
				dst = f.privateMode(dst, mode, on)
			}
		}
		return dst
	case 'J':
		f.erased(q.arg(0, 0))
		f.shadow.csi(q)
	case 'K':
		f.shadow.csi(q)
	case 'i':
		return dst
	}
	return f.pass(dst, q)
}

// privateModes takes a list apart when one of its modes is treated, since what we add has to
// stand right behind it.
func (f *Filter) privateModes(dst []byte, q *sequence) []byte {
	on := q.final == 'h'
	for _, mode := range q.args {
		if special(mode) {
			for _, mode := range q.args {
				dst = f.privateMode(dst, mode, on)
			}
			return dst
		}
	}
	for _, mode := range q.args {
		f.modes.note(mode, on)
	}
	return f.pass(dst, q)
}

func special(mode int) bool {
	switch mode {
	case 2, 3, 6, 7, 38, 40, 45, 47, 69, 80, 1045, 1047, 1048, 1049, 2048:
		return true
	}
	return false
}

// note follows a mode that needs nothing but to be known.
func (m *modes) note(mode int, on bool) {
	switch mode {
	case 25:
		m.hidden = !on
	case 2026:
		m.frame = on
	case -1, 0, 4, 8, 12, 95:
	default:
		if !on {
			delete(m.set, mode)
		} else if len(m.set) < maxModes {
			m.set[mode] = true
		}
	}
}

func (f *Filter) privateMode(dst []byte, mode int, on bool) []byte {
	switch mode {
	case 2: // off is VT52; on is what we are in
		if !on {
			return dst
		}
	case 3, 38, 40, 45, 80, 1045:
		return dst
	case 2048:
		f.modes.inBand = on
		if on {
			f.Resized()
		}
		return dst
	case 47, 1047, 1049:
		return f.switchScreen(dst, mode, on)
	case 1048:
		f.buf = appendMode(f.buf[:0], mode, on)
		if on {
			return f.save(dst)
		}
		return f.restore(dst)
	case 6:
		f.origin, f.unsure, f.hadOrigin = on, false, f.hadOrigin || on
		f.modes.note(mode, on)
		dst = appendMode(f.releaseWrap(dst), mode, on)
		f.moveTo(1, 0)
		f.shadow.originMode(on)
		return dst
	case 7:
		f.modes.wrap, f.nowrap = on, !on
		f.shadow.wrapMode(on)
		if f.forced && on {
			return dst
		}
		f.forced = false
	case 69:
		f.lrmm = on
		f.modes.left, f.modes.right = 1, f.cols
		f.loseCol()
		f.modes.note(mode, on)
	default:
		f.modes.note(mode, on)
	}
	return appendMode(dst, mode, on)
}

func appendMode(dst []byte, mode int, on bool) []byte {
	final := byte('l')
	if on {
		final = 'h'
	}
	if mode < 0 {
		return append(dst, 0x1b, '[', '?', final)
	}
	return fmt.Appendf(dst, "\x1b[?%d%c", mode, final)
}

// ansiModes treats SM and RM.
func (f *Filter) ansiModes(dst []byte, q *sequence) []byte {
	on := q.final == 'h'
	keep := q.args[:0]
	for _, mode := range q.args {
		switch mode {
		case 2: // a locked keyboard could not press the hotkey
			continue
		case 4:
			f.modes.insert = on
			f.shadow.insertMode(on)
		case 20:
			f.modes.newline = on
		}
		keep = append(keep, mode)
	}
	if len(keep) == len(q.args) {
		return f.pass(dst, q)
	}
	if len(keep) == 0 {
		return dst
	}
	q.args = keep
	return f.rewrite(dst, q)
}

// switchScreen treats ?47, ?1047 and ?1049. Terminals disagree about what happens to the region,
// so it is set again; the cursor stays where the switch put it.
func (f *Filter) switchScreen(dst []byte, mode int, on bool) []byte {
	dst = f.releaseWrap(dst)
	was := f.Alternate()
	if on && mode == 1049 && !was {
		f.slots[0] = f.here()
	}
	dst = appendMode(dst, mode, on)
	switch {
	case on == was && !on: // xterm restores the cursor all the same
		if mode == 1049 {
			f.restored()
		}
	case on == was:
		if mode == 1049 {
			f.shadow.clear()
		}
	case on:
		f.modes.alt = mode
		f.slots[1] = slot{}
		f.shadow = newScreen(f)
	default:
		f.modes.alt = 0
		f.shadow = nil
		f.under = f.rows
		if mode == 1049 {
			f.restored()
		}
		f.slots[0] = slot{} // holds what the cursor is now
	}
	f.top, f.bot = 1, f.rows
	f.shadow.openRegion()
	if f.ours() == 0 {
		return dst
	}
	f.wiped = true
	if !f.Alternate() && f.stale {
		f.stale = false
		return f.appendFit(dst)
	}
	return f.appendRegion(dst, true)
}

// appendFit makes the child's region and moves cursor and text up into it, from anywhere on the
// screen, without knowing where: with the region open, as many line feeds as we have rows bring
// the cursor to where our rows begin at the latest, and scroll only as far as they have to.
func (f *Filter) appendFit(dst []byte) []byte {
	n := f.ours()
	if f.origin {
		dst = f.originOff(dst)
	}
	dst = f.appendShift(append(dst, "\x1b7\x1b[r\x1b8"...), n)
	f.top, f.bot = 1, f.rows
	f.row, f.under = span{1, f.rows}, max(f.under-n, 0)
	return f.appendRegion(dst, true)
}

// appendShift feeds n lines from the cursor and goes back up: where there is no room below it the
// text scrolls, where there is nothing happens.
func (f *Filter) appendShift(dst []byte, n int) []byte {
	if n <= 0 {
		return dst
	}
	for range n {
		dst = append(dst, "\x1bD"...)
	}
	return fmt.Appendf(dst, "\x1b[%dA", n)
}

// Resized tells a child that asked for reports by ?2048 what its size is.
func (f *Filter) Resized() {
	if f.modes.inBand {
		f.reply(fmt.Appendf(nil, "\x1b[48;%d;%d;%d;%dt", f.rows, f.cols, f.pixelRows(), f.pixelW))
	}
}
