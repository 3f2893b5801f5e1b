package margin

import (
	"bytes"
	"fmt"
	"strconv"
	stdstrings "strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// watch is a second opinion on where the cursor of a terminal is: xterm's rules for rows, written
// from its documentation and not from the filter, with a parser that is not ours. It knows no
// text, only which rows are written, and complains about a row that is not the child's.
type watch struct {
	cols, height, limit int // limit is the last row that is the child's
	row, col            int // from 1
	pending             bool
	top, bot            int
	origin, nowrap      bool
	lrmm                bool
	left, right         int
	saved               [2]savedPlace
	alt                 int
	state               byte
	complaint           string
}

type savedPlace struct {
	row, col        int
	pending, origin bool
}

func newWatch(cols, height, limit, row, col int) *watch {
	w := &watch{cols: cols, height: height, limit: limit, row: row, col: col, top: 1, bot: limit}
	w.saved = [2]savedPlace{{row: 1, col: 1}, {row: 1, col: 1}}
	w.left, w.right = 1, cols
	return w
}

func (w *watch) feed(p []byte) {
	p = plainStrings(p)
	for len(p) > 0 && w.complaint == "" {
		seq, width, n, state := ansi.DecodeSequence(p, w.state, nil)
		if n == 0 {
			return
		}
		w.state = state
		w.one(string(seq), width)
		p = p[n:]
		if w.row > w.limit {
			w.complaint = fmt.Sprintf("row %d after %q", w.row, seq)
		}
	}
}

// plainStrings writes an x for each byte of a character in a string: the decoder takes a 0x9c
// within one for the string's end, which no terminal does that is in UTF-8.
func plainStrings(p []byte) []byte {
	p = bytes.Clone(p)
	in, command := false, false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == 0x1b:
			in = i+1 < len(p) && bytes.IndexByte([]byte("]P_^X"), p[i+1]) >= 0
			command = in && p[i+1] == ']'
		case command && c == 0x07, c == 0x18, c == 0x1a, c >= 0x80 && c < 0xa0:
			in = false
		case in && c >= 0xc3:
			if _, n := utf8.DecodeRune(p[i:]); n > 1 {
				copy(p[i:], "xxxx"[:n])
				i += n - 1
			}
		}
	}
	return p
}

func (w *watch) one(seq string, width int) {
	switch {
	case width > 0:
		w.print(width)
	case stdstrings.HasPrefix(seq, "\x1b["):
		w.csi(seq[2:])
	case stdstrings.HasPrefix(stdstrings.TrimLeft(stdstrings.TrimPrefix(seq, "\x1b]"), "0"), "66;"):
		w.complaint = "text of several rows"
	case seq[0] == 0x9b:
		w.csi(seq[1:])
	case seq[0] == 0x1b && len(seq) >= 2:
		w.esc(seq[1:])
	case seq == "\n", seq == "\v", seq == "\f", seq == "\x84":
		w.feedLine()
	case seq == "\x85":
		w.feedLine()
		w.col = 1
	case seq == "\x8d":
		w.vertical(-1)
	case seq == "\r":
		w.col, w.pending = 1, false
	case seq == "\b":
		w.col, w.pending = max(w.col-1, 1), false
	}
}

func (w *watch) print(width int) {
	last := w.cols // text that begins beyond the right margin goes on to the edge
	if w.lrmm && w.col <= w.right {
		last = w.right
	}
	if w.pending && !w.nowrap {
		w.wrap()
	}
	w.pending = false
	if w.col+width-1 > last {
		if w.nowrap {
			return
		}
		w.wrap()
	}
	if w.row > w.limit {
		w.complaint = fmt.Sprintf("printed in row %d", w.row)
	}
	w.col += width
	if w.col > last {
		w.col, w.pending = last, true
	}
}

func (w *watch) wrap() {
	w.col = 1
	if w.lrmm {
		w.col = w.left
	}
	w.feedLine()
}

func (w *watch) feedLine() {
	w.pending = false
	if w.row != w.bot && w.row < w.height {
		w.row++
	}
	if w.row == w.bot && w.bot > w.limit {
		w.complaint = "scrolled our rows"
	}
}

func (w *watch) vertical(n int) {
	w.pending = false
	switch {
	case n > 0 && w.row <= w.bot:
		w.row = min(w.row+n, w.bot)
	case n > 0:
		w.row = min(w.row+n, w.height)
	case w.row >= w.top:
		w.row = max(w.row+n, w.top)
	default:
		w.row = max(w.row+n, 1)
	}
}

func (w *watch) move(row, col int) {
	w.pending = false
	last := w.height
	if w.origin {
		row += w.top - 1
		last = w.bot
	}
	w.row, w.col = clamp(row, 1, last), clamp(col, 1, w.cols)
}

