package text

import (
	"testing"
	"time"
)

func TestCutAndPad(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"fits", Cut("/repos", 6), "/repos"},
		{"middle", Cut("/repos/acme/app/pulls/3/files", 15), "/repos/…3/files"},
		{"one column", Cut("abc", 1), "…"},
		{"none", Cut("abc", 0), ""},
		{"wide characters", Cut("日本語日本語", 7), "日…本語"},
		{"end", CutEnd("rule github allows GET only", 12), "rule github…"},
		{"end wide", CutEnd("日本語", 4), "日…"},
		{"left", Left("日", 4) + "|", "日  |"},
		{"right", Right("ab", 4), "  ab"},
		{"too long to pad", Right("abcdef", 4), "abcdef"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestCutIsNeverTooWide(t *testing.T) {
	for _, s := range []string{"", "a", "日本語日本語", "a日b本c語", "e\u0301e\u0301e\u0301", "/repos/acme/app"} {
		for w := range 16 {
			if n := Width(Cut(s, w)); n > w {
				t.Errorf("Cut(%q, %d) is %d wide", s, w, n)
			}
			if n := Width(CutEnd(s, w)); n > w {
				t.Errorf("CutEnd(%q, %d) is %d wide", s, w, n)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Count(1, "call"), "1 call"}, {Count(0, "call"), "0 calls"}, {Count(1234567, "call"), "1,234,567 calls"},
		{Number(-1000), "-1,000"}, {Number(999), "999"},
		{Bytes(0), "0"}, {Bytes(999), "999"}, {Bytes(1000), "1.0k"}, {Bytes(9960), "10k"}, {Bytes(14_400_000), "14M"}, {Bytes(999_700), "1.0M"},
		{Duration(0), "0"}, {Duration(80 * time.Millisecond), "80ms"}, {Duration(999_700 * time.Microsecond), "1.0s"},
		{Duration(1240 * time.Millisecond), "1.2s"}, {Duration(64 * time.Second), "64s"}, {Duration(700 * time.Nanosecond), "1µs"},
		{Duration(12*time.Minute + 41*time.Second), "12m41s"}, {Duration(3*time.Hour + 5*time.Minute), "3h05m"}, {Duration(52 * time.Hour), "2d04h"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestStyle(t *testing.T) {
	if got := Style(false).Warning("x"); got != "x" {
		t.Errorf("without colour: %q", got)
	}
	if got := Style(true).Warning("x"); got != "\x1b[33mx\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
	if got := Style(true).Dim(""); got != "" {
		t.Errorf("nothing painted: %q", got)
	}
}
