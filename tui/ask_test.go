package tui

import (
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

// answers runs what a command asks for, and gives the inspector the answers. What waits
// for events or for the clock is left alone.
func answers(t *testing.T, m *inspector, cmd tea.Cmd) {
	t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			answers(t, m, c)
		}
	case headMsg, servicesMsg:
		_, cmd := m.Update(msg)
		answers(t, m, cmd)
	case panicMsg:
		t.Fatal(msg.err)
	}
}

// Headers are asked for when the detail is open, once a call, and once more when it ends.
func TestInspectorAsksForHeaders(t *testing.T) {
	m := newTestInspector(100, 40)
	m.cfg.Services = nil
	var asked []uint64
	m.cfg.Head = func(call uint64) (event.Head, bool) { asked = append(asked, call); return heads(call) }
	answers(t, m, press(m, "g"))
	if len(asked) != 0 {
		t.Fatalf("asked for %d with no detail open", asked)
	}
	answers(t, m, press(m, "enter"))
	if view := m.View(); len(asked) != 1 || asked[0] != 1 || !strings.Contains(view, "X-Api-Key: ‹anthropic›") || !strings.Contains(view, "whose rule POST /v1/** allows it") {
		t.Errorf("asked for %d\n%s", asked, view)
	}
	if strings.Contains(m.View(), "\x1b[2J") {
		t.Error("a header is drawn as it came")
	}
	answers(t, m, press(m, "j")) // one whose headers are not kept
	if view := m.View(); len(asked) != 2 || strings.Contains(view, "‹anthropic›") || !strings.Contains(view, "not kept") {
		t.Errorf("asked for %d\n%s", asked, view)
	}
	for _, key := range []string{"k", "j", "f"} {
		answers(t, m, press(m, key))
	}
	if n := len(asked); asked[n-1] != 11 {
		t.Errorf("asked for %d, want the call under way last", asked)
	}
	before := len(asked)
	_, cmd := m.Update(tickMsg(m.now))
	_ = cmd // it waits for the next second
	if m.heads.asking != true {
		t.Error("the answer of a call under way is not waited for")
	}
	m.heads.asking = false
	end := call(11, 12*time.Second, event.Event{Method: "POST", Host: "api.anthropic.com", Path: "/v1/messages", Service: "anthropic", Verdict: event.Injected, Status: 200, Duration: time.Second})
	_, cmd = m.Update(batchMsg{events: end[1:], ended: true})
	answers(t, m, cmd)
	if len(asked) != before+1 {
		t.Errorf("asked for %d, want the ended call once more", asked)
	}
	// An answer for a call that is no longer chosen is not shown for another.
	m.Update(headMsg{call: 1, known: true, done: true, head: event.Head{Request: []event.Field{{Name: "X-Other", Value: "1"}}}})
	if strings.Contains(m.View(), "X-Other") {
		t.Errorf("shows another call's headers:\n%s", m.View())
	}
}

// The services tab has what the session says, is asked once a second while it is shown,
// and draws nothing as it came.
func TestInspectorAsksForServices(t *testing.T) {
	m := newTestInspector(120, 40)
	now, asked := noon.Add(time.Minute), 0
	m.cfg.Now = func() time.Time { return now }
	m.cfg.Services = func() []event.Service {
		asked++
		return []event.Service{{Name: "new\x1b[H", State: event.Missing, Note: "not\nfound \x1b[2J", Ref: "keychain:x", Hosts: []string{"\x1b]0;x\a"}}}
	}
	answers(t, m, press(m, "u"))
	answers(t, m, press(m, "u"))
	if asked != 0 {
		t.Error("asked where no service is shown")
	}
	for _, key := range []string{"3", "end", "j"} {
		answers(t, m, press(m, key))
	}
	if view := m.View(); asked != 1 || !strings.Contains(view, `new\x1b[H`) || !strings.Contains(view, `not\x0afound \x1b[2J`) || strings.Contains(view, "\x1b") {
		t.Errorf("asked %d times\n%q", asked, view)
	}
	now = now.Add(time.Second)
	answers(t, m, press(m, "j"))
	if asked != 2 {
		t.Errorf("asked %d times, want 2 after a second", asked)
	}
}

func TestSecretState(t *testing.T) {
	now := noon.Add(time.Hour)
	for _, tt := range []struct {
		name string
		s    Service
		want string
	}{
		{"cached", Service{Standing: event.Service{State: event.Cached, Read: now.Add(-time.Second)}}, "● cached"},
		{"a while ago", Service{Standing: event.Service{State: event.Cached, Read: now.Add(-12*time.Minute - time.Second)}}, "● cached, 12m old"},
		{"ends", Service{Standing: event.Service{State: event.Cached, Expires: now.Add(3 * time.Minute)}}, "● cached, ends in 3m"},
		{"leased", Service{Standing: event.Service{State: event.Cached, Leased: true, Expires: now.Add(40 * time.Second)}}, "● leased, ends in 40s"},
		{"over", Service{Standing: event.Service{State: event.Cached, Leased: true, Expires: now.Add(-time.Second)}}, "⚠ leased, over"},
		{"stale", Service{Standing: event.Service{State: event.Aged, Read: now.Add(-12 * time.Minute)}}, "⚠ stale, 12m old"},
		{"none", Service{Standing: event.Service{State: event.Missing}}, "✕ no value"},
		{"unread", Service{Standing: event.Service{State: event.Unread}}, "○ not read yet"},
		{"without a secret", Service{Standing: event.Service{Name: "x"}}, "○ no secret"},
		{"unknown", Service{Secret: "env:X"}, "· "},
	} {
		sign, words, _ := secretState(&tt.s, now)
		if got := sign + " " + words; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSortCalls(t *testing.T) {
	m := newTestInspector(120, 40)
	for _, tt := range []struct{ label, first string }{
		{"sorted by duration", "vpn.corp.example"}, {"sorted by size", "vpn.corp.example"}, {"sorted by status", "api.github.com"}, {"sorted by host", "10.0.0.5"}, {"", ""},
	} {
		press(m, "s")
		view := m.View()
		if tt.label == "" {
			if strings.Contains(view, "sorted") || !m.calls.follow {
				t.Errorf("the last s does not lead back:\n%s", view)
			}
			break
		}
		if !strings.Contains(view, tt.label) || m.calls.rows[0].Host != tt.first || m.calls.at != 0 {
			t.Errorf("%s: first %s\n%s", tt.label, m.calls.rows[0].Host, view)
		}
	}
	press(m, "s", "f")
	if m.order != byTime || !m.calls.follow {
		t.Error("f does not go back to the newest")
	}
}

// All of a detail that does not fit can be read.
func TestDetailScrolls(t *testing.T) {
	m := newTestInspector(80, 16)
	press(m, "g", "enter")
	answered(m)
	if view := m.View(); !strings.Contains(view, "more lines, enter shows all") || strings.Contains(view, "Set-Cookie") {
		t.Fatalf("the small detail:\n%s", view)
	}
	press(m, "enter")
	seen := m.View()
	for range 30 {
		press(m, "down")
		seen += m.View()
	}
	for _, want := range []string{"POST https://", "why", "timing", "X-Api-Key", "Set-Cookie: __cf=‹masked›", "日本語"} {
		if !strings.Contains(seen, want) {
			t.Errorf("%q cannot be read", want)
		}
	}
	if c := m.mustChosen(t); c.Call != 1 {
		t.Errorf("scrolling chose call %d", c.Call)
	}
	press(m, "home", "esc", "esc")
	if m.detail != 0 {
		t.Error("esc does not close it")
	}
}
