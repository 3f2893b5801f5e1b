package margin

import (
	"fmt"
	"unicode/utf8"
)

// csi follows a control sequence, after the filter has clamped it.
func (s *screen) csi(q *sequence) {
	if s == nil || q.inter != 0 {
		return
	}
	switch q.final {
	case 'H', 'f':
		s.move(q.count(0)-1, q.count(1)-1)
	case 'd':
		s.move(q.count(0)-1, s.x)
	case 'G', '`':
		s.column(q.count(0) - 1)
	case 'A':
		s.vertical(-q.count(0))
	case 'B', 'e':
		s.vertical(q.count(0))
	case 'E':
		s.vertical(q.arg(0, 1))
		s.column(0)
	case 'F':
		s.vertical(-q.count(0))
		s.column(0)
	case 'C', 'a':
		s.nudge(q.count(0))
	case 'D', 'j':
		s.nudge(-q.count(0))
	case 'I':
		s.column((s.x/8 + q.count(0)) * 8)
	case 'Z':
		s.column(((s.x+7)/8 - q.count(0)) * 8)
	case 'b':
		s.repeat(q.count(0))
	default:
		s.edit(q)
	}
}

// edit follows what changes text and leaves the cursor.
func (s *screen) edit(q *sequence) {
	n := q.count(0)
	switch q.final {
	case 'J':
		s.eraseDisplay(q.arg(0, 0))
	case 'K':
		s.eraseLine(q.arg(0, 0))
	case 'X':
		s.erase(s.x, min(s.x+n, s.cols))
	case 'P':
		s.split(s.x)
		line := s.lines[s.y]
		n = min(n, s.cols-s.x)
		copy(line[s.x:], line[s.x+n:])
		s.fill(line[s.cols-n:])
	case '@':
		s.split(s.x)
		s.shiftRight(n)
	case 'L', 'M':
		if s.y < s.top || s.y > s.bot {
			return
		}
		if q.final == 'L' {
			s.scrollDown(s.y, n)
		} else {
			s.scrollUp(s.y, n)
		}
		// xterm goes to the first column here, tmux stays: nobody knows until a column is given.
		s.lostCol, s.pending = s.x > 0, false
	case 'S':
		s.scrollUp(s.top, n)
	case 'T', '^':
		if len(q.args) < 2 {
			s.scrollDown(s.top, n)
		}
	}
}

func (s *screen) move(row, col int) {
	first, last := 0, s.rows-1
	if s.origin {
		row += s.top
		first, last = s.top, s.bot
	}
	s.y = clamp(row, first, last)
	s.guess = false
	s.column(col)
}

func (s *screen) column(x int) {
	s.lostCol = false
	s.x, s.pending = clamp(x, 0, s.cols-1), false
}

// nudge moves within the row, from wherever the cursor is.
func (s *screen) nudge(n int) {
	lost := s.lostCol
	s.column(s.x + n)
	s.lostCol = lost
}

func (s *screen) vertical(n int) {
	s.pending = false
	switch {
	case n > 0 && s.y <= s.bot:
		s.y = min(s.y+n, s.bot)
	case n > 0:
		s.y = min(s.y+n, s.rows-1)
	case s.y >= s.top:
		s.y = max(s.y+n, s.top)
	default:
		s.y = max(s.y+n, 0)
	}
}

// repeat writes the character before the cursor n times more.
func (s *screen) repeat(n int) {
	x := s.x - 1
	if s.pending {
		x = s.x
	}
	if x < 0 || s.lines[s.y][x].text == "" {
		return
	}
	r, _ := utf8.DecodeRuneInString(s.lines[s.y][x].text)
	for range min(n, s.cols*s.rows) {
		s.put(r)
	}
}

func (s *screen) erase(from, to int) {
	if from >= to {
		return
	}
	s.split(from)
	s.split(to)
	s.fill(s.lines[s.y][from:to])
	s.lostCol = s.lostCol || s.pending // does the wait beyond the last column end here? xterm says yes, tmux no
}

func (s *screen) eraseLine(what int) {
	switch what {
	case 0:
		s.erase(s.x, s.cols)
	case 1:
		s.erase(0, s.x+1)
	case 2:
		s.erase(0, s.cols)
	}
}

func (s *screen) eraseDisplay(what int) {
	from, to := s.y+1, s.rows
	switch what {
	case 0, 1:
		s.eraseLine(what)
		if what == 1 {
			from, to = 0, s.y
		}
	case 2:
		s.clear()
		return
	default:
		return
	}
	for y := from; y < to; y++ {
		s.lines[y] = s.blank()
	}
}

// draw writes the screen to a terminal that has just switched to an empty alternate screen with
// the child's region set and its modes plain. The cursor ends where the child's is, the
// rendition is the child's.
func (s *screen) draw(dst []byte) []byte {
	dst = append(dst, "\x1b[?7l"...)
	for y, line := range s.lines {
		dst = drawLine(dst, y+1, line)
	}
	if s.wrap {
		dst = append(dst, "\x1b[?7h"...)
	}
	if s.saved != (place{}) {
		dst = s.put1(dst, s.saved)
		dst = append(dst, "\x1b7"...)
	}
	dst = s.put1(dst, place{s.x, s.y, s.pending, s.origin, s.m.pen})
	return dst
}

// put1 brings the terminal's cursor to a place. The pending wrap exists only right after a
// character, so the one that stands there is written again.
func (s *screen) put1(dst []byte, p place) []byte {
	x := p.x
	dst = append(dst, "\x1b[0m\x1b[?6l"...)
	if p.origin {
		dst = append(dst, "\x1b[?6h"...)
	}
	row := p.y + 1
	if p.origin {
		row -= s.top
	}
	if p.pending && s.wrap {
		if s.lines[p.y][x].tail && x > 0 {
			x--
		}
		c := s.lines[p.y][x]
		dst = fmt.Appendf(dst, "\x1b[%d;%dH", row, x+1)
		if c.text == "" {
			c.text = " "
		}
		dst = append(c.pen.append(dst), c.text...)
		dst = append(dst, "\x1b[0m"...)
	} else {
		dst = fmt.Appendf(dst, "\x1b[%d;%dH", row, x+1)
	}
	return p.pen.append(dst)
}

// drawLine writes one line where it differs from an empty one.
func drawLine(dst []byte, row int, line []cell) []byte {
	end := len(line)
	for end > 0 && line[end-1] == (cell{}) {
		end--
	}
	if end == 0 {
		return dst
	}
	dst = fmt.Appendf(dst, "\x1b[%d;1H\x1b[0m", row)
	var p pen
	link := ""
	for _, c := range line[:end] {
		if c.tail {
			continue
		}
		if c.pen != p {
			p = c.pen
			dst = p.append(append(dst, "\x1b[0m"...))
		}
		if c.link != link {
			link = c.link
			dst = append(append(append(dst, "\x1b]"...), orNoLink(link)...), "\x1b\\"...)
		}
		if c.text == "" {
			c.text = " "
		}
		dst = append(dst, c.text...)
	}
	if link != "" {
		dst = append(dst, "\x1b]8;;\x1b\\"...)
	}
	return append(dst, "\x1b[0m"...)
}

func orNoLink(link string) string {
	if link == "" {
		return "8;;"
	}
	return link
}
