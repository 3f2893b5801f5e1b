package tui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

func TestInspectorScreens(t *testing.T) {
	for _, tt := range []struct {
		name          string
		width, height int
		keys          []string
	}{
		{"calls-80x24", 80, 24, nil},
		{"calls-120x40", 120, 40, nil},
		{"calls-40x16", 40, 16, nil},
		{"calls-300x20", 300, 20, nil},
		{"detail-80x24", 80, 24, []string{"g", "j", "j", "enter"}},
		{"detail-120x40", 120, 40, []string{"g", "enter", "a"}},
		{"filter-80x24", 80, 24, []string{"/", "host:github status:4x"}},
		{"filter-120x40", 120, 40, []string{"/", "host:github status:4x"}},
		{"filter-wrong-120x40", 120, 40, []string{"/", "status:", "abc"}},
		{"filter-wrong-80x24", 80, 24, []string{"/", "status:", "abc"}},
		{"endpoints-80x24", 80, 24, []string{"tab"}},
		{"endpoints-120x40", 120, 40, []string{"tab", "s", "s"}},
		{"detail-all-80x24", 80, 24, []string{"g", "enter", "enter", "j"}},
		{"detail-40x20", 40, 20, []string{"g", "j", "j", "enter"}},
		{"services-80x24", 80, 24, []string{"3"}},
		{"services-120x40", 120, 40, []string{"3", "j", "j", "j"}},
		{"services-40x16", 40, 16, []string{"3"}},
		{"services-300x20", 300, 20, []string{"3"}},
		{"endpoints-40x16", 40, 16, []string{"2"}},
		{"bypasses-120x40", 120, 40, []string{"4"}},
		{"help-120x40", 120, 40, []string{"?"}},
		{"bypasses-80x24", 80, 24, []string{"4", "enter"}},
		{"help-80x24", 80, 24, []string{"?"}},
		{"calls-80x3", 80, 3, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestInspector(tt.width, tt.height)
			press(m, tt.keys...)
			answered(m)
			golden(t, tt.name+".txt", m.View())
		})
	}
}

// What agentvault could not look into, in words, and what it cannot know.
func TestBypassesScreens(t *testing.T) {
	var es []event.Event
	for i, e := range []event.Event{
		{Method: "GET", Host: "api.github.com", Path: "/user", Service: "github", Verdict: event.Injected, Status: 200},
		{Method: "CONNECT", Host: "vpn.corp.example", Verdict: event.Tunnelled, Reason: "the configuration says never to intercept this host", Duration: 12 * time.Second, Received: 123456},
		{Method: "CONNECT", Host: "pypi.example.org", Verdict: event.Failed, Code: "certificate_rejected", Reason: "the client did not accept the session's certificate for pypi.example.org (remote error: tls: unknown certificate authority)", Client: "python-requests/2.31"},
		{Method: "POST", Host: "cloudflare-dns.com", Path: "/dns-query", Verdict: event.Uncovered, Reason: "no service for this host", Status: 200, Received: 120, Duration: 20 * time.Millisecond},
	} {
		es = append(es, call(uint64(i+1), time.Duration(i)*time.Second, e)...)
	}
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 16}, {300, 20}} {
		m := newInspector(t.Context(), Config{Backlog: es, Title: "claude", Template: template, Env: noColor, Now: func() time.Time { return noon.Add(20 * time.Second) }})
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		press(m, "4", "u", "u")
		golden(t, fmt.Sprintf("unseen-%dx%d.txt", size[0], size[1]), m.View())
	}
}

// The colours, as they are written, with a call that is under way.
func TestInspectorColours(t *testing.T) {
	m := newTestInspector(100, 20)
	m.styles = NewStyles(func(string) string { return "" })
	golden(t, "colours-100x20.txt", strings.ReplaceAll(m.View(), "\x1b", "␛"))
}

