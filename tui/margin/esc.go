package margin

import "fmt"

// esc treats ESC c (or the C1 control that it spells); the bytes are held.
func (f *Filter) esc(dst []byte, c byte) []byte {
	switch c {
	case '7':
		return f.save(dst)
	case '8':
		return f.restore(dst)
	case 'D':
		return f.lineFeed(dst, f.buf...)
	case 'E':
		f.setCol(0)
		return f.lineFeed(dst, f.buf...)
	case 'M':
		f.up(1)
		f.shadow.reverse()
	case 'c':
		return f.hardReset(dst)
	case 'l', 'm', 'F':
		return dst
	case 'H':
		f.tabs = true
	case '=', '>':
		f.modes.keypad = c == '='
	case 'n', 'o':
		f.loseCol()
	case '\\':
		return f.stringEnd(dst)
	}
	return append(dst, f.buf...)
}

// stringEnd passes ST. An image that reaches into our rows is taken away in the same breath, so
// that a child which sends one after the other never covers them.
func (f *Filter) stringEnd(dst []byte) []byte {
	dst = append(dst, f.buf...)
	if f.imaged && !f.modes.chunk {
		for y := f.rows + 1; y <= f.height; y++ {
			dst = appendNoImages(dst, y)
		}
	}
	f.imaged = false
	return dst
}

// escInter treats ESC with intermediate bytes.
func (f *Filter) escInter(dst []byte, inter, c byte) []byte {
	switch inter {
	case '(', ')', '*', '+':
		f.modes.charset(inter, c)
	case '#':
		if c == '8' {
			return f.align(dst)
		}
	case '-', '.', '/':
	case '%':
		if c != 'G' {
			return dst
		}
	case ' ':
		if c == 'G' {
			return dst
		}
	default:
		return dst
	}
	return append(dst, f.buf...)
}

// c0 passes a control character.
func (f *Filter) c0(dst []byte, c byte) []byte {
	switch c {
	case '\n', '\v', '\f':
		if f.modes.newline {
			f.setCol(0)
		}
		return f.lineFeed(dst, c)
	case 0x0e, 0x0f:
		f.modes.shifted = c == 0x0e
	}
	f.control(c)
	f.shadow.control(c)
	return append(dst, c)
}

// lineFeed passes LF, VT, FF, IND or NEL. On the last row, below a region, the child's terminal
// would stay where it is, and ours has a row more: it is left out. Where the row is not known
// well enough for that, the region is widened to the child's last row: then it scrolls there.
func (f *Filter) lineFeed(dst []byte, raw ...byte) []byte {
	if f.ours() > 0 && !f.inside() && f.row.hi == f.rows {
		if f.row.exact() {
			if f.modes.newline || raw[len(raw)-1] == 'E' {
				dst = append(dst, '\r')
			}
			return dst
		}
		dst = f.releaseWrap(dst)
		f.bot = f.rows
		dst = f.appendRegion(dst, true)
	}
	f.settle()
	f.feed(1)
	f.shadow.control('\n')
	if raw[len(raw)-1] == 'E' || f.modes.newline {
		f.shadow.control('\r')
	}
	return append(dst, raw...)
}

// appendRegion writes the region that the terminal must have. With keep the cursor stays, which
// costs the DECSC slot.
func (f *Filter) appendRegion(dst []byte, keep bool) []byte {
	if f.ours() == 0 && f.top == 1 && f.bot == f.rows {
		if !keep {
			return append(dst, "\x1b[r"...)
		}
		return append(dst, "\x1b7\x1b[r\x1b8"...)
	}
	if !keep {
		return fmt.Appendf(dst, "\x1b[%d;%dr", f.top, f.bot)
	}
	*f.slot() = slot{}
	return fmt.Appendf(dst, "\x1b7\x1b[%d;%dr\x1b8", f.top, f.bot)
}

// beforePrint keeps text of up to n cells from wrapping off row R while the cursor may be below
// the child's region. Autowrap is off then. On row R itself the child's terminal would wrap to
// the start of the same row, and a carriage return does just that.
func (f *Filter) beforePrint(dst []byte, n int) []byte {
	if f.ours() == 0 || !f.narrow() {
		return f.releaseWrap(dst)
	}
	if f.inside() || f.row.hi+1+n/f.cols <= f.rows {
		return f.releaseWrap(dst)
	}
	if !f.forced && f.modes.wrap {
		f.forced = true
		dst = append(dst, "\x1b[?7l"...)
	}
	if f.forced && f.row.exact() && f.row.lo == f.rows && f.col.lo == f.cols {
		f.setCol(0)
		f.shadow.control('\r')
		dst = append(dst, '\r')
	}
	return dst
}

// releaseWrap gives the child's autowrap back.
func (f *Filter) releaseWrap(dst []byte) []byte {
	if !f.forced {
		return dst
	}
	f.forced = false
	if f.modes.wrap {
		return append(dst, "\x1b[?7h"...)
	}
	return dst
}

// hardReset passes RIS and sets the region that it lost before another byte can scroll.
func (f *Filter) hardReset(dst []byte) []byte {
	dst = append(dst, f.buf...)
	f.modes.reset()
	f.slots = [2]slot{}
	f.forced, f.stale, f.hadOrigin = false, false, false
	f.tracker.reset(f.cols, f.rows)
	f.shadow = nil
	f.moveTo(1, 0)
	f.under = 0
	return f.wipedRegion(dst, false)
}

// softReset passes DECSTR: modes, margins and the saved cursor go, cursor and text stay. Not every
// terminal knows it (tmux does not), so what we have to rely on is said again. DECOM cannot be
// without moving the cursor: it may be on from here.
func (f *Filter) softReset(dst []byte) []byte {
	dst = append(dst, f.buf...)
	if f.ours() > 0 {
		if f.modes.insert {
			dst = append(dst, "\x1b[4l"...)
		}
		if !f.modes.wrap || f.forced {
			dst = append(dst, "\x1b[?7h"...)
		}
		if f.lrmm {
			dst = append(dst, "\x1b[?69l"...)
		}
	}
	f.modes.soft()
	*f.slot() = slot{}
	f.forced, f.nowrap, f.lrmm = false, false, false
	f.origin, f.unsure = f.hadOrigin, f.hadOrigin
	f.top, f.bot = 1, f.rows
	f.shadow.soft()
	return f.wipedRegion(dst, true)
}

// align passes DECALN, which fills the screen, and resets margins and cursor.
func (f *Filter) align(dst []byte) []byte {
	dst = f.releaseWrap(append(dst, f.buf...))
	f.top, f.bot = 1, f.rows
	if f.origin && f.ours() > 0 { // not every terminal does this by itself
		dst = append(dst, "\x1b[?6l"...)
	}
	f.origin, f.unsure = false, false
	f.moveTo(1, 0)
	f.shadow.align()
	return f.wipedRegion(dst, false)
}

func (f *Filter) wipedRegion(dst []byte, keep bool) []byte {
	if f.ours() == 0 {
		return dst
	}
	f.wiped = true
	return f.appendRegion(dst, keep)
}
