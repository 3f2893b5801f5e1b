package margin

import (
	"bytes"
	stdstrings "strings"
	"testing"
)

// A terminal of 24 rows, two of them ours.
const (
	testCols   = 80
	testHeight = 24
	testRows   = 22
)

func testFilter() *Filter { return NewFilter(testCols, testRows, testHeight, nil) }

// noImages takes images off our two rows.
const noImages = "\x1b_Ga=d,d=y,y=23,q=2\x1b\\\x1b_Ga=d,d=y,y=24,q=2\x1b\\"

func TestTreatments(t *testing.T) {
	tests := []struct {
		name, in, want string
		wiped          bool
	}{
		{name: "text", in: "hello\r\n\twörld 漢字 \x1b[1;38;5;9mred\x1b[0m\a", want: "hello\r\n\twörld 漢字 \x1b[1;38;5;9mred\x1b[0m\a"},
		{name: "address inside", in: "\x1b[22;5H\x1b[5f\x1b[H\x1b[7d", want: "\x1b[22;5H\x1b[5f\x1b[H\x1b[7d"},
		{name: "address below", in: "\x1b[999;999H\x1b[23;4f\x1b[24d", want: "\x1b[22;999H\x1b[22;4f\x1b[22d"},
		{name: "address with no end", in: "\x1b[99999999999999999999H", want: "\x1b[22H"},
		{name: "address with sub-arguments", in: "\x1b[99:1H.", want: "."},
		{name: "bare region", in: "\x1b[r", want: "\x1b[1;22r"},
		{name: "region as high as the terminal", in: "\x1b[2;24r", want: "\x1b[2;22r"},
		{name: "region inside", in: "\x1b[2;10r", want: "\x1b[2;10r"},
		{name: "no region", in: "\x1b[22;24r\x1b[9;3r", want: ""},
		{name: "down from a known row", in: "\x1b[20;1H\x1b[9B", want: "\x1b[20;1H\x1b[2B"},
		{name: "down within", in: "\x1b[20;1H\x1b[2B", want: "\x1b[20;1H\x1b[2B"},
		{name: "down from an unknown row", in: "\x1b[9B\x1b[99B", want: "\x1b[9B\x1b[22B"},
		{name: "next line at the end", in: "\x1b[22;4H\x1b[3E", want: "\x1b[22;4H\r"},
		{name: "relative row", in: "\x1b[5;1H\x1b[99e", want: "\x1b[5;1H\x1b[17B"},
		{name: "line feed below a region", in: "\x1b[1;10r\x1b[22;1H\n\n", want: "\x1b[1;10r\x1b[22;1H"},
		{name: "NEL below a region", in: "\x1b[1;10r\x1b[22;7H\x1bE", want: "\x1b[1;10r\x1b[22;7H\r"},
		{name: "down below a region", in: "\x1b[1;10r\x1b[20;1H\x1b[7B", want: "\x1b[1;10r\x1b[20;1H\x1b[2B"},
		{name: "line feed in a region", in: "\x1b[1;10r\x1b[10;1H\n\n", want: "\x1b[1;10r\x1b[10;1H\n\n"},
		{name: "unknown row below a region", in: "\x1b7\x1b[1;10r\x1b8\n", want: "\x1b7\x1b[1;10r\x1b8\x1b7\x1b[1;22r\x1b8\n"},
		{name: "apt's progress bar", in: "\n\x1b7\x1b[0;21r\x1b8\x1b[1Atext\r\n", want: "\n\x1b7\x1b[0;21r\x1b8\x1b[1Atext\r\n"},
		{name: "text at the end of the last row below a region", in: "\x1b[1;10r\x1b[22;1Hab\x1b[Hc", want: "\x1b[1;10r\x1b[22;1H\x1b[?7lab\x1b[H\x1b[?7hc"},
		{name: "erase", in: "\x1b[5;5H\x1b[J", want: "\x1b[5;5H\x1b[J", wiped: true},
		{name: "erase all", in: "\x1b[2J", want: "\x1b[2J", wiped: true},
		{name: "erase above", in: "\x1b[1J", want: "\x1b[1J"},
		{name: "erase scrollback", in: "\x1b[3J", want: "\x1b[3J", wiped: true},
		{name: "selective erase", in: "\x1b[?J", want: "\x1b[?J", wiped: true},
		{name: "hard reset", in: "\x1bc", want: "\x1bc\x1b[1;22r", wiped: true},
		{name: "soft reset", in: "\x1b[!p", want: "\x1b[!p\x1b7\x1b[1;22r\x1b8", wiped: true},
		{name: "alignment", in: "\x1b#8", want: "\x1b#8\x1b[1;22r", wiped: true},
		{name: "alternate screen", in: "\x1b[?1049h", want: "\x1b[?1049h\x1b7\x1b[1;22r\x1b8", wiped: true},
		{name: "alternate screen in a list", in: "\x1b[?1;1049;25h", want: "\x1b[?1h\x1b[?1049h\x1b7\x1b[1;22r\x1b8\x1b[?25h", wiped: true},
		{name: "132 columns", in: "\x1b[?40h\x1b[?3h\x1b[?3;4l", want: "\x1b[?4l"},
		{name: "VT52, reverse wrap, Tektronix", in: "\x1b[?2l\x1b[?45h\x1b[?1045h\x1b[?38h.", want: "."},
		{name: "keyboard lock", in: "\x1b[2h\x1b[2;4h", want: "\x1b[4h"},
		{name: "fill", in: "\x1b[88;1;1;99;80$x", want: "\x1b[88;1;1;22;80$x"},
		{name: "fill below", in: "\x1b[88;23;1;24;80$x.", want: "."},
		{name: "erase rectangle with no end", in: "\x1b[$z", want: "\x1b[;;22$z"},
		{name: "copy rectangle down", in: "\x1b[1;1;10;80;1;20;1;1$v", want: "\x1b[1;1;3;80;1;20;1;1$v"},
		{name: "attributes of a rectangle", in: "\x1b[1;1;24;80;7$r", want: "\x1b[1;1;22;80;7$r"},
		{name: "window size", in: "\x1b[8;50;100t\x1b[30t\x1b[9;1t\x1b[4;1;1t.", want: "."},
		{name: "window title stack", in: "\x1b[22;0t\x1b[23;0t", want: "\x1b[22;0t\x1b[23;0t"},
		{name: "lines per screen", in: "\x1b[50*|\x1b[132$|.", want: "."},
		{name: "conformance level, status line, macro, printer", in: "\x1b[61\"p\x1b[1$}\x1b[2$~\x1b[1*z\x1b[5i\x1b[?5i.", want: "."},
		{name: "memory lock", in: "\x1bl\x1bm\x1bF.", want: "."},
		{name: "encoding", in: "\x1b%@\x1b%G\x1b G.", want: "\x1b%G."},
		{name: "restore cursor state", in: "\x1bP1$t24;1;1\x1b\\.", want: "\x1b\\."},
		{name: "define macro", in: "\x1bP1;0;0!zABC\x1b\\.", want: "\x1b\\."},
		{name: "sixel", in: "\x1bP0;0q#0~\x1b\\", want: "\x1bP0;0q#0~\x1b\\", wiped: true},
		{name: "kitty image", in: "\x1b_Ga=T;AAAA\x1b\\", want: "\x1b_Ga=T;AAAA\x1b\\" + noImages, wiped: true},
		{name: "kitty image in pieces", in: "\x1b_Ga=T,m=1;AAAA\x1b\\\x1b_Gm=0;AAAA\x1b\\", want: "\x1b_Ga=T,m=1;AAAA\x1b\\\x1b_Gm=0;AAAA\x1b\\" + noImages, wiped: true},
		{name: "sixels from the top", in: "\x1b[?80h\x1b[?80;25l", want: "\x1b[?25l"},
		{name: "text sizing", in: "\x1b]66;s=2;big\a\x1b]066;s=7;x\x1b\\\x9d66;w=1; \x9c.", want: "\x1b\\\x1b\\."},
		{name: "a number that none has", in: "\x1b]000066;s=7;x\a\x1b]123456;x\a.", want: "."},
		{name: "a number that is over at once", in: "\x1b]104\a\x1b]\a\x1b]6\x1b\\\x1b]5113;x\a", want: "\x1b]104\a\x1b]\a\x1b]6\x1b\\\x1b]5113;x\a"},
		{name: "title", in: "\x1b]0;a ✓ b\x07x", want: "\x1b]0;a ✓ b\x07x"},
		{name: "sequence in a string", in: "\x1b]0;a\x1b[99H", want: "\x1b]0;a\x1b[22H"},
		{name: "tmux passthrough", in: "\x1bPtmux;\x1b\x1b]52;c;YQ==\a\x1b\\", want: "\x1bPtmux;\x1b\x1b]52;c;YQ==\a\x1b\\"},
		{name: "tmux passthrough, all that may pass", in: "\x1bPtmux;\x1b\x1bP+q4d73\x1b\x1b\\\x1b\x1b[?2027$p\x1b\x1b[c\x1b\x1b[>0q\x1b\x1b]777;notify;a;b\x1b\x1b\\\x1b\\x",
			want: "\x1bPtmux;\x1b\x1bP+q4d73\x1b\x1b\\\x1b\x1b[?2027$p\x1b\x1b[c\x1b\x1b[>0q\x1b\x1b]777;notify;a;b\x1b\x1b\\\x1b\\x"},
		{name: "tmux passthrough, what draws or moves", in: "\x1bPtmux;\x1b\x1b[5B? allow\r\n\x1b\x1b[Hforged\x18\x1b\x1bD\x1b\x1b_Ga=T;AAAA\x1b\x1b\\\x1b\x1b]1337;File=:AA==\a\x1b\x1bP0q#0~\x1b\x1b\\漢\x9b1A\x1b\\x",
			want: "\x1bPtmux;\x1b\x1b\\\x1b\x1b\\\x1b\\x"},
		{name: "tmux passthrough, an ESC alone", in: "\x1bPtmux;\x1b[c\x1b]52;c;YQ==\a\x1b\x1b\x1b[cx\x1b\x1b\x1b\\x", want: "\x1bPtmux;\x1b\\x"},
		{name: "tmux passthrough, text at once", in: "\x1bPtmux;forged\n漢\x1b\\x", want: "\x1bPtmux;\x1b\\x"},
		{name: "tmux passthrough with parameters", in: "\x1bP1;2tmux;\x18\x1b\x1b[5Bforged\x1b\\x", want: "\x1bP1;2tmux;\x1b\\x"},
		{name: "kitty's commands", in: "\x1bP@kitty-cmd{\"cmd\":\"send-text\"}\x1b\\.\x1bPtmux;\x1b\x1bP@kitty-cmd{}\x1b\x1b\\\x1b\\.", want: "\x1b\\.\x1bPtmux;\x1b\x1b\\\x1b\\."},
		{name: "C1", in: "\x9b99H", want: "\x1b[22H"},
		{name: "C1 in UTF-8", in: "\u009b99H", want: "\x1b[22H"},
		{name: "C1 that means nothing", in: "\x93quoted\x94", want: "\x93quoted\x94"},
		{name: "C1 string", in: "\x9d0;t\x9cx", want: "\x1b]0;t\x1b\\x"},
		{name: "not C1", in: "✛99H›99H", want: "✛99H›99H"},
		{name: "C1 after a broken character", in: "\xe0\x9b99H", want: "\xe0\x1b[22H"},
		{name: "control inside", in: "\x1b[5;\n1H", want: "\n\x1b[5;1H"},
		{name: "cancelled", in: "\x1b[99\x18H", want: "\x18H"},
		{name: "begun anew", in: "\x1b[99\x1b[98H", want: "\x1b[22H"},
		{name: "no grammar", in: "\x1b[1?9H\x1b[ 5H\x1b[??9h.", want: "."},
		{name: "mode saved and restored", in: "\x1b[?1000h\x1b[?1000s\x1b[?1000l\x1b[?1000r", want: "\x1b[?1000h\x1b[?1000l\x1b[?1000h"},
		{name: "kitty keyboard", in: "\x1b[>1u\x1b[<u\x1b[=5;1u\x1b[?u", want: "\x1b[>1u\x1b[<u\x1b[=5;1u\x1b[?u"},
		{name: "margins left and right", in: "\x1b[?69h\x1b[10;20s", want: "\x1b[?69h\x1b[10;20s"},
		{name: "no margins left and right", in: "\x1b[?69h\x1b[20;3s\x1b[80;99s\x1b[7;7s.", want: "\x1b[?69h."},
		{name: "save with arguments", in: "\x1b[10;20s.", want: "."},
		{name: "row beyond the end is not asked for", in: "\x1b[6n\x1b[c", want: "\x1b[6n\x1b[c"},
		{name: "too long", in: "\x1b[" + stdstrings.Repeat("1;", maxHeld) + "H.", want: "."},
		{name: "many zeroes", in: "\x1b[" + stdstrings.Repeat("0", 200) + "99H", want: "\x1b[22H"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := testFilter()
			got := string(f.Append(nil, []byte(test.in)))
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if f.Wiped() != test.wiped {
				t.Errorf("wiped is %v", f.Wiped())
			}
		})
	}
}

