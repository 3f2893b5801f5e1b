package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
)

// rotating is an upstream that takes some of the values and counts.
type rotating struct {
	mu     sync.Mutex
	takes  map[string]bool
	status int      // of a refusal; 401 when zero
	seen   []string // the values of the requests, in their order
	during func()   // called while a request is under way
}

func (u *rotating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	value := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	u.mu.Lock()
	u.seen = append(u.seen, value)
	good, status, during := u.takes[value], u.status, u.during
	u.mu.Unlock()
	if during != nil {
		during()
	}
	if !good {
		if status == 0 {
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
	}
	_, _ = w.Write(body)
}

// hits returns what came since the last call.
func (u *rotating) hits() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := strings.Join(u.seen, " ")
	u.seen = nil
	return all
}

func (u *rotating) set(values ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.takes = make(map[string]bool)
	for _, v := range values {
		u.takes[v] = true
	}
}

func valued(text string) keyring.Item { return keyring.Item{Value: keyring.NewSecret([]byte(text))} }

// What one request costs the upstream, and what the child and the log see of it.
func TestRefusedCredential(t *testing.T) {
	const a, b, c = "s3cret-value-a-0123456789", "s3cret-value-b-0123456789", "s3cret-value-c-0123456789"
	big := strings.Repeat("x", maxKept+1)
	for _, tt := range []struct {
		name    string
		had     string // the backend's value before, if another
		has     string // ... now
		during  string // ... from the first hit on, if another
		takes   string
		refusal int
		body    string
		hits    string
		status  int
		state   event.State
	}{
		{name: "taken", has: a, takes: a, hits: a, status: 200},
		{name: "refused and unchanged", has: a, takes: b, hits: a, status: 401},
		{name: "forbidden and unchanged", has: a, takes: b, refusal: 403, hits: a, status: 403},
		{name: "changed meanwhile", has: a, during: b, takes: b, hits: a + " " + b, status: 200, state: event.Rotated},
		{name: "changed meanwhile, forbidden", has: a, during: b, takes: b, refusal: 403, hits: a + " " + b, status: 200, state: event.Rotated},
		{name: "changed, with a small body", has: a, during: b, takes: b, body: "small", hits: a + " " + b, status: 200, state: event.Rotated},
		{name: "changed, with a large body", has: a, during: b, takes: b, body: big, hits: a, status: 401},
		{name: "changed, and refused all the same", has: a, during: b, takes: c, hits: a + " " + b, status: 401, state: event.Rotated},
		{name: "the new one is not known yet", had: a, has: b, takes: a, hits: b + " " + a, status: 200, state: event.Previous},
		{name: "the new one is not known yet, forbidden", had: a, has: b, takes: a, refusal: 403, hits: b + " " + a, status: 200, state: event.Previous},
		{name: "neither is taken", had: a, has: b, takes: c, hits: b + " " + a, status: 401},
		{name: "all three", had: a, has: b, during: c, takes: a, hits: b + " " + c, status: 401, state: event.Rotated},
		{name: "another error", has: a, during: b, takes: b, refusal: 500, hits: a, status: 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(rotating)
			s := start(t, options{handler: u.ServeHTTP})
			if tt.had != "" {
				u.set(tt.had)
				s.secrets.set(valued(tt.had))
				s.get("/before")
				u.hits()
			}
			s.secrets.set(valued(tt.has))
			u.set(tt.takes)
			u.status = tt.refusal
			if tt.during != "" {
				u.during = func() { s.secrets.set(valued(tt.during)) }
			}
			var body io.Reader
			if tt.body != "" {
				body = strings.NewReader(tt.body)
			}
			resp, got := s.do(s.client(1), "POST", s.upstream.URL+"/v1", body)
			hits := u.hits()
			if resp.StatusCode != tt.status || got != tt.body || hits != tt.hits {
				t.Errorf("%d with %d bytes after %q, want %d with %d bytes after %q", resp.StatusCode, len(got), hits, tt.status, len(tt.body), tt.hits)
			}
			e := s.last()
			if e.State != tt.state || e.Status != tt.status || e.Verdict != event.Injected {
				t.Errorf("event %+v, want the state %q", e, tt.state)
			}
		})
	}
}

// A value of another provider is not sent; the label of one that is goes into the log. Each
// value is looked at once.
func TestInspectedCredential(t *testing.T) {
	const foreign = "s3cret-of-another-0123456789"
	u, looks := new(rotating), 0
	u.set(sentinel)
	s := start(t, options{handler: u.ServeHTTP, change: func(s *Service) {
		s.Inspect = func(v keyring.Secret, _ string) (string, error) {
			looks++
			if v.Reveal() == foreign {
				return "", errors.New("the value is plainly a key of another")
			}
			return "live", nil
		}
	}})
	resp, _ := s.get("/")
	if e := s.last(); resp.StatusCode != 200 || e.Label != "live" {
		t.Errorf("%s, label %q", resp.Status, e.Label)
	}
	s.get("/")
	if u.hits() != sentinel+" "+sentinel || looks != 1 {
		t.Errorf("%d looks at one value", looks)
	}
	s.secrets.set(valued(foreign))
	resp, body := s.get("/")
	if e := s.last(); code(t, resp, body) != CodeShape || e.Verdict != event.Denied || e.Label != "" || u.hits() != "" || strings.Contains(body, foreign) {
		t.Errorf("%s %s %+v", resp.Status, body, e)
	}
}
