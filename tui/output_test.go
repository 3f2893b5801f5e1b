package tui

import (
	"fmt"
	"strings"
	"testing"
)

// text is what an output shows, a line a row, at width.
func (o *output) text(width int) string {
	var rows []string
	for n := o.first; n < o.count(); n++ {
		rows = append(rows, o.line(n).wrap(width)...)
	}
	return strings.Join(rows, "\n")
}

func TestOutput(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"lines", "a\nb\r\nc", "a\nb\nc"},
		{"wrapped", "abcdefghijklmno", "abcdefghij\nklmno"},
		{"a wide character is not halved", "abcdefghi日本", "abcdefghi\n日本"},
		{"progress", "10%\r50%\r100%\n", "100%\n"},
		{"a shorter line over a longer one", "downloading\r\x1b[Kdone", "done"},
		{"written over in part", "[ ] task\r[x", "[x] task"},
		{"half of a wide character is none", "日本\ra", "a 本"},
		{"backspace", "abc\b\bX", "aXc"},
		{"tab", "a\tb", "a       b"},
		{"colour", "\x1b[31mred\x1b[0m no", "\x1b[31mred\x1b[0m no"},
		{"colour over a break", "\x1b[1;32mabcdefghijkl", "\x1b[1;32mabcdefghij\x1b[0m\n\x1b[1;32mkl\x1b[0m"},
		{"colour over a line end", "\x1b[4mab\ncd\x1b[24me", "\x1b[4mab\x1b[0m\n\x1b[4mcd\x1b[0me"},
		{"256 and true colour", "\x1b[38;5;208ma\x1b[48;2;1;2;3mb\x1b[39;49mc", "\x1b[38;5;208ma\x1b[0m\x1b[38;5;208;48;2;1;2;3mb\x1b[0mc"},
		{"colons", "\x1b[38:5:208ma\x1b[4:3;39mb\x1b[4:0mc", "\x1b[38:5:208ma\x1b[0m\x1b[4mb\x1b[0mc"},
		{"neither blinks nor hides", "\x1b[5;8mx", "x"},
		{"private SGR", "\x1b[>4;1mx\x1b[?4my", "xy"},
		{"moves and modes", "\x1b[2J\x1b[H\x1b[?1049h\x1b[5;1ra\x1b7\x1b8\x1bcb\x1b(0c", "abc"},
		{"strings", "a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1bPq#0\x1b\\d\x1b_x\x1b\\e", "abcde"},
		{"a string cut off", "a\x1b]0;title\x18b", "ab"},
		{"a string that runs into another", "a\x1b]0;x\x1b[31mb", "a\x1b[31mb\x1b[0m"},
		{"C1 and format characters", "a\u009b31mb\u202ec\u2028d", "a31mbcd"},
		{"not UTF-8", "a\xffb\xe6\x97", "a\ufffdb"},
		{"a character cut off by another", "\xe6\x97a", "\ufffda"},
		{"accents", "e\u0301x", "e\u0301x"},
		{"columns", "abc\x1b[2Dx\x1b[5Gy", "axc y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o output
			_, _ = o.Write([]byte(tt.in))
			if got := o.text(10); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOutputIsBounded(t *testing.T) {
	var o output
	for n := range 3 * keepLines {
		fmt.Fprintf(&o, "line %d\n", n)
	}
	if len(o.lines) != keepLines || o.first != 2*keepLines {
		t.Errorf("keeps %d lines from %d, want %d from %d", len(o.lines), o.first, keepLines, 2*keepLines)
	}
	if got := o.text(80); !strings.HasPrefix(got, fmt.Sprintf("line %d\n", 2*keepLines)) {
		t.Errorf("begins with %q", got[:20])
	}
	for range 60 {
		_, _ = o.Write([]byte(strings.Repeat("\x1b[31mx\x1b[32my", lineMost)))
		_, _ = o.Write([]byte("\n"))
	}
	if o.bytes > keepLineBytes {
		t.Errorf("keeps %d bytes, want at most %d", o.bytes, keepLineBytes)
	}
}

// However the bytes are split the lines are the same; what is shown holds no control but
// SGR, and no row is too wide.
func FuzzOutput(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb\r\nc", "\x1b]0;t\x07日本\x1b[K\r", "\xe6\x97", "\x1b[38;5;1;48:2::1:2:3mx", "\t\b\x1b[999C!", "e\u0301\u200d"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		var whole, split output
		_, _ = whole.Write(in)
		if at < 0 {
			at = -(at + 1)
		}
		at %= len(in) + 1
		_, _ = split.Write(in[:at])
		_, _ = split.Write(in[at:])
		if a, b := whole.text(20), split.text(20); a != b {
			t.Errorf("split at %d: got %q, want %q", at, b, a)
		}
		text := whole.text(20)
		harmlessOutput(t, text)
		for _, row := range strings.Split(text, "\n") {
			if cells(row) > 20 {
				t.Errorf("a row of %d cells: %q", cells(row), row)
			}
		}
	})
}

func harmlessOutput(t *testing.T, s string) {
	t.Helper()
	rest := sgr.ReplaceAllString(s, "")
	for _, r := range rest {
		if r != '\n' && (r < 0x20 || r >= 0x7f && r <= 0x9f) {
			t.Fatalf("a control is drawn: %q", rest)
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	text := []byte(strings.Repeat("2026-03-04 15:04:05 \x1b[32mINFO\x1b[0m the quick brown fox jumps over the lazy dog\n", 100))
	var o output
	b.SetBytes(int64(len(text)))
	for range b.N {
		_, _ = o.Write(text)
	}
}
