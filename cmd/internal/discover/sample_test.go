package discover

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"agentvault/proxy/event"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// golden compares got with a file under testdata, or writes it with -update.
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

// session builds the events of one session.
type session struct {
	events []event.Event
	call   uint64
	at     time.Time
}

func newSession() *session { return &session{at: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)} }

// times adds n calls like e, each a start and an end.
func (s *session) times(n int, e event.Event) {
	for i := range n {
		s.call++
		s.at = s.at.Add(time.Second)
		e.Session, e.Call, e.Time, e.Phase = "7f3a", s.call, s.at, event.Start
		if e.Scheme == "" {
			e.Scheme = "https"
		}
		if e.Port == 0 {
			e.Port = 443
		}
		start := e
		start.Status, start.Duration, start.Received, start.Verdict = 0, 0, 0, ""
		e.Phase, e.Duration = event.End, time.Duration(i+1)*10*time.Millisecond
		s.events = append(s.events, start, e)
	}
}

// agentSession is what an agent does on a busy day.
func agentSession() []event.Event {
	s := newSession()
	for i := range 14 {
		s.times(1, event.Event{Method: "GET", Host: "api.github.com", Path: "/repos/acme/app/pulls/" + string(rune('0'+i%10)), Service: "github",
			Secret: "keychain:github", Verdict: event.Injected, Status: 200, Received: 2048, Auth: "placeholder"})
	}
	s.times(3, event.Event{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/9", Service: "github", Verdict: event.Uncovered,
		Status: 403, Reason: "rule github allows GET only"})
	s.times(1, event.Event{Method: "POST", Host: "api.github.com", Path: "/repos/acme/app/issues", Service: "github", Verdict: event.Denied, Status: 403,
		Code: "denied_by_rule", Reason: `rule "POST /**" denies it`})
	s.times(1, event.Event{Method: "POST", Host: "api.linear.app", Path: "/graphql", Verdict: event.Uncovered, Status: 401, Auth: "authorization"})
	s.times(9, event.Event{Method: "POST", Host: "telemetry.example.com", Path: "/v1/events", Verdict: event.Uncovered, Status: 204})
	s.times(2, event.Event{Method: "POST", Host: "billing.acme.test", Port: 8443, Path: "/v2/customers/cus_NffrFeUfNV2Hib/invoices", Verdict: event.Uncovered, Status: 200, Auth: "x-api-key"})
	s.times(1, event.Event{Method: "POST", Host: "billing.acme.test", Port: 8443, Path: "/v2/customers/cus_Mffr2eUfNV2Hib/invoices", Verdict: event.Uncovered, Status: 500, Auth: "x-api-key"})
	s.times(1, event.Event{Method: "GET", Host: "evil.example", Path: "/\x1b[31m\u202ered", Verdict: event.Uncovered, Status: 200})
	s.times(2, event.Event{Method: "CONNECT", Host: "vpn.corp.example", Verdict: event.Tunnelled})
	s.times(1, event.Event{Method: "CONNECT", Host: "pinned.example", Verdict: event.Failed, Reason: "the client refused the session's certificate"})
	s.events = append(s.events, event.Event{Session: "7f3a", Phase: event.Note, Time: s.at, Scheme: "tcp", Host: "10.0.0.5", Port: 5432,
		Verdict: event.Bypassed, Client: "psql", Reason: "postgres"})
	// One that never ended.
	s.call++
	s.events = append(s.events, event.Event{Session: "7f3a", Call: s.call, Phase: event.Start, Time: s.at, Method: "GET", Scheme: "https", Host: "api.linear.app",
		Port: 443, Path: "/sse", Verdict: event.Uncovered})
	return s.events
}

var known = Knowledge{Entry: func(host string, _ int) (Entry, bool) {
	switch host {
	case "api.linear.app":
		return Entry{Name: "linear", Hosts: []string{"api.linear.app"}}, true
	case "api.github.com", "github.com":
		return Entry{Name: "github", Hosts: []string{"api.github.com", "github.com"}}, true
	case "acme.openai.azure.com", "other.openai.azure.com":
		return Entry{Name: "azure-openai", OwnHost: true}, true
	case "api.twilio.com":
		return Entry{Name: "twilio", Hosts: []string{"api.twilio.com"}, Auth: `{ type = "basic", user = "YOUR-USER" }`, Note: "the user is the account SID"}, true
	case "s3.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com":
		return Entry{Name: "aws", OwnHost: true, OneAccount: true, Auth: `{ type = "sigv4", access_key_id = "keychain:aws-id" }`, Note: "a secret too", More: []string{"aws-id"}}, true
	case "api.uptimerobot.com":
		return Entry{Name: "uptimerobot", Hosts: []string{"api.uptimerobot.com"}, Unseen: true}, true
	}
	return Entry{}, false
}}
