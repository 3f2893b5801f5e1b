package margin

import (
	"fmt"
	stdstrings "strings"

	"github.com/charmbracelet/x/ansi"
)

// appendPaint writes our rows around the child's cursor, rendition and modes. The caller has
// asked Safe, or has waited long enough to break in: then a frame of the child ends here, and a
// cursor that it had saved is lost.
//
// DECSC is the only way to come back to a place that we do not know, and a screen has one slot
// for it. Unused by the child it is ours; right after ESC 7 or ESC 8 of the child the slot holds
// just what the cursor is, and saving once more changes nothing.
func (f *Filter) appendPaint(dst []byte, rows []string) []byte {
	m := &f.modes
	if !f.clean {
		*f.slot() = slot{}
	}
	dst = append(dst, "\x1b\\"...) // ends what a terminal may still take for a string
	if !m.frame {
		dst = append(dst, "\x1b[?2026h"...)
	}
	dst = append(dst, "\x1b7"...)
	dst = f.plainForPaint(dst)
	for i, row := range rows {
		dst = f.appendRow(dst, f.rows+1+i, row)
	}
	dst = f.childAgain(dst)
	m.frame = false
	f.wiped = false
	return append(dst, "\x1b[?2026l"...)
}

// plainForPaint switches off what would bend our rows.
func (f *Filter) plainForPaint(dst []byte) []byte {
	m := &f.modes
	if !m.hidden {
		dst = append(dst, "\x1b[?25l"...)
	}
	if f.origin {
		dst = append(dst, "\x1b[?6l"...)
	}
	if f.lrmm {
		dst = append(dst, "\x1b[?69l"...)
	}
	if m.insert {
		dst = append(dst, "\x1b[4l"...)
	}
	if m.link != "" {
		dst = append(dst, "\x1b]8;;\x1b\\"...)
	}
	return append(append(dst, m.plainCharset()...), "\x1b[?7l"...)
}

// childAgain is plainForPaint undone. What moves the cursor comes before ESC 8.
func (f *Filter) childAgain(dst []byte) []byte {
	m := &f.modes
	if f.lrmm {
		dst = fmt.Appendf(dst, "\x1b[?69h\x1b[%d;%ds", m.left, m.right)
	}
	if f.origin && !f.unsure {
		dst = append(dst, "\x1b[?6h"...)
	}
	if m.insert {
		dst = append(dst, "\x1b[4h"...)
	}
	if m.wrap && !f.forced {
		dst = append(dst, "\x1b[?7h"...)
	}
	dst = append(dst, "\x1b8"...)
	if m.plainCharset() != "" {
		dst = m.charsets(dst)
	}
	if m.link != "" {
		dst = fmt.Appendf(dst, "\x1b]%s\x1b\\", m.link)
	}
	if !m.hidden {
		dst = append(dst, "\x1b[?25h"...)
	}
	return dst
}

// appendRow writes one row of ours; its text is already fitted.
func (f *Filter) appendRow(dst []byte, y int, text string) []byte {
	if f.modes.graphics && !f.modes.chunk {
		dst = appendNoImages(dst, y)
	}
	dst = fmt.Appendf(dst, "\x1b[%d;1H\x1b[0m", y)
	dst = append(append(dst, text...), "\x1b[0m"...)
	if ansi.StringWidth(text) < f.cols {
		dst = append(dst, "\x1b[K"...)
	}
	return dst
}

// appendNoImages takes away the kitty images that reach into a row: text does not erase those.
func appendNoImages(dst []byte, y int) []byte {
	return fmt.Appendf(dst, "\x1b_Ga=d,d=y,y=%d,q=2\x1b\\", y)
}

// appendErase clears rows from first to last within a painting of its own.
func (f *Filter) appendErase(dst []byte, first, last int) []byte {
	if first > last {
		return dst
	}
	*f.slot() = slot{}
	dst = f.plainForPaint(append(dst, "\x1b7"...))
	for y := first; y <= last; y++ {
		dst = f.appendRow(dst, y, "")
	}
	return f.childAgain(dst)
}

// fit makes one row of ours harmless and no wider than width: SGR and OSC 8 stay, other
// sequences and controls go.
func fit(row string, width int) string {
	var b stdstrings.Builder
	var state byte
	for len(row) > 0 {
		seq, w, n, next := ansi.DecodeSequence(row, state, nil)
		state, row = next, row[n:]
		if w > 0 || allowed(seq) {
			b.WriteString(seq)
		}
	}
	return ansi.Truncate(b.String(), width, "")
}

func allowed(seq string) bool {
	return stdstrings.HasPrefix(seq, "\x1b[") && seq[len(seq)-1] == 'm' ||
		stdstrings.HasPrefix(seq, "\x1b]8;")
}

// fitAll fits rows, the last max of them.
func fitAll(rows []string, width, max int) []string {
	if len(rows) > max {
		rows = rows[len(rows)-max:]
	}
	fitted := make([]string, len(rows))
	for i, row := range rows {
		fitted[i] = fit(row, width)
	}
	return fitted
}

// room is how many rows may be ours on a terminal of this height: half, and none on a low one.
func room(height int) int {
	if height < MinHeight {
		return 0
	}
	return height / 2
}
