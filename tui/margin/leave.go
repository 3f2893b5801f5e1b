package margin

import (
	"fmt"
	"io"
)

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
	return append(f.appendLeave(f.Abort(dst)), "\x1b[0m"...)
}

// Reset writes what repairs a terminal whose wrapper was killed: no region, no modes, main
// screen, the cursor visible and below the text. It is harmless on a terminal that needs none.
func Reset(w io.Writer) error {
	_, err := io.WriteString(w, "\x18\x1b\\"+ // ends any sequence, any string
		"\x1b[?2026l\x1b[?47l\x1b[?1049l"+
		"\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8"+
		"\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1007l\x1b[?1015l\x1b[?1016l"+
		"\x1b[?1l\x1b[?5l\x1b[?66l\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b>"+
		"\x1b[<99u\x1b[=0;1u\x1b[>4m"+
		"\x1b[4l\x1b[20l\x0f\x1b(B\x1b]8;;\x1b\\\x1b[0m\x1b[?7h\x1b[?25h\x1b[0 q\x1b[J")
	if err != nil {
		return fmt.Errorf("margin: reset: %w", err)
	}
	return nil
}
