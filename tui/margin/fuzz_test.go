package margin

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// checkFilter is the law of the filter: any split gives the same output, and on no terminal that
// follows the documents does the cursor, a region or an erasure reach our rows, wherever the
// cursor was at the start.
func checkFilter(t *testing.T, in []byte, at uint) {
	t.Helper()
	const cols, rows, height = 12, 6, 8
	whole := NewFilter(cols, rows, height, nil).Append(nil, in)
	bytewise := NewFilter(cols, rows, height, nil)
	var got []byte
	for i := range in {
		got = bytewise.Append(got, in[i:i+1])
	}
	if !bytes.Equal(whole, got) {
		t.Fatalf("%q\nin one piece %q\nbyte by byte %q", in, whole, got)
	}
	split := NewFilter(cols, rows, height, nil)
	k := int(at % uint(len(in)+1))
	got = split.Append(split.Append(nil, in[:k]), in[k:])
	if !bytes.Equal(whole, got) {
		t.Fatalf("%q split at %d\nin one piece %q\nin two        %q", in, k, whole, got)
	}
	if split.Safe() != bytewise.Safe() || split.Wiped() != bytewise.Wiped() {
		t.Fatalf("%q: the state depends on the split", in)
	}
	for _, p := range handedOn(whole) {
		if seq := drawn(p); seq != "" {
			t.Fatalf("%q\nbecame %q\nand tmux hands on %q, in which %q draws or moves", in, whole, p, seq)
		}
	}
	for _, row := range []int{1, 3, 6} {
		w := newWatch(cols, height, rows, row, 4)
		w.feed(whole)
		if w.complaint != "" {
			t.Fatalf("%q\nbecame %q\ncursor began in row %d: %s", in, whole, row, w.complaint)
		}
	}
}

func FuzzFilter(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f.Add(randomOutput(r, 20), uint(r.IntN(100)))
	}
	f.Add([]byte("\xe2\x9c\x9b99H\xc2\x9b99H\x9b99H"), uint(1))
	f.Add([]byte("\x1b]8\x99\x1b]8;\a\x1b]8;;\a"), uint(1))
	f.Add([]byte("\x1b[?69h\x1b[2;5s\x1b[1;3r\x1b[6;5Habcdefgh\n\n\x1b[?69lz"), uint(9))
	f.Fuzz(checkFilter)
}

// TestRandomOutput is the fuzz target over sequences that mean something, with each test run.
func TestRandomOutput(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 3000
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		checkFilter(t, randomOutput(r, 1+r.IntN(30)), uint(r.IntN(1000)))
	}
}

