package margin

import (
	"slices"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// screen is what the child's alternate screen shows. Another program on the alternate screen
// destroys it (terminals have only one), and not every child draws again when asked, so it is
// kept: the emulator behind it is fed by the Filter with sequences that are already parsed, and
// only while the child is on that screen, where output is small. It is ours rather than a
// library because what is put back must be exact: wide and combined characters, all renditions,
// hyperlinks, the pending wrap. Images are not kept.
//
// All methods do nothing on a nil screen (the child is on the main screen).
type screen struct {
	cols, rows int
	lines      [][]cell
	x, y       int
	pending    bool // the cursor waits beyond the last column
	top, bot   int  // inclusive, from 0
	origin     bool
	wrap       bool
	insert     bool
	saved      place
	m          *modes // renditions, charsets and hyperlink are shared with the filter
	guess      bool   // the cursor's place is not known: nothing addressed it yet
	lostCol    bool   // the row is known, the column is not
	bad        bool   // the screen is not surely what the terminal shows
}

type cell struct {
	text string // "" = blank
	wide bool   // the cell after it belongs to it
	tail bool   // belongs to the cell before
	pen  pen
	link string
}

type place struct {
	x, y    int
	pending bool
	origin  bool
	pen     pen
}

func newScreen(f *Filter) *screen {
	s := &screen{cols: f.cols, rows: f.rows, bot: f.rows - 1, wrap: f.modes.wrap, insert: f.modes.insert,
		m: &f.modes, origin: f.origin}
	s.x, s.y = min(f.col.lo, f.cols-1), f.row.lo-1
	s.guess = !f.row.exact() || !f.col.exact()
	s.bad = f.modes.alt == 47 // comes back with what was on it before
	s.lines = make([][]cell, s.rows)
	for i := range s.lines {
		s.lines[i] = make([]cell, s.cols)
	}
	return s
}

// text takes text and C0 controls.
func (s *screen) text(p []byte) {
	if s == nil {
		return
	}
	for len(p) > 0 {
		if p[0] < 0x20 || p[0] == 0x7f {
			s.control(p[0])
			p = p[1:]
			continue
		}
		r, n := utf8.DecodeRune(p)
		s.put(r)
		p = p[n:]
	}
}

// graphics are DEC's line drawing characters for 0x60-0x7e.
const graphics = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"

func (s *screen) put(r rune) {
	if s.guess || s.lostCol || s.m.set[69] {
		s.bad = true
	}
	if s.m.g[btoi(s.m.shifted)] == '0' && r >= 0x60 && r < 0x7f {
		r = []rune(graphics)[r-0x60]
	}
	w := runewidth.RuneWidth(r)
	if w == 0 {
		s.combine(r)
		return
	}
	if s.pending && s.wrap {
		s.x = 0
		s.feed()
	}
	s.pending = false
	if s.x+w > s.cols {
		if s.wrap {
			s.x = 0
			s.feed()
		} else {
			s.x = max(s.cols-w, 0)
		}
	}
	if s.insert {
		s.shiftRight(w)
	}
	s.split(s.x)
	s.split(s.x + w)
	line := s.lines[s.y]
	line[s.x] = cell{text: string(r), wide: w == 2, pen: s.m.pen, link: s.m.link}
	if w == 2 && s.x+1 < s.cols {
		line[s.x+1] = cell{tail: true, pen: s.m.pen}
	}
	s.x += w
	if s.x >= s.cols {
		s.x, s.pending = s.cols-1, true
	}
}

// maxCombined bounds what can pile up in one cell.
const maxCombined = 64

func (s *screen) combine(r rune) {
	x := s.x - 1
	if s.pending {
		x = s.x
	}
	if x > 0 && x < s.cols && s.lines[s.y][x].tail {
		x--
	}
	if x >= 0 && s.lines[s.y][x].text != "" && len(s.lines[s.y][x].text) < maxCombined {
		s.lines[s.y][x].text += string(r)
	}
}

// split blanks a wide character whose halves would be parted at column x.
func (s *screen) split(x int) {
	line := s.lines[s.y]
	if x > 0 && x < s.cols && line[x].tail {
		line[x-1] = cell{pen: line[x-1].pen}
		line[x] = cell{pen: line[x].pen}
	}
}

func (s *screen) control(c byte) {
	if s == nil {
		return
	}
	switch c {
	case '\r':
		s.column(0)
	case '\b':
		s.x, s.pending = max(s.x-1, 0), false
	case '\t':
		s.x = min((s.x/8+1)*8, s.cols-1)
	case '\n', '\v', '\f':
		s.feed()
		if s.m.newline {
			s.x = 0
		}
	case 0x0e, 0x0f:
		s.m.shifted = c == 0x0e
	}
}

func (s *screen) feed() {
	s.pending = false
	switch {
	case s.y == s.bot:
		s.scrollUp(s.top, 1)
	case s.y < s.rows-1:
		s.y++
	}
}

func (s *screen) reverse() {
	if s == nil {
		return
	}
	s.pending = false
	switch {
	case s.y == s.top:
		s.scrollDown(s.top, 1)
	case s.y > 0:
		s.y--
	}
}

func (s *screen) blank() []cell {
	line := make([]cell, s.cols)
	s.fill(line)
	return line
}

// fill erases cells: the background colour stays, as with every terminal of today.
func (s *screen) fill(cells []cell) {
	for i := range cells {
		cells[i] = cell{pen: pen{bg: s.m.pen.bg}}
	}
}

func (s *screen) scrollUp(from, n int) {
	n = min(n, s.bot-from+1)
	copy(s.lines[from:s.bot+1], s.lines[from+n:s.bot+1])
	for y := s.bot - n + 1; y <= s.bot; y++ {
		s.lines[y] = s.blank()
	}
}

func (s *screen) scrollDown(from, n int) {
	n = min(n, s.bot-from+1)
	copy(s.lines[from+n:s.bot+1], s.lines[from:s.bot+1])
	for y := from; y < from+n; y++ {
		s.lines[y] = s.blank()
	}
}

func (s *screen) shiftRight(n int) {
	line := s.lines[s.y]
	n = min(n, s.cols-s.x)
	copy(line[s.x+n:], line[s.x:s.cols-n])
	s.fill(line[s.x : s.x+n])
}

func (s *screen) save() {
	if s != nil {
		s.saved = place{s.x, s.y, s.pending, s.origin, s.m.pen}
	}
}

func (s *screen) restore() {
	if s == nil {
		return
	}
	s.x, s.y = min(s.saved.x, s.cols-1), min(s.saved.y, s.rows-1)
	s.pending, s.origin, s.m.pen = s.saved.pending, s.saved.origin, s.saved.pen
}

func (s *screen) region(top, bot int) {
	if s == nil {
		return
	}
	s.top, s.bot = top-1, bot-1
	s.move(0, 0)
}

// openRegion ends the region and leaves the cursor.
func (s *screen) openRegion() {
	if s != nil {
		s.top, s.bot = 0, s.rows-1
	}
}

func (s *screen) originMode(on bool) {
	if s != nil {
		s.origin = on
		s.move(0, 0)
	}
}

func (s *screen) wrapMode(on bool) {
	if s != nil {
		s.wrap = on
	}
}

func (s *screen) insertMode(on bool) {
	if s != nil {
		s.insert = on
	}
}

func (s *screen) soft() {
	if s != nil {
		s.origin, s.wrap, s.insert, s.top, s.bot = false, true, false, 0, s.rows-1
		s.saved = place{}
	}
}

func (s *screen) clear() {
	if s != nil {
		for y := range s.lines {
			s.lines[y] = s.blank()
		}
		s.bad = s.bad && s.guess
	}
}

func (s *screen) align() {
	if s == nil {
		return
	}
	for _, line := range s.lines {
		for x := range line {
			line[x] = cell{text: "E"}
		}
	}
	s.top, s.bot, s.origin = 0, s.rows-1, false
	s.move(0, 0)
}

// resize keeps the upper left part, as terminals do on the alternate screen.
func (s *screen) resize(cols, rows int) {
	if s == nil {
		return
	}
	for len(s.lines) < rows {
		s.lines = append(s.lines, nil)
	}
	s.lines = s.lines[:rows]
	for y, line := range s.lines {
		line = slices.Clone(line[:min(len(line), cols)])
		s.lines[y] = append(line, make([]cell, cols-len(line))...)
		if last := &s.lines[y][cols-1]; last.wide {
			*last = cell{}
		}
	}
	s.cols, s.rows, s.top, s.bot = cols, rows, 0, rows-1
	s.x, s.y, s.pending = min(s.x, cols-1), min(s.y, rows-1), false
	s.saved.x, s.saved.y = min(s.saved.x, cols-1), min(s.saved.y, rows-1)
}
