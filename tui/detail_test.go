package tui

import (
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// detailOf is the detail of the newest call that es make.
func detailOf(es []event.Event, width int) string {
	return strings.Join(detailLines(new(Styles), folded(es).Newest(), about{gone: true}, noon, width), "\n")
}

// Of what was not looked into nothing is said that nobody knows.
func TestDetailOfAConnection(t *testing.T) {
	text := detailOf(call(1, 0, event.Event{Method: "CONNECT", Scheme: "tcp", Host: "vpn.test", Port: 443, Verdict: event.Tunnelled,
		Reason: "the configuration says never to intercept this host", Sent: 761, Received: 1100, Duration: 85 * time.Millisecond}), 80)
	for _, not := range []string{"sent     ", "headers", "nothing was sent"} {
		if strings.Contains(text, not) {
			t.Errorf("%q stands in\n%s", not, text)
		}
	}
	for _, want := range []string{"never to intercept", "85ms in all", "761 sent, 1.1k received"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// The sizes of a stream are counted at its end: until then there is no 0.
func TestDetailOfAnOpenCall(t *testing.T) {
	es := call(1, 0, event.Event{Method: "GET", Host: "a.test", Path: "/sse", Service: "a", Verdict: event.Injected})
	if text := detailOf(es[:1], 80); strings.Contains(text, "received") || !strings.Contains(text, "under way") {
		t.Errorf("while it runs:\n%s", text)
	}
	if text := detailOf(es, 80); !strings.Contains(text, "received") {
		t.Errorf("at the end:\n%s", text)
	}
}

// An address that the title has no room for stands below it, all of it.
func TestDetailShowsAllOfAnAddress(t *testing.T) {
	host, path := strings.Repeat("label.", 20)+"test", "/v1/"+strings.Repeat("segment/", 20)
	for _, width := range []int{40, 80, 120} {
		text := detailOf(call(1, 0, event.Event{Method: "GET", Host: host, Path: path, Verdict: event.Uncovered, Reason: "no service for this host"}), width)
		if !strings.Contains(strings.Join(strings.Fields(text), ""), "https://"+host+path) {
			t.Errorf("%d columns:\n%s", width, text)
		}
	}
	short := call(1, 0, event.Event{Method: "GET", Host: "a.test", Path: "/", Verdict: event.Uncovered})
	if text := detailOf(short, 80); strings.Contains(text, "address") {
		t.Errorf("the address stands there twice:\n%s", text)
	}
}

// What is written is shown, all of it, however narrow the screen.
func TestTOMLRowsLoseNothing(t *testing.T) {
	toml := "[service.linear]\nhost  = \"api.linear.app\"\nallow = [\"POST /graphql\", \"GET /" + strings.Repeat("long/", 30) + "\"]\n# POST /graphql is every operation at that path; seen were query issues, 漢字."
	for _, width := range []int{20, 38, 69, 1000} {
		rows := tomlRows(toml, width)
		if got, want := strings.Join(strings.Fields(strings.Join(rows, "")), ""), strings.Join(strings.Fields(toml), ""); got != want {
			t.Errorf("%d columns: got %q, want %q", width, got, want)
		}
		for _, row := range rows {
			if cells(row) > width {
				t.Errorf("%d columns: %q is %d wide", width, row, cells(row))
			}
		}
	}
}

// A connection has no path, whatever paths are folded to.
func TestConnectionHasNoPath(t *testing.T) {
	s := NewStore(func(string, string) string { return "/folded" })
	for _, e := range call(1, 0, event.Event{Method: "CONNECT", Scheme: "tcp", Host: "vpn.test", Verdict: event.Tunnelled}) {
		s.Apply(e)
	}
	if p := s.Endpoints()[0]; p.Template != "" || !p.asCall().closed() {
		t.Errorf("got %q", p.Template)
	}
}

// On a screen that is too low for list and detail the detail comes alone, and goes at once.
func TestDetailOnALowScreen(t *testing.T) {
	for _, height := range []int{5, 6, 7, 8, 9, 10} {
		m := newTestInspector(80, height)
		press(m, "g")
		before := m.View()
		press(m, "enter")
		answered(m)
		if view := m.View(); height > 5 && !strings.Contains(view, "why ") || m.over == 0 {
			t.Errorf("%d rows: no detail:\n%s", height, view)
		}
		press(m, "G")
		if view := m.View(); m.detail == 2 && !strings.Contains(view, "X-Github-Request-Id") && !strings.Contains(view, "response") && m.scroll == 0 {
			t.Errorf("%d rows: it does not scroll:\n%s", height, view)
		}
		press(m, "esc", "esc", "g")
		if after := m.View(); after != before {
			t.Errorf("%d rows: afterwards\n%s\nwant\n%s", height, after, before)
		}
	}
}