func (w *watch) csi(body string) {
	if body == "" || body[len(body)-1] < 0x40 || body[len(body)-1] > 0x7e {
		return // not complete
	}
	private := body != "" && body[0] >= '<' && body[0] <= '?'
	final := body[len(body)-1]
	args := stdstrings.Split(stdstrings.Trim(body[:len(body)-1], "<=>?"), ";")
	if stdstrings.ContainsAny(body, " !\"#$%&'()*+,-./") {
		w.inter(body, args)
		return
	}
	if private {
		if body[0] == '?' && (final == 'h' || final == 'l') {
			w.modes(args, final == 'h')
		}
		return
	}
	arg := func(i, def int) int {
		if i >= len(args) {
			return def
		}
		n, err := strconv.Atoi(args[i])
		if err != nil && args[i] != "" {
			return 0
		}
		if n == 0 {
			return def
		}
		return n
	}
	switch final {
	case 'H', 'f':
		w.move(arg(0, 1), arg(1, 1))
	case 'd':
		w.move(arg(0, 1), w.col)
	case 'A':
		w.vertical(-arg(0, 1))
	case 'B':
		w.vertical(arg(0, 1))
	case 'E':
		w.vertical(arg(0, 1))
		w.col = 1
	case 'F':
		w.vertical(-arg(0, 1))
		w.col = 1
	case 'e': // xterm: not bounded by the margin
		w.row, w.pending = min(w.row+arg(0, 1), w.height), false
	case 'G', '`':
		w.col, w.pending = clamp(arg(0, 1), 1, w.cols), false
	case 'C', 'a':
		w.col, w.pending = min(w.col+arg(0, 1), w.cols), false
	case 'D':
		w.col, w.pending = max(w.col-arg(0, 1), 1), false
	case 'b':
		for range min(arg(0, 1), w.cols*w.height) {
			w.print(1)
		}
	case 'r':
		if top, bot := arg(0, 1), min(arg(1, w.height), w.height); top < bot {
			w.top, w.bot = top, bot
			w.move(1, 1)
			if bot > w.limit {
				w.complaint = "region over our rows"
			}
		}
	case 's':
		if !w.lrmm {
			w.save()
			break
		}
		if left, right := arg(0, 1), min(arg(1, w.cols), w.cols); left < right {
			w.left, w.right = left, right
			w.move(1, 1)
		}
	case 'u':
		w.restore()
	case 't':
		if arg(0, 0) == 8 || arg(0, 0) >= 24 {
			w.complaint = "resized the terminal"
		}
	}
}

func (w *watch) inter(body string, args []string) {
	last := func(i int) int {
		if i < len(args) {
			if n, err := strconv.Atoi(stdstrings.Trim(args[i], " !\"#$%&'()*+,-./xz{rtv")); err == nil && n > 0 {
				return n
			}
		}
		return w.height
	}
	switch kind := body[len(body)-2:]; kind {
	case "!p":
		w.top, w.bot, w.origin, w.nowrap, w.lrmm = 1, w.height, false, false, false
		w.saved[w.alt] = savedPlace{row: 1, col: 1}
	case "$x":
		if last(3) > w.limit {
			w.complaint = "filled our rows: " + body
		}
	case "$z", "${", "$r", "$t":
		if last(2) > w.limit {
			w.complaint = "changed our rows: " + body
		}
	}
}

func (w *watch) modes(args []string, on bool) {
	for _, arg := range args {
		switch arg {
		case "6":
			w.origin = on
			w.move(1, 1)
		case "7":
			w.nowrap = !on
		case "69":
			w.lrmm, w.left, w.right = on, 1, w.cols
		case "3", "45", "1045", "40", "38":
			w.complaint = "mode " + arg
		case "1048":
			if on {
				w.save()
			} else {
				w.restore()
			}
		case "47", "1047":
			w.alt = btoi(on)
		case "1049":
			if on {
				w.save()
				w.alt = 1
			} else {
				w.alt = 0
				w.restore()
			}
		}
	}
}

func (w *watch) esc(seq string) {
	switch seq {
	case "7":
		w.save()
	case "8":
		w.restore()
	case "D":
		w.feedLine()
	case "E":
		w.feedLine()
		w.col = 1
	case "M":
		w.vertical(-1)
	case "c":
		*w = *newWatch(w.cols, w.height, w.limit, 1, 1)
		w.bot = w.height
	case "#8":
		w.top, w.bot, w.origin = 1, w.height, false
		w.move(1, 1)
	case "l", "m", "F":
		w.complaint = "memory lock"
	}
}

func (w *watch) save() { w.saved[w.alt] = savedPlace{w.row, w.col, w.pending, w.origin} }

func (w *watch) restore() {
	s := w.saved[w.alt]
	w.row, w.col, w.pending, w.origin = s.row, s.col, s.pending, s.origin
}
