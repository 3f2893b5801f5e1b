package margin

import "fmt"

// appendLayout gives the child another number of rows on the same terminal. Text that stood where
// our rows grow is scrolled up first: exactly as far as needed where the cursor's row is known,
// else so that the cursor's line stays.
func (f *Filter) appendLayout(dst []byte, rows int) []byte {
	old := f.rows
	if rows == old {
		return dst
	}
	dst = f.releaseWrap(dst)
	if f.origin {
		dst = f.originOff(dst)
	}
	if rows < old {
		dst = f.makeRoom(dst, rows)
	}
	f.size(f.cols, rows, f.height)
	dst = f.appendRegion(dst, true)
	dst = f.appendErase(dst, old+1, rows)
	f.wiped = f.ours() > 0
	return dst
}

// originOff ends DECOM, which homes the cursor: no terminal can do the one without the other.
func (f *Filter) originOff(dst []byte) []byte {
	f.origin, f.unsure = false, false
	delete(f.modes.set, 6)
	f.moveTo(1, 0)
	return append(dst, "\x1b[?6l"...)
}

func (f *Filter) makeRoom(dst []byte, rows int) []byte {
	k := f.rows - rows
	if f.narrow() || f.top > 1 {
		f.top, f.bot = 1, f.rows
		dst = f.appendRegion(dst, true)
	}
	switch {
	case f.shadow != nil: // the child draws its screen again; only the cursor must be inside
		if up := f.shadow.y + 1 - rows; up > 0 {
			dst = fmt.Appendf(dst, "\x1b[%dA", up)
			f.row = span{rows, rows}
		}
	case f.row.exact():
		scroll := min(f.row.lo+f.under, f.rows) - rows
		scroll = min(scroll, f.row.lo-1)
		if scroll > 0 {
			*f.slot() = slot{}
			dst = fmt.Appendf(dst, "\x1b7\x1b[%d;1H", f.rows)
			for range scroll {
				dst = append(dst, "\x1bD"...)
			}
			dst = fmt.Appendf(dst, "\x1b8\x1b[%dA", scroll)
			f.row = span{f.row.lo - scroll, f.row.lo - scroll}
		}
	default:
		dst = f.appendShift(dst, k)
	}
	return dst
}

// size sets the geometry; a region of the child ends with it, as terminals do on a resize.
func (f *Filter) size(cols, rows, height int) {
	if f.Alternate() && (rows != f.rows || height != f.height) {
		f.stale = true
	}
	if cols != f.cols {
		f.loseCol()
	}
	f.cols, f.rows, f.height = cols, rows, height
	f.top, f.bot = 1, rows
	f.row = span{min(f.row.lo, rows), min(f.row.hi, rows)}
	f.col = span{min(f.col.lo, cols), min(f.col.hi, cols)}
	f.under = min(f.under, rows)
	f.shadow.resize(cols, rows)
}

// appendResize follows a change of the real terminal, which has already moved its text about: it
// may have cut at the bottom, pulled lines out of the scrollback, or wrapped anew. What stays
// true is the order of lines, so what is left of our old rows is found by its distance from the
// cursor.
func (f *Filter) appendResize(dst []byte, cols, rows, height int) []byte {
	dst = f.releaseWrap(dst)
	below := 1
	if f.row.exact() {
		below = max(f.rows+1-f.row.lo, 1)
	}
	had := f.ours() > 0
	f.size(cols, rows, height)
	if f.shadow != nil {
		return f.redraw(dst)
	}
	if f.origin {
		dst = f.originOff(dst)
	}
	dst = append(dst, "\x1b7\x1b[r\x1b8"...)
	n := f.ours()
	dst = f.appendShift(dst, n)
	if had && n > 0 {
		dst = fmt.Appendf(dst, "\x1b7\x1b[%dB\r\x1b[0m\x1b[J\x1b8", below)
	}
	f.row = span{1, rows}
	f.wiped = n > 0
	return f.appendRegion(dst, true)
}

// redraw puts the child's alternate screen back from the shadow. The terminal is on it.
func (f *Filter) redraw(dst []byte) []byte {
	s := f.shadow
	dst = append(dst, "\x1b[?6l\x1b[4l\x1b[r\x1b[0m"...)
	if !s.bad {
		dst = append(dst, "\x1b[H\x1b[2J"...)
	}
	f.top, f.bot = s.top+1, s.bot+1
	dst = f.appendRegion(dst, false)
	f.forced = false
	dst = append(dst, f.modes.plainCharset()...)
	dst = s.draw(dst)
	dst = f.modes.charsets(dst)
	if s.insert {
		dst = append(dst, "\x1b[4h"...)
	}
	if f.modes.link != "" {
		dst = fmt.Appendf(dst, "\x1b]%s\x1b\\", f.modes.link)
	}
	if s.saved == (place{}) {
		f.slots[1] = slot{}
	}
	f.wiped = f.ours() > 0
	return dst
}
