package margin

import (
	"fmt"
	"math/rand/v2"
	"slices"
	stdstrings "strings"
	"testing"

	"github.com/hinshun/vt10x"
)

// grid is what an emulator shows in its first rows: characters, colours, attributes.
func grid(v vt10x.Terminal, rows int) []string {
	cols, _ := v.Size()
	var lines []string
	for y := range rows {
		var b stdstrings.Builder
		for x := range cols {
			c := v.Cell(x, y)
			if c.Char == 0 {
				c.Char = ' '
			}
			if c.Char == ' ' { // of a blank only the background is seen
				c.FG, c.Mode = vt10x.DefaultFG, 0
			}
			fmt.Fprintf(&b, "%c", c.Char)
			c.Mode &^= 64 // "this line goes on": nothing to see
			if c.FG != vt10x.DefaultFG || c.BG != vt10x.DefaultBG || c.Mode != 0 {
				fmt.Fprintf(&b, "{%d,%d,%d}", c.FG, c.BG, c.Mode)
			}
		}
		lines = append(lines, stdstrings.TrimRight(b.String(), " "))
	}
	return lines
}

// compare shows out on a terminal that is all the child's and, filtered and painted, on one that
// is two rows higher: the child's part must be the same, ours must hold our rows.
func compare(t *testing.T, name string, out []byte, cursor bool) {
	t.Helper()
	const cols, rows, height = 30, 8, 10
	bars := []string{"\x1b[7mfirst of ours", "second of ours"}
	plain := vt10x.New(vt10x.WithSize(cols, rows))
	plain.Write(out)
	ours := vt10x.New(vt10x.WithSize(cols, height))
	f := NewFilter(cols, rows, height, nil)
	ours.Write(f.appendFit(nil))
	ours.Write(f.appendPaint(nil, bars))
	f.moveTo(1, 0) // a new terminal's cursor
	for i := 0; i < len(out); i += 7 {
		b := f.Append(nil, out[i:min(i+7, len(out))])
		if f.Safe() {
			b = f.appendPaint(b, bars)
		}
		ours.Write(b)
	}
	ours.Write(f.appendPaint(nil, bars))
	want, got := grid(plain, rows), grid(ours, rows)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q\nbecame %q\n%s", name, out, NewFilter(cols, rows, height, nil).Append(nil, out), differing(got, want))
	}
	bottom := grid(ours, height)[rows:]
	if !stdstrings.HasPrefix(letters(bottom[0]), "first of ours") || bottom[1] != "second of ours" {
		t.Errorf("%s: %q\nour rows are %q", name, out, bottom)
	}
	a, b := plain.Cursor(), ours.Cursor()
	if cursor && (a.X != b.X || a.Y != b.Y || a.Attr.FG != b.Attr.FG) {
		t.Errorf("%s: %q\nthe cursor is at %d,%d, want %d,%d", name, out, b.Y, b.X, a.Y, a.X)
	}
}

func differing(got, want []string) string {
	var b stdstrings.Builder
	for y := range want {
		if got[y] != want[y] {
			fmt.Fprintf(&b, "row %d: got  %q\n       want %q\n", y+1, got[y], want[y])
		}
	}
	return b.String()
}