// randomOutput is n pieces of what programs print, biased towards what is dangerous.
func randomOutput(r *rand.Rand, n int) []byte {
	var b []byte
	num := func() int { return []int{0, 1, 2, 3, 5, 6, 7, 8, 99, r.IntN(12)}[r.IntN(10)] }
	for range n {
		switch r.IntN(21) {
		case 0, 1, 2:
			b = append(b, bytes.Repeat([]byte{'a' + byte(r.IntN(26))}, r.IntN(30))...)
		case 3:
			b = append(b, []string{"漢字", "é", "👍🏽", "✛", "\u0301", "\xff", "\xe6\xbc", "─────────────"}[r.IntN(8)]...)
		case 4, 5:
			b = append(b, "\n\r\n\v\t\b\f"[r.IntN(7)])
		case 6:
			b = append(b, []string{"\x1bD", "\x1bE", "\x1bM", "\x1b7", "\x1b8", "\x1bc", "\x1b#8", "\x84", "\u0085", "\u008d", "\x1bl", "\x1b(0", "\x0e", "\x1b"}[r.IntN(14)]...)
		case 7, 8:
			b = fmt.Appendf(b, "\x1b[%d;%d%c", num(), num(), "Hfr"[r.IntN(3)])
		case 9, 10:
			b = fmt.Appendf(b, "\x1b[%d%c", num(), "ABCDEFGJKLMPSTXabdesu@rIZ"[r.IntN(25)])
		case 11, 12:
			mode := []int{6, 7, 25, 47, 1047, 1048, 1049, 2026, 3, 45, 1, 2}[r.IntN(12)]
			b = fmt.Appendf(b, "\x1b[?%d%c", mode, "hl"[r.IntN(2)])
		case 13:
			b = fmt.Appendf(b, "\x1b[%d;%d;%d;%d;%d;%d;%d;%d$%c", num(), num(), num(), num(), num(), num(), num(), num(), "xz{rtv"[r.IntN(6)])
		case 14:
			b = append(b, []string{"\x1b]0;t✓\a", "\x1bP$qm\x1b\\", "\x1b_Gx\x1b\\", "\x1b]66;s=7;x\a", "\x1b]8;;u\x1b\\", "\x9d0;x\x9c", "\x1bkt\x1b\\", "\x1b[!p", "\x1b[r", "\x1b[;r"}[r.IntN(10)]...)
		case 15: // left and right margins, wraps and tabs at them
			b = append(b, []string{"\x1b[?69h", "\x1b[?69l", "\x1bH", "\x1b[g", "\x1b[3g", "\x1b[12G漢", "\x1b[12Gxy", "\x1b[?5W"}[r.IntN(8)]...)
			b = fmt.Appendf(b, "\x1b[%d;%ds", num(), num())
		case 16: // the 8-bit spellings, raw and in UTF-8
			b = fmt.Appendf(b, "%s%d;%d%c", []string{"\x9b", "\u009b"}[r.IntN(2)], num(), num(), "HfrdBLMST"[r.IntN(9)])
		case 17: // strings, half of them never ended
			b = append(b, []string{"\x1b]0;a", "\x1b]66;a", "\x1bPq#0", "\x1b_Gx", "\x1b^p", "\x1bXs", "\x1bkt", "\x90$q", "\x9e", "\u009f", "\x98"}[r.IntN(11)]...)
			b = append(b, []string{"", "\x07", "\x1b\\", "\x9c", "\x18"}[r.IntN(5)]...)
		case 18: // what tmux hands on
			b = append(b, []string{"\x1bPtmux;", "\x1bP1tmux;", "\x1b\x1bPtmux;", "\x90tmux;"}[r.IntN(4)]...)
			for range r.IntN(5) {
				b = append(b, []string{"\x1b\x1b[5;5H", "\x1b\x1b[3B", "x", "\n", "\x18", "\x1b\x1b]52;c;YQ==\a", "\x1b\x1b]1337;x", "\x1b\x1b\\", "\x1b[H",
					"\x1b\x1b[c", "\x1b\x1bP+q4d\x1b\x1b\\", "\x1b\x1bP0q#0~", "\x1b\x1b_Gx", "\x1b\x1b\x1b\\", "\x9b3A", "漢", "\x1b\x1bc", "\x9c"}[r.IntN(18)]...)
			}
			b = append(b, []string{"", "\x1b\\", "\x1b\x1b\\", "\x18"}[r.IntN(4)]...)
		case 19: // frames, and what stands in them
			b = fmt.Appendf(b, "\x1b[?2026%c\x1b[%dH\x1b[%dB", "hhl"[r.IntN(3)], num(), num())
		default:
			b = append(b, byte(r.IntN(256)))
		}
	}
	return b
}

// handedOn is what tmux gives to the terminal around it of what it reads: the content of each DCS
// that begins with "tmux;", up to an ESC and a backslash. Of every other ESC in it only the byte
// behind it counts (tmux 3.5, input.c).
func handedOn(p []byte) (all [][]byte) {
	for {
		i := bytes.Index(p, []byte("\x1bP"))
		if i < 0 {
			return all
		}
		p = p[i+2:]
		final := bytes.IndexFunc(p, func(r rune) bool { return r >= 0x40 || r < 0x20 })
		if final < 0 || !bytes.HasPrefix(p[final:], []byte("tmux;")) {
			continue
		}
		p = p[final+len("tmux;"):]
		var content []byte
		for len(p) > 0 && !bytes.HasPrefix(p, []byte("\x1b\\")) {
			if p[0] == 0x1b {
				if p = p[1:]; len(p) == 0 {
					break
				}
			}
			content, p = append(content, p[0]), p[1:]
		}
		all = append(all, content)
	}
}

// asksOnly are the control sequences that may be handed on.
var asksOnly = regexp.MustCompile(`^\x1b\[([>=?]?[0-9;]*(c|n|\$p)|>[0-9;]*q|\?[0-9;]*u)$`)

// drawn is the first sequence of p that prints or moves the cursor, "" for none.
func drawn(p []byte) string {
	p = plainStrings(p)
	for state := byte(0); len(p) > 0; {
		seq, width, n, next := ansi.DecodeSequence(p, state, nil)
		switch {
		case n == 0, width > 0:
			return string(seq)
		case asksOnly.Match(seq), bytes.HasPrefix(seq, []byte("\x1b]")), bytes.HasPrefix(seq, []byte("\x1bP")), string(seq) == "\x1b\\":
		case string(seq) == "\x1b" && n < len(p) && p[n] == 0x1b: // begun anew: a string's end, for a tmux in tmux
		default:
			return string(seq)
		}
		state, p = next, p[n:]
	}
	return ""
}
