package tui

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when every session of these tests began.
var noon = time.Date(2026, 3, 4, 15, 4, 0, 0, time.UTC)

var digits = regexp.MustCompile(`/[0-9]+`)

func template(_, path string) string { return digits.ReplaceAllString(path, "/*") }

func coverTOML(c Call) string {
	return "[service." + strings.Split(c.Host, ".")[1] + "]\nhost  = \"" + c.HostPort() + "\"\nallow = [\"" + c.Method + " " + c.Endpoint + "\"]"
}

// call is the start and the end of one call.
func call(n uint64, at time.Duration, e event.Event) []event.Event {
	e.Session, e.Call, e.Scheme, e.Port = "7f3a", n, "https", 443
	start, end := e, e
	start.Phase, start.Time = event.Start, noon.Add(at)
	start.Status, start.Duration, start.Received, start.Sent, start.Timing = 0, 0, 0, 0, nil
	end.Phase, end.Time = event.End, noon.Add(at+e.Duration)
	return []event.Event{start, end}
}

// session is a session of every verdict, with a call under way and hostile texts.
func session() []event.Event {
	const ms = time.Millisecond
	kept := &event.Timing{Wait: 79 * ms, Body: ms, Kept: true}
	cold := &event.Timing{Name: 2 * ms, Connect: 11 * ms, TLS: 24 * ms, Wait: 1150 * ms, Body: 13 * ms}
	var es []event.Event
	for i, e := range []event.Event{
		{Method: "POST", Host: "api.anthropic.com", Path: "/v1/messages", Service: "anthropic", Verdict: event.Injected, Status: 200, Duration: 1200 * ms, Sent: 2310, Received: 8123, Secret: "keychain:anthropic", Where: "header X-Api-Key", Auth: "placeholder", Timing: cold, Client: "claude"},
		{Method: "GET", Host: "api.github.com", Path: "/repos/acme/app/pulls/3", Service: "github", Verdict: event.Injected, Status: 200, Duration: 120 * ms, Received: 2012, Secret: "infisical:GITHUB_TOKEN?project=p-1&env=dev&path=/agents", Where: "header Authorization", Auth: "placeholder", Timing: kept},
		{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/9", Service: "github", Verdict: event.Uncovered, Reason: "rule github allows GET only", Status: 403, Duration: 80 * ms, Received: 110, Timing: kept},
		{Method: "GET", Host: "files.example.org", Path: "/left-pad.tgz", Verdict: event.Passed, Status: 200, Duration: 60 * ms, Received: 4423},
		{Method: "POST", Host: "api.linear.app", Path: "/graphql", Verdict: event.Uncovered, Reason: "no service for this host; carried a key of its own", Status: 401, Duration: 230 * ms, Auth: "bearer", Received: 88},
		{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/10", Service: "github", Verdict: event.Uncovered, Reason: "rule github allows GET only", Status: 403, Duration: 75 * ms, Received: 110},
		{Method: "CONNECT", Host: "vpn.corp.example", Verdict: event.Tunnelled, Duration: 12 * time.Second, Received: 123456},
		{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds", Service: "stripe", Verdict: event.Denied, Reason: "rule stripe denies POST /v1/refunds", Status: 403, Duration: ms / 2, Code: "denied"},
		{Method: "GET", Host: "evil.example\x1b[2J", Path: "/日本語/\x1b]0;hi\x07/🎉", Verdict: event.Passed, Status: 200, Duration: 3 * time.Second, Received: 1},
		{Method: "GET", Host: "api.github.com", Path: "/repos/acme/app/contents/some/long/path/with/many/segments/and/a/file-name.go", Service: "github", Verdict: event.Failed, Reason: "connect: connection refused", Duration: 10 * time.Second},
	} {
		es = append(es, call(uint64(i+1), time.Duration(i)*time.Second, e)...)
	}
	es = append(es, event.Event{Session: "7f3a", Phase: event.Note, Time: noon.Add(11 * time.Second), Scheme: "tcp", Host: "10.0.0.5", Port: 5432, Verdict: event.Bypassed, Reason: "postgres, by psql", Client: "psql"})
	es = append(es, event.Event{Session: "7f3a", Phase: event.Note, Time: noon.Add(11 * time.Second), Secret: "infisical:GITHUB_TOKEN?project=p-1&env=dev&path=/agents", State: event.Stale, Reason: "infisical is out of reach"})
	under := call(11, 12*time.Second, event.Event{Method: "POST", Host: "api.anthropic.com", Path: "/v1/messages", Service: "anthropic", Verdict: event.Injected})
	return append(es, under[0])
}

func folded(es []event.Event) *Store {
	s := NewStore(template)
	for _, e := range es {
		s.Apply(e)
	}
	return s
}

func noColor(name string) string {
	if name == "NO_COLOR" {
		return "1"
	}
	return ""
}

// heads is what a session has kept of the calls of session.
func heads(call uint64) (event.Head, bool) {
	field := func(name, value string) event.Field { return event.Field{Name: name, Value: value} }
	switch call {
	case 1:
		return event.Head{Call: 1, Rule: "POST /v1/**",
			Request: []event.Field{field("Accept", "application/json"), field("Anthropic-Version", "2023-06-01"), field("Content-Type", "application/json"),
				field("User-Agent", "claude-cli/2.1.0 (external, cli)"), field("X-Api-Key", "‹anthropic›")},
			Response: []event.Field{field("Content-Type", "text/event-stream; charset=utf-8"), field("Request-Id", "req_011CQ\x1b[2J"), field("Set-Cookie", "__cf=‹masked›; path=/; HttpOnly"), field("Server", "日本語")},
		}, true
	case 3:
		return event.Head{Call: 3,
			Request:  []event.Field{field("Accept", "application/vnd.github+json"), field("Authorization", "Bearer ‹own›"), field("User-Agent", "gh/2.1")},
			Response: []event.Field{field("Content-Type", "application/json")}, More: 2}, true
	}
	return event.Head{}, false
}

// standing is how the session stands with its services, a minute after noon.
func standing() []event.Service {
	return []event.Service{
		{Name: "anthropic", Hosts: []string{"api.anthropic.com"}, Auth: "header", Ref: "keychain:anthropic", State: event.Cached, Read: noon.Add(-time.Minute)},
		{Name: "db", Hosts: []string{"db.acme.test:8443"}, Auth: "basic", Ref: "vault:database/creds/agent#password", State: event.Cached, Leased: true, Read: noon, Expires: noon.Add(42 * time.Minute)},
		{Name: "files", Hosts: []string{"files.acme.test"}, Auth: "none"},
		{Name: "github", Hosts: []string{"api.github.com", "github.com"}, Auth: "bearer", Ref: "infisical:GITHUB_TOKEN?project=p-1&env=dev&path=/agents", State: event.Aged,
			Allow: []string{"GET /**", "POST /repos/*/*/issues"}, Deny: []string{"DELETE /orgs/**"}, Read: noon.Add(-8 * time.Minute),
			Note: "infisical is unreachable: the value read at 14:56:00 serves until 15:56:00"},
		{Name: "linear", Hosts: []string{"linear.acme.test"}, Auth: "header", Ref: "keychain:linear", State: event.Missing, Note: "keychain:linear: secret not found"},
		{Name: "stripe", Hosts: []string{"api.stripe.com"}, Auth: "bearer", Ref: "env:STRIPE_KEY", State: event.Unread, Ask: []string{"POST /v1/charges"}, Deny: []string{"POST /v1/refunds"}},
	}
}

// newTestInspector is an inspector of the session at its 20th second, without colours.
func newTestInspector(width, height int) *inspector {
	m := newInspector(context.Background(), Config{
		Backlog: session(), Title: "claude", Template: template, Cover: coverTOML, Env: noColor, Head: heads, Services: standing,
		Now: func() time.Time { return noon.Add(20 * time.Second) },
	})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return m
}

// answered gives the inspector what it would be told when it asked for the chosen call's
// headers and for the services.
func answered(m *inspector) {
	if c, ok := m.chosenCall(); ok && m.detail > 0 {
		head, known := heads(c.Call)
		m.Update(headMsg{c.Call, c.Done, head, known})
	}
	m.Update(servicesMsg(standing()))
}

// press sends keys through Update: "enter", "tab", "esc", or runes.
func press(m tea.Model, keys ...string) tea.Cmd {
	named := map[string]tea.KeyType{
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "ctrl+c": tea.KeyCtrlC,
		"backspace": tea.KeyBackspace, "ctrl+u": tea.KeyCtrlU, "ctrl+w": tea.KeyCtrlW, "ctrl+]": tea.KeyCtrlCloseBracket, " ": tea.KeySpace,
	}
	var cmd tea.Cmd
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if t, ok := named[k]; ok {
			msg = tea.KeyMsg{Type: t}
			if t == tea.KeySpace {
				msg.Runes = []rune{' '}
			}
		}
		_, cmd = m.Update(msg)
	}
	return cmd
}

// golden compares got with testdata/name, or rewrites it under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	// Blanks at the end of a row are checked by width, and are trouble in a file.
	rows := strings.Split(got, "\n")
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, " ")
	}
	got = strings.Join(rows, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./tui -update rewrites it)\n--- got\n%s--- want\n%s", path, got, want)
	}
}

// bothSizes compares a screen at 80x24 and at 120x40 with its golden files. It stays at the larger.
func bothSizes(t *testing.T, name string, m tea.Model, view func() string) {
	t.Helper()
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		golden(t, fmt.Sprintf("%s-%dx%d.txt", name, size[0], size[1]), view())
	}
}