// Of strings only OSC and titles pass under GNU screen.
func TestUnderScreen(t *testing.T) {
	f := testFilter()
	f.gnuScreen = true
	in := "a\x1bP\x1b[5Bforged\x1b\\b\x1bP0q#0~\x1b\\\x1bPtmux;\x1b\x1b[5B\x1b\\c\x1b]0;t\a\x1b^forged\x1b\\\x1b_forged\x1b\\"
	if got, want := string(f.Append(nil, []byte(in))), "a\x1b[5Bforged\x1b\\b\x1b\\\x1b\x1b[5B\x1b\\c\x1b]0;t\a\x1b\\\x1b\\"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Without rows of ours the child has the terminal as it is.
func TestNothingOurs(t *testing.T) {
	f := NewFilter(80, 24, 24, nil)
	in := "\x1b[r\x1b[999;999H\x1b[9B\x1b[2J\x1b[!p\x1bc\x1b[?1049h\x1b[1;10r\x1b[24;80Hx\n\x1b[$z\x1b#8"
	if got := string(f.Append(nil, []byte(in))); got != in {
		t.Errorf("got %q, want %q", got, in)
	}
	if f.Wiped() {
		t.Error("there is nothing to repaint")
	}
}

func TestReplies(t *testing.T) {
	tests := []struct{ in, want, passed string }{
		{"\x1b[18t", "\x1b[8;22;80t", ""},
		{"\x1b[14t", "\x1b[4;440;800t", ""},
		{"\x1b[16t", "", "\x1b[16t"},
		{"\x1b[?2048h", "\x1b[48;22;80;440;800t", ""},
		{"\x1b[?2048$p", "\x1b[?2048;2$y", ""},
		{"\x1b[?2026$p", "", "\x1b[?2026$p"},
	}
	for _, test := range tests {
		var got []byte
		f := NewFilter(80, 22, 24, func(p []byte) { got = append(got, p...) })
		f.pixelW, f.pixelH = 800, 480
		passed := string(f.Append(nil, []byte(test.in)))
		if string(got) != test.want || passed != test.passed {
			t.Errorf("%q: answered %q and passed %q, want %q and %q", test.in, got, passed, test.want, test.passed)
		}
	}
}

func TestSafe(t *testing.T) {
	tests := []struct {
		name, in string
		want     bool
	}{
		{"nothing", "", true},
		{"text", "abc", true},
		{"half a sequence", "\x1b[1", false},
		{"a lone escape", "\x1b", false},
		{"half a character", "\xe6\xbc", false},
		{"half a string", "\x1b]0;title", false},
		{"a frame", "\x1b[?2026hx", false},
		{"a frame that ended", "\x1b[?2026hx\x1b[?2026l", true},
		{"saved just now", "\x1b7", true},
		{"saved, then moved", "\x1b7\x1b[H", false},
		{"saved and restored", "\x1b7\x1b[Hx\x1b8", true},
		{"restored, then moved: the copy may be wanted again", "\x1b7\x1b[Hx\x1b8y", false},
		{"saved on the other screen", "\x1b7x\x1b[?1049h", true},
		{"saved, then reset", "\x1b7x\x1b[!p", true},
	}
	for _, test := range tests {
		f := testFilter()
		f.Append(nil, []byte(test.in))
		if got := f.Safe(); got != test.want {
			t.Errorf("%s: safe is %v after %q", test.name, got, test.in)
		}
	}
}

// A painting waits for the byte at which the child's saved cursor equals its cursor.
func TestStopsWhereClean(t *testing.T) {
	f := testFilter()
	f.Append(nil, []byte("\x1b7ab"))
	out, n := f.run(nil, []byte("cd\x1b8ef"), true)
	if string(out) != "cd\x1b8" || n != 4 || !f.Safe() {
		t.Errorf("stopped after %q (%d bytes), safe %v", out, n, f.Safe())
	}
}

// The longest strings pass as they come.
func TestStringsStream(t *testing.T) {
	f := testFilter()
	f.Append(nil, []byte("\x1b]52;c;"))
	chunk := bytes.Repeat([]byte("QUJD"), 1<<18)
	for range 4 {
		if out := f.Append(nil, chunk); !bytes.Equal(out, chunk) {
			t.Fatalf("%d of %d bytes came through", len(out), len(chunk))
		}
	}
	if n := cap(f.str.head) + cap(f.buf); n > 4*maxLink {
		t.Errorf("%d bytes are kept", n)
	}
	if out := string(f.Append(nil, []byte("\a!"))); out != "\a!" {
		t.Errorf("got %q", out)
	}
}

// A string that never ends is ended for a painting, and the rest of it is not printed.
func TestAbort(t *testing.T) {
	f := testFilter()
	f.Append(nil, []byte("\x1b]0;begun"))
	if got := string(f.Abort(nil)); got != "\x1b\\" {
		t.Errorf("got %q", got)
	}
	if got := string(f.Append(nil, []byte(" and more\ahello"))); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestModesAroundAnotherProgram(t *testing.T) {
	f := testFilter()
	f.Append(nil, []byte("\x1b[?1;1002;1006;2004;1004h\x1b[?25l\x1b[?7l\x1b=\x1b[>5u\x1b[>4;2m\x1b[4 q\x1b(0\x1b[1;31m\x1b]8;;http://x.test\x1b\\"))
	off := string(f.modes.neutral(nil, false))
	for _, want := range []string{"\x1b[?1l", "\x1b[?1002l", "\x1b[?1006l", "\x1b[?2004l", "\x1b[?1004l", "\x1b[?25h", "\x1b[?7h",
		"\x1b>", "\x1b[<99u", "\x1b[>4m", "\x1b[0 q", "\x1b(B", "\x1b[0m", "\x1b]8;;\x1b\\"} {
		if !stdstrings.Contains(off, want) {
			t.Errorf("leaving writes %q, without %q", off, want)
		}
	}
	on := string(f.modes.again(nil, false))
	for _, want := range []string{"\x1b[?1h", "\x1b[?1002h", "\x1b[?1006h", "\x1b[?2004h", "\x1b[?1004h", "\x1b[?25l", "\x1b[?7l",
		"\x1b=", "\x1b[>5u", "\x1b[>4;2m", "\x1b[4 q", "\x1b(0", "\x1b[1m", "\x1b[31m", "\x1b]8;;http://x.test\x1b\\"} {
		if !stdstrings.Contains(on, want) {
			t.Errorf("coming back writes %q, without %q", on, want)
		}
	}
}

// What the child did to the terminal's colours ends with it, and only that: they are often the
// human's own.
func TestColoursAreGivenBack(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"none", "\x1b[31mx", ""},
		{"asked", "\x1b]4;0;?\a\x1b]10;?\a\x1b]11;?;?\a\x1b]22;?\a", ""},
		{"cursor", "\x1b]12;#eeeeee\a", "\x1b]112\x1b\\"},
		{"text and background at once", "\x1b]10;#fff;#000\x1b\\", "\x1b]110\x1b\\\x1b]111\x1b\\"},
		{"background alone", "\x1b]10;?;#000\x1b\\", "\x1b]111\x1b\\"},
		{"palette", "\x1b]4;1;?;2;#00ff00\a\x1b]5;0;#fff\a", "\x1b]104\x1b\\\x1b]105\x1b\\"},
		{"given back by itself", "\x1b]12;red\a\x1b]4;1;red\a\x1b]104\a\x1b]112\a", ""},
		{"one of the palette given back", "\x1b]4;1;red\a\x1b]104;1\a", "\x1b]104\x1b\\"},
		{"pointer", "\x1b]22;pointer\a", "\x1b]22;\x1b\\"},
		{"pointer given back", "\x1b]22;pointer\a\x1b]22;\a", ""},
	} {
		f := testFilter()
		f.Append(nil, []byte(tt.in))
		if got := string(f.modes.tints.off(nil)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		state := State{Rows: 22, Height: 24, Tints: uint32(f.modes.tints)}
		if got := string(state.append(nil)); tt.want != "" && !stdstrings.Contains(got, tt.want) {
			t.Errorf("%s: after a kill %q, without %q", tt.name, got, tt.want)
		}
		if got := string(f.appendFinish(nil)); tt.want != "" && !stdstrings.Contains(got, tt.want) {
			t.Errorf("%s: at the end %q, without %q", tt.name, got, tt.want)
		}
	}
}

func TestSGR(t *testing.T) {
	tests := []struct{ in, want string }{
		{"1;3;4;9", "\x1b[1m\x1b[3m\x1b[9m\x1b[4m"},
		{"1;22;4;24;7;27", ""},
		{"4:3;58:2::1:2:3", "\x1b[4:3m\x1b[58;2;1;2;3m"},
		{"38;5;196;48;5;4", "\x1b[38;5;196m\x1b[48;5;4m"},
		{"38;2;1;2;3;1", "\x1b[1m\x1b[38;2;1;2;3m"},
		{"38:2:1:2:3;1", "\x1b[1m\x1b[38;2;1;2;3m"},
		{"95;104", "\x1b[95m\x1b[104m"},
		{"31;0", ""},
		{"31;", ""},
		{"38", ""},
		{"38;5", ""},
		{"38;2;1", ""},
	}
	for _, test := range tests {
		f := testFilter()
		f.Append(nil, []byte("\x1b["+test.in+"m"))
		if got := string(f.modes.pen.append(nil)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.in, got, test.want)
		}
	}
}
