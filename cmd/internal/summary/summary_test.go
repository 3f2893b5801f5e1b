package summary

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/cmd/internal/discover/text"
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

// adder adds calls to a Summary.
type adder struct {
	Summary
	call uint64
}

func (a *adder) times(n int, e event.Event) {
	for range n {
		a.call++
		e.Session, e.Call, e.Scheme = "7f3a", a.call, "https"
		e.Time = time.Date(2026, 1, 2, 15, 4, 5, int(a.call), time.UTC)
		if e.Port == 0 {
			e.Port = 443
		}
		start := e
		start.Phase, start.Verdict, start.Status = event.Start, "", 0
		e.Phase = event.End
		a.Add(start)
		a.Add(e)
	}
}

// busy is a session in which everything happens.
func busy() *adder {
	var a adder
	a.times(39, event.Event{Method: "GET", Host: "api.github.com", Path: "/user", Service: "github", Verdict: event.Injected, Status: 200})
	a.times(1, event.Event{Method: "GET", Host: "files.example.org", Path: "/left-pad.tgz", Service: "files", Verdict: event.Passed, Status: 200})
	a.times(3, event.Event{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/9", Service: "github", Verdict: event.Uncovered, Status: 403, Reason: "rule github allows GET only"})
	a.times(1, event.Event{Method: "POST", Host: "api.linear.app", Path: "/graphql", Verdict: event.Uncovered, Status: 401, Auth: "authorization"})
	a.times(2, event.Event{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds", Service: "stripe", Verdict: event.Denied, Status: 403, Code: "denied_by_rule", Reason: `rule "POST /v1/refunds" denies it`})
	a.times(1, event.Event{Method: "GET", Host: "gone.example", Path: "/", Service: "gone", Verdict: event.Failed, Reason: "no such host"})
	a.times(2, event.Event{Method: "CONNECT", Host: "vpn.corp.example", Verdict: event.Tunnelled})
	a.times(1, event.Event{Method: "CONNECT", Host: "pinned.example", Verdict: event.Failed, Reason: "unknown certificate authority"})
	a.Add(event.Event{Session: "7f3a", Phase: event.Note, Scheme: "tcp", Host: "10.0.0.5", Port: 5432, Verdict: event.Bypassed, Client: "psql"})
	a.Add(event.Event{Session: "7f3a", Call: 999, Phase: event.Start, Method: "GET", Scheme: "https", Host: "api.github.com", Port: 443, Path: "/user", Service: "github", Verdict: event.Injected})
	return &a
}

func TestWrite(t *testing.T) {
	a := busy()
	for _, width := range []int{0, 80, 120} {
		var b bytes.Buffer
		if err := a.Write(&b, Options{Width: width, Session: "7f3a", Duration: 12*time.Minute + 41*time.Second}); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("summary_%d.golden", width), b.Bytes())
		for _, line := range strings.Split(b.String(), "\n") {
			if width > 0 && text.Width(line) > width {
				t.Errorf("width %d: a line is %d wide: %q", width, text.Width(line), line)
			}
		}
	}
}

func TestWriteShort(t *testing.T) {
	for _, tt := range []struct {
		name string
		add  func(a *adder)
		want string
	}{
		{"nothing", func(*adder) {}, "agentvault  5.0s · nothing went through the proxy · the command made no call, or ignores HTTPS_PROXY\n"},
		{"all is well", func(a *adder) {
			a.times(1, event.Event{Method: "GET", Host: "x.test", Path: "/", Service: "x", Verdict: event.Injected, Status: 200})
		}, "agentvault  5.0s · 1 call · 1 injected · coverage 100 %\n  log          agentvault log 7f3a\n"},
		{"a human let it through", func(a *adder) {
			a.times(1, event.Event{Method: "GET", Host: "x.test", Path: "/", Verdict: event.Passed, Status: 200})
		}, "agentvault  5.0s · 1 call · 1 passed · coverage 0 %\n  log          agentvault log 7f3a\n"},
		{"a placeholder on its way to a stranger", func(a *adder) {
			a.times(2, event.Event{Method: "GET", Host: "x.test", Path: "/", Verdict: event.Denied, Code: "placeholder_misdirected", Status: 403, Auth: "placeholder", Reason: "header X holds the placeholder of github"})
		}, "agentvault  5.0s · 2 calls · 2 denied · coverage 0 %\n  ⚠ 1 endpoint denied\n    GET x.test/   2 calls   last 403   header X holds the placeholder of github\n  log          agentvault log 7f3a\n"},
		{"held calls", func(a *adder) {
			start := event.Event{Session: "7f3a", Call: 1, Phase: event.Start, Method: "POST", Scheme: "https", Host: "x.test", Port: 443, Path: "/", Service: "x", Verdict: event.Held}
			a.Add(start)
			start.Phase, start.Verdict, start.Code, start.Reason, start.Status = event.End, event.Denied, "held_and_refused", "rule x asks for POST /; the human refused this call", 403
			a.Add(start)
		}, "agentvault  5.0s · 1 call · 1 denied · 1 held · coverage 100 %\n  ⚠ 1 endpoint denied\n    POST x.test/   1 call   last 403   rule x asks for POST /; the human refused this call\n  log          agentvault log 7f3a\n"},
		{"a lease that is left", func(a *adder) {
			a.Add(event.Event{Phase: event.Note, State: event.Left, Secret: "vault:database/creds/agent", Reason: "vault:database/creds/agent: still valid, until 2026-01-02T15:04:05Z: access denied; to revoke it: vault lease revoke database/creds/agent/x1"})
			a.Add(event.Event{Phase: event.Note, State: event.Left, Secret: "infisical:x", Reason: "infisical:x: still valid: no answer; revoke it where it was issued"})
		}, "agentvault  5.0s · nothing went through the proxy · the command made no call, or ignores HTTPS_PROXY\n  ⚠ 2 leases could not be given back\n    vault:database/creds/agent: still valid, until 2026-01-02T15:04:05Z: access denied\n      to revoke it   vault lease revoke database/creds/agent/x1\n    infisical:x: still valid: no answer; revoke it where it was issued\n"},
		{"lost events", func(a *adder) {
			a.times(1, event.Event{Method: "GET", Host: "x.test", Path: "/", Service: "x", Verdict: event.Injected})
			a.Add(event.Event{Phase: event.Note, Lost: 3})
		}, "agentvault  5.0s · 1 call · 1 injected · coverage 100 %\n  ⚠ the log lacks 3 events that could not be written\n  log          agentvault log 7f3a\n"},
	} {
		var a adder
		tt.add(&a)
		var b bytes.Buffer
		if err := a.Write(&b, Options{Session: "7f3a", Duration: 5 * time.Second}); err != nil || b.String() != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, b.String(), tt.want)
		}
	}
}

func TestWriteManyEndpoints(t *testing.T) {
	var a adder
	for i := range 30 {
		a.times(1, event.Event{Method: "GET", Host: fmt.Sprintf("host%c.test", 'a'+i%26), Port: 1000 + i, Path: "/\x1b]0;x\x07", Verdict: event.Uncovered})
	}
	var b bytes.Buffer
	if err := a.Write(&b, Options{Width: 100, Session: "7f3a"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "30 endpoints without a service") || !strings.Contains(b.String(), "and 23 more\n") || strings.Count(b.String(), "\n") > most+5 {
		t.Errorf("got\n%s", b.String())
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Errorf("what came from the network is not escaped: %q", b.String())
	}
}

func TestSummaryManyAtOnce(t *testing.T) {
	var s Summary
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 250 {
				s.Add(event.Event{Session: "s", Call: uint64(w*1000 + i), Phase: event.End, Method: "GET", Host: "x.test", Path: "/", Verdict: event.Injected, Service: "x"})
				if i%100 == 0 {
					_ = s.Write(&bytes.Buffer{}, Options{})
				}
			}
		})
	}
	wg.Wait()
	if endpoints, over := s.Endpoints(); len(endpoints) != 1 || endpoints[0].Calls != 1000 || over != 0 {
		t.Errorf("%+v, %d over", endpoints, over)
	}
}

// The line about a session without a call is broken where the screen ends, between two parts.
func TestWriteNothingOnANarrowScreen(t *testing.T) {
	var b bytes.Buffer
	if err := new(Summary).Write(&b, Options{Width: 80, Session: "7f3a", Duration: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	want := "agentvault  5.0s · nothing went through the proxy\n            the command made no call, or ignores HTTPS_PROXY\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
