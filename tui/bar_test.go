package tui

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"agentvault/proxy/event"
)

var sgr = regexp.MustCompile("\x1b\\[[0-9;:]*m")

func validUTF8(s string) bool { return utf8.ValidString(s) }

func newFoot(s *Store) *Foot {
	return &Foot{Store: s, Styles: NewStyles(noColor), Now: func() time.Time { return noon.Add(20 * time.Second) }}
}

func TestBarScreens(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
	}{{"40", 40}, {"80", 80}, {"120", 120}, {"300", 300}} {
		f := newFoot(folded(session()))
		rows := f.Bar(tt.width)
		f.Store.Acknowledge()
		rows = append(rows, "", "read:")
		rows = append(rows, f.Bar(tt.width)...)
		f.Question = &Question{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds", Reason: "asked by rule stripe", Waiting: 1, Left: 23 * time.Second}
		rows = append(rows, "", "asking:")
		rows = append(rows, f.Bar(tt.width)...)
		f.Question.Endpoint, f.Question.Calls, f.Question.Waiting = "/v1/refunds/*", 3, 0
		f.Note = "stripe is in agentvault.toml:12 already: take \"POST /v1/refunds\" out of its ask to keep this for later sessions, or leave it as it is"
		rows = append(rows, "", "asking for more, after an answer:")
		rows = append(rows, f.Bar(tt.width)...)
		rows = append(rows, "", "empty:")
		rows = append(rows, newFoot(NewStore(nil)).Bar(tt.width)...)
		golden(t, "bar-"+tt.name+".txt", strings.ReplaceAll(strings.Join(rows, "\n"), reset, ""))
	}
}

func TestDockScreens(t *testing.T) {
	for name, size := range map[string][2]int{"dock-80x8": {80, 8}, "dock-120x13": {120, 13}, "dock-40x6": {40, 6}} {
		rows := newFoot(folded(session())).Dock(size[0], size[1])
		golden(t, name+".txt", strings.ReplaceAll(strings.Join(rows, "\n"), reset, ""))
	}
}

// Whatever is in the store, rows are exactly as wide and as many as asked for, end in a
// reset, and hold nothing but text and SGR.
func TestFootKeepsToItsRows(t *testing.T) {
	asking := newFoot(folded(session()))
	asking.Styles = NewStyles(nil)
	asking.Question = &Question{Method: "POST", Host: "a.test\x1b[H", Path: "/\x1b[2J", Reason: "\x07", Left: time.Hour}
	joined := newFoot(folded(session()))
	joined.Question = &Question{Method: "PROPPATCH", Host: "日本語.test", Path: "/" + strings.Repeat("x/", 80), Endpoint: "/\x1b[3J/*", Reason: strings.Repeat("y", 90), Calls: 12, Waiting: 100, Left: time.Minute}
	joined.Note = "\x1b[2J" + strings.Repeat("z ", 200)
	many := newFoot(NewStore(nil))
	for n := range uint64(20) {
		for _, e := range call(n+1, 0, event.Event{Method: "GET", Host: "日本語.test", Path: "/" + strings.Repeat("x", int(n)*9), Verdict: event.Denied, Reason: "🎉"}) {
			many.Store.Apply(e)
		}
	}
	for name, f := range map[string]*Foot{"empty": newFoot(NewStore(nil)), "session": newFoot(folded(session())), "asking": asking, "joined": joined, "many": many} {
		for width := 0; width < 310; width++ {
			if width > 130 {
				width += 12
			}
			bar := f.Bar(width)
			if width > 0 && (len(bar) < 1 || len(bar) > barMost) {
				t.Errorf("%s: a bar of %d rows", name, len(bar))
			}
			checkRows(t, name, bar, width)
			for _, height := range []int{1, 2, 5} {
				dock := f.Dock(width, height)
				if width > 0 && len(dock) != height {
					t.Errorf("%s: a dock of %d rows, want %d", name, len(dock), height)
				}
				checkRows(t, name, dock, width)
			}
		}
	}
	if rows := many.Bar(80); len(rows) != barMost || !strings.Contains(rows[2], "and 18 more") {
		t.Errorf("twenty alerts: %q", rows)
	}
}

func checkRows(t *testing.T, name string, rows []string, width int) {
	t.Helper()
	for _, row := range rows {
		if n := cells(row); n != width {
			t.Errorf("%s at %d: a row of %d cells: %q", name, width, n, row)
		}
		if !strings.HasSuffix(row, reset) {
			t.Errorf("%s at %d: a row leaves something on: %q", name, width, row)
		}
		harmlessText(t, row)
		if strings.Contains(row, "\n") {
			t.Errorf("%s at %d: a row of two lines: %q", name, width, row)
		}
	}
}

func TestStyles(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == name {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name     string
		env      func(string) string
		ink, bad string
	}{
		{"dark", env("COLORFGBG", "15;0"), "\x1b[36mx\x1b[0m", "\x1b[33mx\x1b[0m"},
		{"unknown", nil, "\x1b[36mx\x1b[0m", "\x1b[33mx\x1b[0m"},
		{"light", env("COLORFGBG", "0;default;15"), "\x1b[34mx\x1b[0m", "\x1b[31mx\x1b[0m"},
		{"NO_COLOR", env("NO_COLOR", "1"), "x", "x"},
		{"dumb", env("TERM", "dumb"), "x", "x"},
	} {
		st := NewStyles(tt.env)
		if got := st.in(accent, "x"); got != tt.ink {
			t.Errorf("%s: accent: got %q, want %q", tt.name, got, tt.ink)
		}
		if got := st.in(warning, "x"); got != tt.bad {
			t.Errorf("%s: warning: got %q, want %q", tt.name, got, tt.bad)
		}
	}
}

// Without its colour every verdict can still be told from one that needs no look.
func TestSignsStandForColours(t *testing.T) {
	fine := map[string]bool{}
	for _, m := range marks {
		if m.tone != warning {
			fine[m.sign] = true
		}
	}
	for _, m := range marks {
		if m.tone == warning && fine[m.sign] {
			t.Errorf("%s has the sign of a verdict that is fine: %s", m.word, m.sign)
		}
		if cells(m.sign) != 1 || m.word == "" {
			t.Errorf("%q: sign %q is %d cells wide", m.word, m.sign, cells(m.sign))
		}
	}
}