// At every size every row fits, and there are as many as the screen has.
func TestInspectorFitsEverySize(t *testing.T) {
	asked := &Question{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds", Reason: "rule stripe asks for it", Left: time.Second}
	for _, keys := range [][]string{nil, {"g", "enter"}, {"2"}, {"3"}, {"4"}, {"?"}, {"/", "host:x"}, {"p", "u"}, {"g", "j", "j", "c"}, {"asked"}} {
		for _, width := range []int{1, 2, 10, 39, 40, 41, 59, 60, 68, 76, 80, 96, 100, 112, 149, 150, 299, 300} {
			for _, height := range []int{1, 2, 3, 4, 5, 7, 9, 12, 24, 60} {
				m := newTestInspector(width, height)
				m.cfg.Write = func(Call, string) (string, error) { return "", nil }
				if len(keys) == 1 && keys[0] == "asked" {
					m.cfg.Question = func() *Question { return asked }
				}
				press(m, keys...)
				rows := strings.Split(m.View(), "\n")
				if len(rows) != height {
					t.Errorf("keys %q at %dx%d: %d rows", keys, width, height, len(rows))
				}
				for _, row := range rows {
					if n := cells(row); n != width {
						t.Errorf("keys %q at %dx%d: a row of %d cells: %q", keys, width, height, n, row)
					}
				}
			}
		}
	}
}

// feedMore hands n more calls to the inspector, as a batch does.
func feedMore(m *inspector, from, n int) {
	var b batchMsg
	for i := range n {
		es := call(uint64(from+i), time.Duration(30+i)*time.Second, event.Event{Method: "GET", Host: "more.test", Path: fmt.Sprintf("/%d", i), Verdict: event.Passed, Status: 200})
		b.events = append(b.events, es...)
	}
	m.Update(b)
}

func chosenPath(t *testing.T, m *inspector) string {
	t.Helper()
	c, ok := m.chosenCall()
	if !ok {
		t.Fatal("no call is chosen")
	}
	return c.Path
}

func TestKeysMove(t *testing.T) {
	m := newTestInspector(80, 24)
	feedMore(m, 100, 40)
	if got := chosenPath(t, m); got != "/39" {
		t.Errorf("following: chose %q, want the newest", got)
	}
	for _, step := range []struct{ keys, want string }{
		{"up", "/38"}, {"k", "/37"}, {"j", "/38"}, {"down", "/39"}, {"pgup", "/24"}, {"pgdown", "/39"}, {"home", "/v1/messages"}, {"end", "/39"},
		{"g", "/v1/messages"}, {"G", "/39"}, {"kk", "/37"},
	} {
		press(m, step.keys)
		if got := chosenPath(t, m); got != step.want {
			t.Errorf("%s: chose %q, want %q", step.keys, got, step.want)
		}
	}
	before := m.View()
	feedMore(m, 200, 15)
	if got := chosenPath(t, m); got != "/37" {
		t.Errorf("after new rows: chose %q, want the same row", got)
	}
	if line(before, "›") != line(m.View(), "›") {
		t.Error("the chosen row moved on the screen")
	}
	press(m, "f")
	if got := chosenPath(t, m); got != "/14" {
		t.Errorf("f: chose %q, want the newest", got)
	}
}

// line is the number of the first row that begins with prefix.
func line(view, prefix string) int {
	for i, row := range strings.Split(view, "\n") {
		if strings.HasPrefix(row, prefix) {
			return i
		}
	}
	return -1
}

func TestPauseCountsWhatComes(t *testing.T) {
	m := newTestInspector(100, 24)
	press(m, "p")
	before := chosenPath(t, m)
	feedMore(m, 100, 5)
	view := m.View()
	if !strings.Contains(view, "paused, 5 new") {
		t.Errorf("the head does not count:\n%s", view)
	}
	if strings.Contains(view, "more.test") || chosenPath(t, m) != before {
		t.Errorf("the list moved while paused:\n%s", view)
	}
	if m.store.Calls() != 16 {
		t.Errorf("the store has %d calls, want 16: folding goes on", m.store.Calls())
	}
	press(m, "p")
	if view := m.View(); !strings.Contains(view, "more.test") || strings.Contains(view, "paused") {
		t.Errorf("after the pause:\n%s", view)
	}
}

func TestFilterKeys(t *testing.T) {
	m := newTestInspector(100, 24)
	press(m, "/", "host:github", " ", "verdict:uncovered")
	if len(m.calls.rows) != 2 {
		t.Errorf("while typing: %d rows, want 2", len(m.calls.rows))
	}
	press(m, "enter")
	if !strings.Contains(m.View(), "filter host:github verdict:uncovered · 2 of 13") {
		t.Errorf("the filter is not shown:\n%s", m.View())
	}
	press(m, "/", "ctrl+w", "esc")
	if m.typed != "host:github verdict:uncovered" || len(m.calls.rows) != 2 {
		t.Errorf("esc while typing: %q, %d rows; want what was there before", m.typed, len(m.calls.rows))
	}
	press(m, "/", "q", "backspace", "ctrl+u", "enter")
	if len(m.calls.rows) != 13 {
		t.Errorf("without a filter: %d rows, want 13", len(m.calls.rows))
	}
	press(m, "u")
	for _, c := range m.calls.rows {
		if c.Verdict != event.Uncovered {
			t.Errorf("u shows a call that is not uncovered: %s %s", c.Host, c.Verdict)
		}
	}
	if len(m.calls.rows) != 3 {
		t.Errorf("u: %d rows, want 3", len(m.calls.rows))
	}
	press(m, "esc")
	if len(m.calls.rows) != 13 {
		t.Errorf("esc: %d rows, want 13", len(m.calls.rows))
	}
	// What is pasted outside of the filter is no keys.
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("pu?"), Paste: true})
	if m.paused || m.only || m.help {
		t.Error("a paste was taken for keys")
	}
}