// letters takes the attributes out of a line of grid.
func letters(line string) string {
	var b stdstrings.Builder
	in := false
	for _, r := range line {
		switch {
		case r == '{':
			in = true
		case r == '}':
			in = false
		case !in:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestGrid(t *testing.T) {
	tests := []struct{ name, out string }{
		{"lines", "one\r\ntwo\r\n" + stdstrings.Repeat("more\r\n", 20) + "end"},
		{"long line", stdstrings.Repeat("0123456789", 50)},
		{"last cell", "\x1b[999;999Hx\x1b[Hy"},
		{"status line", "\x1b[8;1H\x1b[7mstatus\x1b[0m\x1b[1;7r\x1b[7;1H" + stdstrings.Repeat("scroll\r\n", 9) + "end"},
		{"status line fed", "\x1b[1;7r\x1b[8;1Hstatus\n\n\nx"},
		{"back up", "\x1b[8;1H\x1b[3Aup\x1b[9Btext\r\n\r\n"},
		{"reverse index", "top\x1b[H\x1bM\x1bMagain"},
		{"insert and delete", "a\r\nb\r\nc\r\n\x1b[2;1H\x1b[2L\x1b[1;1H\x1b[M\x1b[4;1Hx"},
		{"scrolled", "a\r\nb\r\nc\x1b[2S\x1b[1T"},
		{"erased", "a\r\nb\r\nc\x1b[2;1H\x1b[J\x1b[H\x1b[1Jx"},
		{"cleared", "abc\x1b[2J\x1b[3J\x1b[Hnew"},
		{"saved", "ab\x1b7\x1b[5;5Hcd\x1b8ef"},
		{"coloured", "\x1b[31mred\x1b[44mon blue\x1b[K\r\n\x1b[0m\x1b[1mbold"},
		{"origin", "\x1b[2;6r\x1b[?6h\x1b[1;1Hx\x1b[99;1Hy\x1b[?6l\x1b[rz"},
		{"origin, addressed below the region", "\x1b[3;6r\x1b[?6h\x1b[8;1Ha\r\nb\r\nc"},
		{"region without end", "\x1b[3;99r\x1b[99;1Ha\r\nb\r\nc"},
		{"alternate screen", "main\x1b[?1049h\x1b[Halt\x1b[8;1Hlast\r\nscrolled\x1b[3;3Hz"},
		{"no wrap", "\x1b[?7l" + stdstrings.Repeat("x", 50) + "\x1b[?7h"},
	}
	for _, test := range tests {
		compare(t, test.name, []byte(test.out), true)
	}
}

// TestGridRandom does the same with what a random program prints, of the sequences that vt10x
// reads as terminals do. It forgets the wait beyond the last column with ESC 8 and with a line
// feed, so these come after a carriage return here.
func TestGridRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	n := 3000
	if testing.Short() {
		n = 300
	}
	for i := range n {
		var out []byte
		num := func() int { return r.IntN(12) + 1 }
		for range 1 + r.IntN(40) {
			switch r.IntN(12) {
			case 0, 1, 2:
				out = append(out, stdstrings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(25))...)
			case 3, 4:
				out = append(out, "\r\n"...)
			case 5:
				out = fmt.Appendf(out, "\x1b[%d;%dH", num(), 1+r.IntN(29))
			case 6:
				out = fmt.Appendf(out, "\x1b[%d%c", num(), "GJKSTXP@"[r.IntN(8)])
			case 7:
				out = fmt.Appendf(out, "\x1b[%dm", []int{0, 1, 31, 42, 97}[r.IntN(5)])
			case 8:
				out = fmt.Appendf(out, "\x1b[%d;%dr", 1+r.IntN(3), 5+r.IntN(6))
			case 9:
				out = append(out, []string{"\r\x1bM", "\r\x1bD", "\r\x1bE", "\x1b[r", "\r\b", "\r\x1b7\x1b[3;3H*\x1b8", "\x1b[2L\r", "\x1b[3M\r"}[r.IntN(8)]...)
			default:
				out = append(out, "word "...)
			}
		}
		compare(t, fmt.Sprint(i), out, false)
		if t.Failed() {
			return
		}
	}
}

// The shadow shows what a terminal would.
func TestShadow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		out := []byte("\x1b[?1049h\x1b[H\x1b[2J")
		for range 1 + r.IntN(40) {
			switch r.IntN(8) {
			case 0, 1, 2:
				out = append(out, stdstrings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(25))...)
			case 3:
				out = append(out, "\r\n"...)
			case 4:
				out = fmt.Appendf(out, "\x1b[%d;%dH", 1+r.IntN(9), 1+r.IntN(29))
			case 5:
				out = fmt.Appendf(out, "\x1b[%d%c", 1+r.IntN(6), "GKSTXCD"[r.IntN(7)])
			case 6:
				out = fmt.Appendf(out, "\x1b[%dm", []int{0, 1, 31, 97}[r.IntN(4)] /* vt10x scrolls in the default background, terminals do not */)
			case 7:
				out = append(out, []string{"\r\x1bM", "\x1b[2;6r", "\x1b[r", "\r\x1b7\x1b[3;3H*\x1b8", "\r\b", "\x1b[2L\r", "\x1b[3M\r"}[r.IntN(7)]...)
			}
		}
		plain := vt10x.New(vt10x.WithSize(30, 8))
		plain.Write(out)
		f := NewFilter(30, 8, 10, nil)
		f.Append(nil, out)
		again := vt10x.New(vt10x.WithSize(30, 10))
		again.Write(f.appendEnter(nil))
		if got, want := grid(again, 8), grid(plain, 8); !slices.Equal(got, want) {
			t.Fatalf("%q\ngot  %q\nwant %q", out, got, want)
		}
		a, b := plain.Cursor(), again.Cursor()
		if a.X != b.X || a.Y != b.Y {
			t.Fatalf("%q\nthe cursor is at %d,%d, want %d,%d", out, b.Y, b.X, a.Y, a.X)
		}
	}
}

func TestShadowText(t *testing.T) {
	tests := []struct{ name, out, want string }{
		{"wide", "漢字a", "漢字a"},
		{"half of wide overwritten", "漢字\x1b[1;2Hx", " x字"},
		{"combined", "e\u0301x", "e\u0301x"},
		{"line drawing", "\x1b(0lqk\x1b(Bq", "┌─┐q"},
		{"shifted", "\x1b)0a\x0eq\x0fq", "a─q"},
		{"repeated", "ab\x1b[3b", "abbbb"},
		{"inserted", "abc\x1b[1;1H\x1b[4hxy\x1b[4l", "xyabc"},
		{"tab", "a\tb", "a       b"},
		{"wide at the edge", "\x1b[1;20H漢", ""},
	}
	for _, test := range tests {
		f := NewFilter(20, 4, 5, nil)
		f.Append(nil, []byte("\x1b[?1049h\x1b[H"+test.out))
		var got stdstrings.Builder
		for _, c := range f.shadow.lines[0] {
			if !c.tail {
				got.WriteString(orBlank(c.text))
			}
		}
		if line := stdstrings.TrimRight(got.String(), " "); line != test.want {
			t.Errorf("%s: got %q, want %q", test.name, line, test.want)
		}
		if f.shadow.bad {
			t.Errorf("%s: the shadow is not trusted", test.name)
		}
	}
	f := NewFilter(20, 4, 5, nil)
	f.Append(nil, []byte("\x1b[?1049hx"))
	if !f.shadow.bad {
		t.Error("a shadow that was written at an unknown place is trusted")
	}
	f.Append(nil, []byte("\x1b[H\x1b[2Jx"))
	if f.shadow.bad {
		t.Error("a shadow that was cleared is not trusted")
	}
}

func orBlank(s string) string {
	if s == "" {
		return " "
	}
	return s
}
