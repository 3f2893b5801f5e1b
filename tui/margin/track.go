package margin

import (
	"bytes"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// span is a closed range that surely holds a value. A child that never addressed the screen
// absolutely leaves us with a wide one, and asking the terminal (CSI 6n) would put an answer
// among the human's keys. Safety needs only the upper end.
type span struct{ lo, hi int }

func (s span) exact() bool { return s.lo == s.hi }

// tracker follows the child's cursor as far as containment needs it. While the child's region
// reaches its last row every move is bounded by that margin and the cheap path is taken; a region
// that ends above it is the one case in which a line feed could walk into our rows.
//
// Rows count from 1, columns from 0; column cols means "about to wrap".
type tracker struct {
	rows, cols int
	top, bot   int // the child's scroll region, inclusive
	row, col   span
	// under is the largest number of rows below the cursor that may hold text: growing our rows
	// must not cover them.
	under  int
	origin bool // DECOM may be on
	unsure bool // ... and may be off: a saved cursor was restored, terminals differ about DECOM then
	tabs   bool // the child has set tab stops of its own
	lrmm   bool // DECLRMM: columns are then not followed
	nowrap bool // DECAWM off by the child
	forced bool // DECAWM off for containment: the child believes it on
}

func (t *tracker) reset(cols, rows int) {
	*t = tracker{rows: rows, cols: cols, top: 1, bot: rows, row: span{1, rows}, col: span{0, cols}}
}

func (t *tracker) narrow() bool { return t.bot < t.rows }

// inside says that the cursor is surely not below the child's region.
func (t *tracker) inside() bool { return t.row.hi <= t.bot }

// moveTo follows an absolute address; row is relative to the region with DECOM.
func (t *tracker) moveTo(row, col int) {
	at := clamp(row, 1, t.rows)
	to := span{at, at}
	if t.origin {
		rel := clamp(row+t.top-1, t.top, t.bot)
		if !t.unsure {
			to = span{rel, rel}
		} else {
			to = span{min(at, rel), max(at, rel)}
		}
	}
	if t.row.exact() {
		t.under = clamp(t.under+t.row.lo-to.lo, 0, t.rows)
	} else {
		t.under = t.rows
	}
	t.row = to
	t.setCol(col)
}

func (t *tracker) setCol(col int) {
	if t.lrmm {
		t.loseCol()
		return
	}
	col = clamp(col, 0, t.cols-1)
	t.col = span{col, col}
}

func (t *tracker) loseCol() { t.col = span{0, t.cols} }

// settle is for what takes the cursor off its wait beyond the last column on some terminals only.
func (t *tracker) settle() { t.col.lo = min(t.col.lo, t.cols-1) }

// feed follows n line feeds; CUD has the same bounds. down and lift are monotone, so the ends of
// the span bound everything between.
func (t *tracker) feed(n int) {
	t.under = max(0, t.under-n)
	t.row = span{t.down(t.row.lo, n), t.down(t.row.hi, n)}
}

func (t *tracker) down(row, n int) int {
	if row <= t.bot {
		return min(row+n, t.bot)
	}
	return min(row+n, t.rows)
}

func (t *tracker) up(n int) {
	t.settle()
	t.under = min(t.under+n, t.rows)
	t.row = span{t.lift(t.row.lo, n), t.lift(t.row.hi, n)}
}

func (t *tracker) lift(row, n int) int {
	if row >= t.top {
		return max(row-n, t.top)
	}
	return max(row-n, 1)
}

// text follows printable text and the C0 controls in it. It is called with whatever piece of
// text came in one read, so each step must give the same for two halves as for the whole.
func (t *tracker) text(p []byte) {
	if t.row.lo == t.bot && t.row.hi == t.bot && t.under == 0 {
		// On the bottom margin text and line feeds stay there: only the column is still open,
		// and that from the last carriage return on. Plain output passes at full speed so.
		if i := bytes.LastIndexByte(p, '\r'); i > 0 {
			p = p[i:]
		}
	}
	for len(p) > 0 {
		switch c := p[0]; {
		case c >= 0x20 && c < 0x7f:
			n := 1
			for n < len(p) && p[n] >= 0x20 && p[n] < 0x7f {
				n++
			}
			t.advance(span{n, n}, false)
			p = p[n:]
		case c < 0x80:
			t.control(c)
			p = p[1:]
		default:
			r, n := utf8.DecodeRune(p)
			t.advance(cellsOf(r), true)
			p = p[n:]
		}
	}
}

// cellsOf is the width of a character as terminals may see it. They agree about most scripts and
// disagree about emoji, dingbats and what combines.
func cellsOf(r rune) span {
	w := runewidth.RuneWidth(r)
	switch {
	case r == utf8.RuneError: // stands for wrong bytes: dropped, or shown one for one
		return span{0, 3}
	case w == 0, r >= 0x2600 && r < 0x2800, r >= 0x1f000, r >= 0x2300 && r < 0x2400:
		return span{min(w, 1), 2}
	}
	return span{w, w}
}

// advance follows n cells of text; a wide character wraps one column early. The cursor waits beyond the last column and wraps with the
// next character, never before.
func (t *tracker) advance(n span, wide bool) {
	lo, hi := t.col.lo+n.lo, t.col.hi+n.hi
	switch {
	case t.nowrap:
		t.col = span{min(lo, t.cols-1), min(hi, t.cols-1)}
	case t.forced:
		t.col = span{min(lo, t.cols), min(hi, t.cols)}
	case t.lrmm, wide && hi >= t.cols, !t.col.exact() && hi > t.cols:
		// It may have wrapped, once or more often.
		t.row.hi = t.down(t.row.hi, t.rows)
		t.loseCol()
	default:
		wraps := max(0, (hi-1)/t.cols)
		if wraps > 0 {
			t.feed(wraps)
		}
		t.col = span{lo - wraps*t.cols, hi - wraps*t.cols}
	}
}

func (t *tracker) control(c byte) {
	switch c {
	case '\r':
		t.setCol(0)
	case '\b':
		t.shift(-1)
	case '\t':
		if t.tabs || t.lrmm || t.narrow() {
			t.col = span{min(t.col.lo, t.cols-1), t.cols - 1}
			return
		}
		t.col = span{min(t.col.lo/8*8+8, t.cols-1), min(t.col.hi/8*8+8, t.cols-1)}
	case '\n', '\v', '\f':
		t.settle()
		t.feed(1)
	}
}

// shift follows a move within the row.
func (t *tracker) shift(n int) {
	if t.lrmm {
		t.loseCol()
		return
	}
	last := t.cols - 1
	if n < 0 && t.col.hi >= t.cols { // from "about to wrap" terminals differ by one
		t.col = span{clamp(t.col.lo+n-1, 0, last), last}
		return
	}
	t.col = span{clamp(t.col.lo+n, 0, last), clamp(t.col.hi+n, 0, last)}
}

func clamp(v, lo, hi int) int { return max(lo, min(v, hi)) }