func TestAcknowledge(t *testing.T) {
	m := newTestInspector(100, 24)
	read := make(chan struct{}, 1)
	m.cfg.OnRead = func() { read <- struct{}{} }
	if !strings.Contains(m.View(), "×2 403  rule github allows GET only") {
		t.Errorf("no banner:\n%s", m.View())
	}
	cmd := press(m, "a")
	if strings.Contains(m.View(), "×2") {
		t.Errorf("the banner stays:\n%s", m.View())
	}
	cmd()
	select {
	case <-read:
	default:
		t.Error("nobody was told")
	}
}

func TestTabsAndEnter(t *testing.T) {
	m := newTestInspector(100, 24)
	press(m, "tab", "home", "enter")
	if m.tab != callsTab || m.typed != "method:DELETE host:api.github.com endpoint:/repos/acme/app/hooks/*" || len(m.calls.rows) != 2 {
		t.Errorf("enter on an endpoint: tab %d, filter %q, %d rows", m.tab, m.typed, len(m.calls.rows))
	}
	press(m, "3", "home", "enter")
	if m.tab != callsTab || m.typed != "service:anthropic" || len(m.calls.rows) != 2 {
		t.Errorf("enter on a service: tab %d, filter %q, %d rows", m.tab, m.typed, len(m.calls.rows))
	}
	press(m, "shift+tab")
	if m.tab != bypassesTab {
		t.Errorf("shift+tab: tab %d", m.tab)
	}
	press(m, "esc")
	if len(m.bypasses.rows) != 2 {
		t.Errorf("bypasses: %d rows, want the tunnel and the bypass", len(m.bypasses.rows))
	}
}

func TestCopyWritesToTheTerminal(t *testing.T) {
	m := newTestInspector(100, 24)
	var out bytes.Buffer
	m.cfg.Out = &out
	press(m, "g", "j", "j") // the uncovered DELETE
	cmd := press(m, "y")
	if out.Len() > 0 {
		t.Error("Update wrote by itself")
	}
	m.Update(cmd())
	// printf '%s' TOML | base64
	want := "\x1b]52;c;W3NlcnZpY2UuZ2l0aHViXQpob3N0ICA9ICJhcGkuZ2l0aHViLmNvbSIKYWxsb3cgPSBbIkRFTEVURSAvcmVwb3MvYWNtZS9hcHAvaG9va3MvKiJd\a"
	if out.String() != want {
		t.Errorf("copied %q, want %q", out.String(), want)
	}
	if !strings.Contains(m.View(), "copied the TOML that covers it") {
		t.Errorf("nothing says so:\n%s", m.View())
	}
	press(m, "g")
	if what, text := m.copyable(); what != "the address" || text != "https://api.anthropic.com/v1/messages" {
		t.Errorf("a covered call: copies %s %q", what, text)
	}
}

