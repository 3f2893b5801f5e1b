package tui

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// What is kept of a child's output: enough to scroll back through a build.
const (
	keepLines     = 5_000
	keepLineBytes = 8 << 20
	lineMost      = 4_096 // cells of a line; what is beyond is left out
	cellMost      = 32    // bytes of a cell: a letter with its accents
	paramMost     = 128   // bytes of a control sequence's parameters
)

// output turns what a child writes into lines. Colours and attributes are kept; carriage
// return, backspace, tab, erase-in-line and movement within the line are obeyed, so that
// progress bars look as they should; every other control is dropped, so that nothing gets
// from the child to the terminal but text and SGR. It takes its input in pieces of any
// size. Not safe for concurrent use.
type output struct {
	lines []textLine
	first int // the number of lines[0], counted from the start
	bytes int

	cur   []textCell // the line that is being written
	col   int
	attrs attrs
	style string // attrs as SGR parameters

	state  outputState
	params []byte
	runes  []byte // the beginning of a character
}

// textLine is a line as runs of one style each.
type textLine []textRun

type textRun struct{ style, text string }

// textCell is what stands in one cell; the second cell of a wide character is empty.
type textCell struct{ text, style string }

type outputState byte

const (
	ground outputState = iota
	escape
	escapeMore // after an intermediate byte: one more ends it
	control    // CSI
	text       // OSC, DCS, SOS, PM, APC: dropped up to its end
	textEscape
)

// Write takes in p. It never fails.
func (o *output) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if n := o.plain(p[i:]); n > 0 {
			i += n
			continue
		}
		o.byte(p[i])
		i++
	}
	return len(p), nil
}

// plain takes in a run of ASCII at the end of the line, which is nearly everything that a
// child writes, without looking at each byte's meaning. It returns how long the run was.
func (o *output) plain(p []byte) int {
	if o.state != ground || len(o.runes) > 0 || o.col != len(o.cur) {
		return 0
	}
	n := 0
	for n < len(p) && o.col < lineMost && p[n] >= 0x20 && p[n] < 0x7f {
		o.cur = append(o.cur, textCell{string(p[n : n+1]), o.style}) // a single byte takes no memory
		o.col++
		n++
	}
	return n
}

func (o *output) byte(b byte) {
	switch o.state {
	case ground:
		o.groundByte(b)
	case escape:
		o.escapeByte(b)
	case escapeMore:
		if b >= 0x30 || b == 0x1b {
			o.state = ground
		}
	case control:
		o.controlByte(b)
	case text:
		switch b {
		case 0x1b:
			o.state = textEscape
		case 0x07, 0x18, 0x1a:
			o.state = ground
		}
	case textEscape:
		o.state = ground
		if b != '\\' {
			o.escapeByte(b)
		}
	}
}

func (o *output) groundByte(b byte) {
	if len(o.runes) > 0 || b >= utf8.RuneSelf {
		o.runeByte(b)
		return
	}
	switch b {
	case 0x1b:
		o.state = escape
	case '\n':
		o.newline()
	case '\r':
		o.col = 0
	case '\b':
		o.col = max(o.col-1, 0)
	case '\t':
		for next := min(o.col/8*8+8, lineMost); o.col < next; {
			o.put(" ", 1)
		}
	default:
		if b >= 0x20 && b != 0x7f {
			o.put(string([]byte{b}), 1)
		}
	}
}

// runeByte gathers a character of more than one byte.
func (o *output) runeByte(b byte) {
	if b < utf8.RuneSelf { // it was cut off
		o.runes = o.runes[:0]
		o.put("\ufffd", 1)
		o.byte(b)
		return
	}
	o.runes = append(o.runes, b)
	if !utf8.FullRune(o.runes) {
		return
	}
	r, size := utf8.DecodeRune(o.runes)
	rest := append([]byte(nil), o.runes[size:]...)
	o.runes = o.runes[:0]
	o.putRune(r)
	for _, b := range rest {
		o.byte(b)
	}
}

func (o *output) putRune(r rune) {
	const joiner = '\u200d'
	if unicode.IsControl(r) || r != joiner && unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
		return
	}
	s := string(r)
	if w := ansi.StringWidth(s); w > 0 {
		o.put(s, w)
		return
	}
	// An accent belongs to the character before.
	for i := min(o.col, len(o.cur)) - 1; i >= 0; i-- {
		if c := &o.cur[i]; c.text != "" {
			if len(c.text)+len(s) <= cellMost {
				c.text += s
			}
			return
		}
	}
}

