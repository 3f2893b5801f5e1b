package margin

import (
	"fmt"
	"io"
)

// State is what has to be known of the screen to put it back after a kill -9 of this process.
type State struct {
	// Alternate is the mode by which the alternate screen was entered (47, 1047, 1049), 0 on the
	// main screen.
	Alternate int `json:"alternate"`
	// Rows is the number of the child's rows, Height that of the terminal; ours are between.
	Rows   int `json:"rows"`
	Height int `json:"height"`
	// Origin says that addresses may be relative to the region (DECOM).
	Origin bool `json:"origin,omitempty"`
	// Tints are the colours that the child has changed, a bit for the number of each OSC.
	Tints uint32 `json:"tints,omitempty"`
}

// plainModes switches off what a child may have left on. It is harmless where nothing is on.
const plainModes = "\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1007l\x1b[?1015l\x1b[?1016l" +
	"\x1b[?1l\x1b[?5l\x1b[?66l\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b>" +
	plainKeyboard + "\x1b[>4m" +
	"\x1b[4l\x1b[20l\x0f\x1b(B\x1b]8;;\x1b\\\x1b[0m\x1b[?7h\x1b[?25h\x1b[0 q"

// plainColours gives the palette, text, background, cursor and pointer back.
const plainColours = "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b]22;\x1b\\"

// plainKeyboard empties kitty's stack of flags, which each screen has one of.
const plainKeyboard = "\x1b[<99u\x1b[=0;1u"

// endsAnything ends a sequence, a string and a frame that the killed process may have begun.
const endsAnything = "\x18\x1b\\\x1b[?2026l"

// openRegion takes margins away and keeps the cursor.
const openRegion = "\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8"

// append writes what puts the screen back: no region, no modes, the main screen, our rows
// erased, the cursor where the child's was. Unlike Reset it knows which screen it finds: to leave
// the alternate one without being on it moves the cursor on some terminals.
func (s State) append(dst []byte) []byte {
	dst = append(dst, endsAnything+openRegion...)
	if s.Alternate != 0 {
		dst = append(dst, plainKeyboard...)
		dst = append(appendMode(dst, s.Alternate, false), openRegion...)
	}
	dst = tints(s.Tints).off(append(dst, plainModes...))
	if s.Rows < s.Height {
		dst = fmt.Appendf(dst, "\x1b7\x1b[%d;1H\x1b[J\x1b8", s.Rows+1)
	}
	if s.Origin && s.Alternate == 0 { // to end it homes the cursor, above the text
		dst = fmt.Appendf(dst, "\x1b[?6l\x1b[%d;1H", s.Rows)
	}
	return dst
}

// Reset writes what repairs a terminal whose wrapper was killed, for whoever knows nothing of
// its state: no region, no modes, main screen, the cursor visible and below the text. It is
// harmless on a terminal that needs none, but for colours that were set by hand since it began.
func Reset(w io.Writer) error {
	_, err := io.WriteString(w, endsAnything+plainKeyboard+"\x1b[?47l\x1b[?1049l"+openRegion+plainModes+plainColours+"\x1b[J")
	if err != nil {
		return fmt.Errorf("margin: reset: %w", err)
	}
	return nil
}