func TestQuitKeys(t *testing.T) {
	for _, key := range []string{"q", "ctrl+c"} {
		cmd := press(newTestInspector(80, 24), key)
		if cmd == nil {
			t.Fatalf("%s: no command", key)
		}
		if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf("%s does not leave the view", key)
		}
	}
	if cmd := press(newTestInspector(80, 24), "esc"); cmd != nil {
		t.Error("a bare esc leaves the view")
	}
}

func TestEndedAndDropped(t *testing.T) {
	m := newTestInspector(120, 24)
	_, cmd := m.Update(batchMsg{ended: true, dropped: 7})
	if cmd != nil {
		t.Error("it waits for events after the last")
	}
	if view := m.View(); !strings.Contains(view, "ended  7 not shown") {
		t.Errorf("the head says neither:\n%s", view)
	}
}

// Whatever an event says, and whatever the TOML does, the screen holds no control but our
// own SGR and line ends.
// Under an agent that has ended the view stays, and says so until the next key.
func TestAgentEnds(t *testing.T) {
	m := newTestInspector(80, 24)
	m.cfg.Answer = func(string) string { return "" }
	press(m, "enter")
	m.Update(batchMsg{ended: true})
	if view := m.View(); !strings.Contains(view, "the agent has ended; ^] or q goes back") || !strings.Contains(view, " ended ") {
		t.Errorf("nothing says so:\n%s", view)
	}
	press(m, "j")
	if view := m.View(); strings.Contains(view, "the agent has ended") || !strings.Contains(view, " ended ") || !strings.Contains(view, "^]/q back") {
		t.Errorf("after a key:\n%s", view)
	}
}

func FuzzViewIsHarmless(f *testing.F) {
	f.Add("api.test", "/a\x1b[2J", "why\x07", "\x9b31m", "svc\r\n", "toml\x1b]0;x\x07")
	f.Add("\u202e.test", "/\u200b\x00", "\x7f", "\xff\xfe", "日本", "a\tb\nc")
	f.Fuzz(func(t *testing.T, host, path, reason, method, service, toml string) {
		e := event.Event{Call: 1, Phase: event.End, Time: noon, Method: method, Host: host, Path: path, Reason: reason, Service: service,
			Verdict: event.Uncovered, Client: reason, Auth: method, Where: path, Code: service, Secret: host}
		note := e
		note.Phase = event.Note
		m := newTestInspector(90, 30)
		m.cfg.Title = host
		m.cfg.Cover = func(Call) string { return toml }
		m.styles = NewStyles(nil)
		m.Update(batchMsg{events: []event.Event{e, note}})
		foot := Foot{Store: m.store, Styles: m.styles, Now: m.cfg.Now, Question: &Question{Method: method, Host: host, Path: path, Reason: reason}}
		for _, keys := range [][]string{{"k", "enter"}, {"2"}, {"3"}, {"1", "/", path}} {
			press(m, keys...)
			harmlessText(t, m.View())
		}
		harmlessText(t, strings.Join(foot.Bar(100), "\n")+strings.Join(foot.Dock(100, 10), "\n"))
	})
}

// harmlessText fails where s holds a control that is neither a line end nor SGR.
func harmlessText(t *testing.T, s string) {
	t.Helper()
	if at := sgr.ReplaceAllString(s, ""); strings.IndexFunc(at, func(r rune) bool {
		return r != '\n' && (r < 0x20 || r >= 0x7f && r <= 0x9f || r == '\u202e' || r == '\u200b')
	}) >= 0 || !validUTF8(at) {
		t.Errorf("a control is drawn: %q", at)
	}
}

func BenchmarkFrame(b *testing.B) {
	m := newTestInspector(120, 40)
	feedMore(m, 100, KeepCalls)
	press(m, "/", "host:more", "enter")
	m.styles = NewStyles(nil)
	b.ResetTimer()
	for i := range b.N {
		feedMore(m, 100_000+i*67, 67) // 2,000 calls a second at 30 frames
		_ = m.View()
	}
}