// put writes a character over what is at the cursor.
func (o *output) put(s string, width int) {
	if o.col+width > lineMost {
		return
	}
	for len(o.cur) < o.col+width {
		o.cur = append(o.cur, textCell{text: " "})
	}
	// Half of a wide character is none.
	if o.cur[o.col].text == "" && o.col > 0 {
		o.cur[o.col-1].text = " "
	}
	if end := o.col + width; end < len(o.cur) && o.cur[end].text == "" {
		o.cur[end].text = " "
	}
	o.cur[o.col] = textCell{s, o.style}
	for i := 1; i < width; i++ {
		o.cur[o.col+i] = textCell{"", o.style}
	}
	o.col += width
}

func (o *output) escapeByte(b byte) {
	switch {
	case b == '[':
		o.state, o.params = control, o.params[:0]
	case b == ']', b == 'P', b == 'X', b == '^', b == '_':
		o.state = text
	case b == 0x1b:
		o.state = escape
	case b >= 0x20 && b <= 0x2f:
		o.state = escapeMore
	default:
		o.state = ground
	}
}

func (o *output) controlByte(b byte) {
	switch {
	case b >= 0x40 && b <= 0x7e:
		o.state = ground
		if len(o.params) < paramMost {
			o.obey(b, string(o.params))
		}
	case b == 0x1b:
		o.state = escape
	case b == 0x18, b == 0x1a, b >= 0x80:
		o.state = ground
	case b >= 0x20 && len(o.params) < paramMost:
		o.params = append(o.params, b)
	}
}

// obey does what a control sequence says where that stays within the line.
func (o *output) obey(final byte, params string) {
	n := 1
	if v, err := strconv.Atoi(params); err == nil && v > 0 {
		n = min(v, lineMost)
	}
	switch final {
	case 'm':
		o.attrs.apply(params)
		o.style = o.attrs.params()
	case 'C':
		o.col = min(o.col+n, lineMost)
	case 'D':
		o.col = max(o.col-n, 0)
	case 'G':
		o.col = n - 1
	case 'K':
		o.erase(params)
	}
}

func (o *output) erase(params string) {
	switch params {
	case "", "0":
		o.cur = o.cur[:min(o.col, len(o.cur))]
	case "1":
		for i := range o.cur[:min(o.col+1, len(o.cur))] {
			o.cur[i] = textCell{text: " "}
		}
	case "2":
		o.cur = o.cur[:0]
	}
}

func (o *output) newline() {
	line := runs(o.cur)
	o.cur, o.col = o.cur[:0], 0
	o.lines = append(o.lines, line)
	o.bytes += line.size()
	drop := 0
	for len(o.lines)-drop > keepLines || o.bytes > keepLineBytes {
		o.bytes -= o.lines[drop].size()
		drop++
	}
	if drop > 0 {
		clear(o.lines[:drop])
		o.lines, o.first = o.lines[drop:], o.first+drop
	}
}

// count is the number behind the last line: the one that is being written included.
func (o *output) count() int { return o.first + len(o.lines) + 1 }

// line is line n; n is at least first and less than count.
func (o *output) line(n int) textLine {
	if n-o.first < len(o.lines) {
		return o.lines[n-o.first]
	}
	return runs(o.cur)
}

// runs joins cells of one style.
func runs(cs []textCell) textLine {
	var line textLine
	var b strings.Builder
	b.Grow(len(cs))
	for i, c := range cs {
		b.WriteString(c.text)
		if i == len(cs)-1 || cs[i+1].style != c.style {
			line = append(line, textRun{c.style, b.String()})
			b.Reset()
		}
	}
	return line
}

// runCost is what a run and a line take beside their text, roughly.
const runCost = 48

func (l textLine) size() int {
	n := runCost
	for _, r := range l {
		n += runCost + len(r.text)
	}
	return n
}

// wrap breaks a line into rows of at most width cells, each with styles of its own. A
// line that is empty is one row.
func (l textLine) wrap(width int) []string {
	var rows []string
	var row strings.Builder
	used := 0
	for _, r := range l {
		rest := r.text
		for rest != "" {
			part, n := fitting(rest, width-used)
			if part == "" && used > 0 {
				rows = append(rows, row.String())
				row.Reset()
				used = 0
				continue
			}
			if part == "" { // wider than the screen
				_, size := firstCluster(rest)
				rest = rest[size:]
				continue
			}
			writeRun(&row, r.style, part)
			used += n
			rest = rest[len(part):]
		}
	}
	return append(rows, row.String())
}

// fitting is the longest prefix of s, whole characters, within width cells.
func fitting(s string, width int) (part string, used int) {
	i := 0
	for i < len(s) {
		w, size := 1, 1
		if s[i] >= utf8.RuneSelf || i+1 < len(s) && s[i+1] >= utf8.RuneSelf {
			w, size = firstCluster(s[i:])
		}
		if used+w > width {
			break
		}
		used += w
		i += size
	}
	return s[:i], used
}

func writeRun(b *strings.Builder, style, s string) {
	if style == "" {
		b.WriteString(s)
		return
	}
	b.WriteString("\x1b[" + style + "m" + s + reset)
}
