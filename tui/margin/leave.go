package margin

import "fmt"

// appendLeave makes the terminal plain for another program: main screen, no region, our rows
// erased, no mode of the child. The filter keeps knowing all of it.
func (f *Filter) appendLeave(dst []byte) []byte {
	dst = f.releaseWrap(dst)
	dst = f.modes.neutral(dst, f.Alternate())
	if f.Alternate() {
		dst = append(dst, "\x1b[?6l\x1b[?69l\x1b[r"...)
		dst = appendMode(dst, f.modes.alt, false)
		dst = f.modes.kitty[0].off(dst)
		return f.appendEraseOurs(dst)
	}
	if f.lrmm {
		dst = append(dst, "\x1b[?69l"...)
	}
	if f.origin { // homes the cursor, and so does setting it again: appendBack
		dst = append(dst, "\x1b[?6l"...)
	}
	if !f.clean {
		f.slots[0] = slot{}
	}
	dst = append(dst, "\x1b7\x1b[r\x1b8"...)
	return f.appendEraseOurs(dst)
}

// appendEraseOurs erases our rows; the region is open, the cursor stays.
func (f *Filter) appendEraseOurs(dst []byte) []byte {
	if f.ours() == 0 {
		return dst
	}
	return fmt.Appendf(dst, "\x1b7\x1b[%d;1H\x1b[0m\x1b[J\x1b8", f.rows+1)
}

// appendEnter puts the child's alternate screen back.
func (f *Filter) appendEnter(dst []byte) []byte {
	dst = f.modes.kitty[0].on(dst)
	f.stale = true
	dst = appendMode(dst, f.modes.alt, true)
	return f.redraw(dst)
}

// appendBack sets DECOM again after appendLeave, and what it costs: the cursor's place.
func (f *Filter) appendBack(dst []byte) []byte {
	if !f.origin || f.Alternate() {
		return dst
	}
	dst = append(dst, "\x1b[?6h"...)
	if f.row.exact() && f.col.exact() {
		dst = fmt.Appendf(dst, "\x1b[%d;%dH", f.row.lo-f.top+1, f.col.lo+1)
	}
	return dst
}

// appendFinish gives the terminal to whoever comes after the child, from any state.
func (f *Filter) appendFinish(dst []byte) []byte {
	dst = f.appendLeave(f.Abort(dst))
	return append(f.modes.tints.off(dst), "\x1b[0m"...)
}
