package auditlog

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"agentvault/proxy/event"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

var start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// write writes the log of a session; each event becomes a start and an end, but for notes
// and for those whose phase is start.
func write(t testing.TB, dir, session string, events ...event.Event) Session {
	t.Helper()
	l, err := event.OpenLog(dir, session)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		e.Session, e.Call, e.Time = session, uint64(i+1), start.Add(time.Duration(i)*time.Second)
		if e.Scheme == "" {
			e.Scheme, e.Port = "https", 443
		}
		if e.Phase == event.Note {
			err = l.Append(e)
		} else {
			open := e.Phase == event.Start
			begin := e
			begin.Phase, begin.Verdict, begin.Status, begin.Duration, begin.Received, begin.Timing = event.Start, "", 0, 0, 0, nil
			err = l.Append(begin)
			if e.Phase, e.Time = event.End, e.Time.Add(e.Duration); err == nil && !open {
				err = l.Append(e)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return Session{ID: session, Path: l.Path(), Modified: start, Closed: true}
}

// two writes two sessions and lists them.
func two(t testing.TB) []Session {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sessions")
	write(t, dir, "20260102t150405-7f3a",
		event.Event{Method: "POST", Host: "api.anthropic.com", Path: "/v1/messages", Service: "anthropic", Secret: "keychain:anthropic", Where: "header X-Api-Key",
			Verdict: event.Injected, Status: 200, Duration: 1200 * time.Millisecond, Sent: 900, Received: 8100, Auth: "placeholder",
			Timing: &event.Timing{Name: 2e6, Connect: 10e6, TLS: 20e6, Wait: 900e6, Body: 200e6}},
		event.Event{Method: "GET", Host: "api.github.com", Path: "/repos/acme/app/pulls/3", Service: "github", Secret: "keychain:github",
			Verdict: event.Injected, Status: 200, Duration: 120 * time.Millisecond, Received: 2048, Timing: &event.Timing{Kept: true, Wait: 119e6, Body: 1e6}},
		event.Event{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/9", Service: "github",
			Verdict: event.Uncovered, Status: 403, Duration: 80 * time.Millisecond, Received: 110, Reason: "rule github allows GET only"},
		event.Event{Method: "GET", Host: "files.example.org", Path: "/left-pad.tgz", Service: "files", Verdict: event.Passed, Status: 200, Duration: 60 * time.Millisecond, Received: 4400},
		event.Event{Phase: event.Note, Scheme: "tcp", Host: "10.0.0.5", Port: 5432, Verdict: event.Bypassed, Client: "psql", Reason: "postgres"},
		event.Event{Method: "GET", Host: "gone.example", Path: "/\x1b[31mred", Verdict: event.Failed, Reason: "no such host", Code: "upstream_name"},
		event.Event{Phase: event.Start, Method: "GET", Host: "api.github.com", Path: "/events"},
	)
	write(t, dir, "20260103t090000-81c2",
		event.Event{Method: "POST", Host: "sqs.eu-west-1.amazonaws.com", Path: "/123456789012/jobs", Service: "aws", Verdict: event.Passed, Status: 500, Auth: "sigv4"},
		event.Event{Method: "POST", Host: "sqs.eu-west-1.amazonaws.com", Path: "/123456789012/jobs", Service: "aws", Verdict: event.Passed, Status: 500, Auth: "sigv4"},
		event.Event{Method: "POST", Host: "sqs.eu-west-1.amazonaws.com", Path: "/123456789012/jobs", Service: "aws", Verdict: event.Passed, Status: 200, Auth: "sigv4"},
		event.Event{Method: "POST", Host: "github.com", Path: "/acme/app.git/git-receive-pack", Service: "github", Secret: "keychain:github", Verdict: event.Injected, Status: 200},
		event.Event{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds", Service: "stripe", Verdict: event.Denied, Status: 403, Code: "denied_by_rule"},
	)
	sessions, err := Sessions(dir)
	if err != nil || len(sessions) != 2 {
		t.Fatal(sessions, err)
	}
	return sessions
}

// million writes the log of a session of half a million calls, a million lines. What the
// calls are repeats as it does with agents: few hosts, many paths.
func million(t testing.TB, paths int) Session {
	t.Helper()
	path := filepath.Join(t.TempDir(), "20260102t150405-ffff.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 1<<20)
	hosts := []string{"api.anthropic.com", "api.github.com", "api.github.com", "api.stripe.com", "api.linear.app"}
	services := []string{"anthropic", "github", "github", "stripe", ""}
	for i := range 500_000 {
		h := i % len(hosts)
		e := event.Event{Session: "20260102t150405-ffff", Call: uint64(i + 1), Phase: event.Start, Time: start.Add(time.Duration(i) * time.Millisecond),
			Method: "GET", Scheme: "https", Host: hosts[h], Port: 443, Path: fmt.Sprintf("/repos/acme/app/pulls/%d", i%paths), Client: "node"}
		buf = append(event.AppendJSON(buf, &e), '\n')
		e.Phase, e.Status, e.Duration, e.Received, e.Sent = event.End, 200, 120*time.Millisecond, 2048, 12
		e.Service, e.Verdict, e.Auth = services[h], event.Injected, "placeholder"
		e.Secret, e.Where = "keychain:"+services[h], "header Authorization"
		if services[h] == "" {
			e.Secret, e.Where, e.Verdict, e.Reason = "", "", event.Uncovered, "no service for this host"
		}
		e.Timing = &event.Timing{Kept: true, Wait: 119 * time.Millisecond, Body: time.Millisecond}
		buf = append(event.AppendJSON(buf, &e), '\n')
		if len(buf) > 1<<20-4096 {
			if _, err := f.Write(buf); err != nil {
				t.Fatal(err)
			}
			buf = buf[:0]
		}
	}
	if _, err := f.Write(buf); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return Session{ID: "20260102t150405-ffff", Path: path}
}
