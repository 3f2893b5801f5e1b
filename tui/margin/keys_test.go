package margin

import (
	stdstrings "strings"
	"testing"
)

// play feeds pieces of input; "…" stands for a pause longer than any wait.
func play(wanted string, pieces ...string) (sent, pressed string) {
	ctl, code, _ := parseHotkey("^]")
	k := keys{ctl: ctl, code: code, wanted: wanted}
	var out, keys stdstrings.Builder
	send := func(p []byte) { out.Write(p) }
	press := func(key string) { keys.WriteString("<" + key + ">") }
	for _, piece := range pieces {
		if piece == "…" {
			k.timeout(send, press)
			continue
		}
		k.feed([]byte(piece), send, press)
	}
	return out.String(), keys.String()
}

func TestKeys(t *testing.T) {
	tests := []struct {
		name          string
		pieces        []string
		sent, pressed string
	}{
		{"text", []string{"abc\x1b[A\x1bOP\x1b\x7fé"}, "abc\x1b[A\x1bOP\x1b\x7fé", ""},
		{"alone", []string{"a\x1d", "…", "b"}, "ab", "<>"},
		{"with a key", []string{"x\x1day"}, "xy", "<a>"},
		{"with a key later", []string{"\x1d", "a"}, "", "<a>"},
		{"with no key of ours", []string{"\x1dzb"}, "zb", "<>"},
		{"twice", []string{"\x1d\x1d"}, "\x1d", ""},
		{"twice slowly", []string{"\x1d", "…", "\x1d", "…"}, "", "<><>"},
		{"kitty", []string{"\x1b[93;5u", "…"}, "", "<>"},
		{"kitty with locks", []string{"\x1b[93;197u", "…"}, "", "<>"},
		{"kitty with alternates and an event", []string{"\x1b[93:125;5:1u\x1b[93;5:3u", "…"}, "", "<>"},
		{"kitty with a key", []string{"\x1b[93;5u\x1b[97u"}, "", "<a>"},
		{"kitty with ctrl by itself between", []string{"\x1b[57442;5u\x1b[93;5u\x1b[57442;1:3ua"}, "\x1b[57442;5u\x1b[57442;1:3u", "<a>"},
		{"kitty twice", []string{"\x1b[93;5u\x1b[93;5u"}, "\x1b[93;5u", ""},
		{"modifyOtherKeys", []string{"\x1b[27;5;93~", "…"}, "", "<>"},
		{"another key", []string{"\x1b[93;3u\x1b[94;5u\x1b[27;5;94~\x1b[93u"}, "\x1b[93;3u\x1b[94;5u\x1b[27;5;94~\x1b[93u", ""},
		{"paste", []string{"\x1b[200~a\x1db\x1b[93;5uc\x1b[201~\x1d", "…"}, "\x1b[200~a\x1db\x1b[93;5uc\x1b[201~", "<>"},
		{"paste in pieces", []string{"\x1b[20", "0~a\x1d", "\x1b[2", "01", "~\x1d", "…"}, "\x1b[200~a\x1d\x1b[201~", "<>"},
		{"paste whose end is cut after Esc", []string{"\x1b[200~a\x1d\x1b", "[201~\x1d", "…"}, "\x1b[200~a\x1d\x1b[201~", "<>"},
		{"a paste that ends in Esc", []string{"\x1b[200~\x1b"}, "\x1b[200~\x1b", ""},
		{"Esc", []string{"\x1b"}, "\x1b", ""},
		{"Alt-[", []string{"\x1b[", "…", "A"}, "\x1b[A", ""},
		{"in pieces", []string{"\x1b[9", "3;", "5", "u", "…"}, "", "<>"},
		{"other key in pieces", []string{"\x1b[9", "1;5", "D"}, "\x1b[91;5D", ""},
		{"cut after Esc: the child has half of it, so it gets the rest", []string{"\x1b", "[93;5u", "…"}, "\x1b[93;5u", ""},
		{"mouse", []string{"\x1b[<0;29;29M\x1b[<0;29;29m"}, "\x1b[<0;29;29M\x1b[<0;29;29m", ""},
		{"answer", []string{"\x1b[8;24;80t\x1b]11;rgb:0/0/0\a\x1bP>|x\x1b\\"}, "\x1b[8;24;80t\x1b]11;rgb:0/0/0\a\x1bP>|x\x1b\\", ""},
		{"UTF-8", []string{"\xe6\xbc", "\xa2"}, "漢", ""},
	}
	for _, test := range tests {
		sent, pressed := play("av", test.pieces...)
		if sent != test.sent || pressed != test.pressed {
			t.Errorf("%s: sent %q and pressed %q, want %q and %q", test.name, sent, pressed, test.sent, test.pressed)
		}
	}
}

// A bare Esc is sent before anything else comes.
func TestEscapeIsNotHeld(t *testing.T) {
	ctl, code, _ := parseHotkey("^]")
	k := keys{ctl: ctl, code: code}
	var got string
	k.feed([]byte("\x1b"), func(p []byte) { got += string(p) }, func(string) {})
	if got != "\x1b" {
		t.Errorf("sent %q", got)
	}
}

func TestParseHotkey(t *testing.T) {
	for s, want := range map[string]byte{"^]": 0x1d, "^a": 1, "^A": 1, "^\\": 0x1c, "^_": 0x1f} {
		if got, _, err := parseHotkey(s); got != want || err != nil {
			t.Errorf("%s: %#x, %v", s, got, err)
		}
	}
	for _, s := range []string{"^[", "^M", "^I", "^J", "x", "^", "", "^é", "F1"} {
		if _, _, err := parseHotkey(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// FuzzKeys: without the hotkey input passes byte for byte, however it is cut.
func FuzzKeys(f *testing.F) {
	f.Add("a\x1b[9", "3;3u\x1b[200~x", uint8(3))
	f.Add("\x1b", "[201~", uint8(1))
	f.Fuzz(func(t *testing.T, a, b string, cut uint8) {
		whole := a + b
		if stdstrings.Contains(whole, "\x1d") || stdstrings.Contains(whole, "93") {
			t.Skip()
		}
		n := int(cut) % (len(whole) + 1)
		sent, pressed := play("av", whole[:n], whole[n:], "…")
		if sent != whole || pressed != "" {
			t.Errorf("%q cut at %d: sent %q, pressed %q", whole, n, sent, pressed)
		}
	})
}

// A key that must be pressed by hand counts only some time after the hotkey; what comes
// with it, as pasted text does, is neither ours nor the child's.
func TestDeliberateKeys(t *testing.T) {
	ctl, code, _ := parseHotkey("^]")
	k := keys{ctl: ctl, code: code, wanted: "ao", deliberate: "o"}
	var sent, pressed string
	feed := func(s string) {
		k.feed([]byte(s), func(p []byte) { sent += string(p) }, func(key string) { pressed += "<" + key + ">" })
	}
	feed("x\x1doy\x1da")
	feed("\x1d")
	feed("o")
	if sent != "xy" || pressed != "<a>" {
		t.Errorf("at once: sent %q and pressed %q", sent, pressed)
	}
	feed("\x1d")
	k.since = k.since.Add(-handGap)
	feed("o")
	if sent != "xy" || pressed != "<a><o>" {
		t.Errorf("by hand: sent %q and pressed %q", sent, pressed)
	}
}
