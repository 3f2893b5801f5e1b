package event

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "GET /repos/acme/app?x=1~", "GET /repos/acme/app?x=1~"},
		{"letters of other scripts", "bücher/日本語/привет/é", "bücher/日本語/привет/é"},
		{"emoji", "🙂", "🙂"},
		{"empty", "", ""},
		{"escape sequence", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"title", "\x1b]0;pwned\x07", `\x1b]0;pwned\x07`},
		{"newline, tab, return", "a\nb\tc\rd", `a\x0ab\x09c\x0dd`},
		{"NUL and DEL", "\x00\x7f", `\x00\x7f`},
		{"C1 as a character", "\u009b31m", `\u{009b}31m`},
		{"C1 as a byte", "\x9b31m", `\x9b31m`},
		{"bidi override", "evil\u202etxt.exe", `evil\u{202e}txt.exe`},
		{"bidi isolate", "\u2066a\u2069", `\u{2066}a\u{2069}`},
		{"zero width", "pay\u200bpal", `pay\u{200b}pal`},
		{"byte order mark", "\ufeffx", `\u{feff}x`},
		{"line separator", "a\u2028b", `a\u{2028}b`},
		{"no-break space", "a\u00a0b", `a\u{00a0}b`},
		{"tag characters", "a\U000e0041", `a\u{e0041}`},
		{"variation selector", "a\ufe0f", `a\u{fe0f}`},
		{"Hangul filler", "a\u3164", `a\u{3164}`},
		{"private use", "\ue000", `\u{e000}`},
		{"last plane", "\U0010ffff", `\u{10ffff}`},
		{"broken UTF-8", "a\xff\xc3", `a\xff\xc3`},
		{"surrogate in UTF-8", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"replacement character itself", "\ufffd", "\ufffd"},
	} {
		if got := Escape(tt.in); got != tt.want {
			t.Errorf("%s: Escape(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestEscapeDoesNotAllocateForPlainText(t *testing.T) {
	s := "https://api.github.com/repos/acme/app/pulls/3/bücher"
	if n := testing.AllocsPerRun(100, func() { _ = Escape(s) }); n != 0 {
		t.Errorf("Escape allocates %v times for text that needs nothing, want 0", n)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "a\u202eb", "\xff\xfe", "日本\u200b", "\\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Escape(%q) = %q is not UTF-8", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("Escape(%q) = %q holds %U", s, got, r)
			}
		}
		if again := Escape(got); again != got {
			t.Fatalf("Escape(%q) = %q, and of that %q", s, got, again)
		}
		if len(s) > 0 && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) && got != s {
			t.Fatalf("Escape(%q) = %q changes plain text", s, got)
		}
	})
}

func BenchmarkEscapePlain(b *testing.B) {
	s := "/repos/acme/app/pulls/3/files"
	b.ReportAllocs()
	for b.Loop() {
		_ = Escape(s)
	}
}
