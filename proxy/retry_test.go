package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// An answer that the service lists counts as a refusal, and reaches the child as it was.
func TestListedRefusal(t *testing.T) {
	const a, b = "s3cret-value-a-0123456789", "s3cret-value-b-0123456789"
	large := strings.Repeat("x", maxDiscard+1)
	refusals := []Refusal{{Status: 400, Says: "API_KEY_INVALID"}, {Status: 200, Members: map[string]any{"ok": false, "error": "invalid_auth"}}}
	for _, tt := range []struct {
		name   string
		status int
		says   string
		hits   string
	}{
		{"listed", 400, `{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}`, a + " " + b},
		{"the status alone", 400, `{"error":{"code":400}}`, a},
		{"the text alone", 404, "API_KEY_INVALID", a},
		{"nothing", 400, "", a},
		{"too much", 400, large + "API_KEY_INVALID", a},
		{"members of an answer that is no error", 200, `{"ok":false, "error":"invalid_auth", "more":[1]}`, a + " " + b},
		{"a member with another value", 200, `{"ok":false,"error":"channel_not_found"}`, a},
		{"a member that is missing", 200, `{"error":"invalid_auth"}`, a},
		{"the members further down", 200, `{"ok":true,"message":{"ok":false,"error":"invalid_auth"}}`, a},
		{"a text with it", 200, `["ok", false, "error", "invalid_auth"]`, a},
		{"members, and too much", 200, `{"ok":false,"error":"invalid_auth","x":"` + large[:maxRefusal] + `"}`, a},
		{"members of a page", 200, `page{"ok":false,"error":"invalid_auth"}`, a},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hits := ""
			var s *session
			s = start(t, options{change: func(s *Service) { s.Refusals = refusals }, handler: func(w http.ResponseWriter, r *http.Request) {
				value := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				hits = strings.TrimPrefix(hits+" "+value, " ")
				if value == b {
					_, _ = io.WriteString(w, "good")
					return
				}
				s.secrets.set(valued(b))
				if tt.status == 200 {
					w.Header().Set("Content-Type", "application/json; charset=utf-8")
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.says)
			}})
			s.secrets.set(valued(a))
			resp, body := s.get("/")
			status, text := tt.status, tt.says
			if strings.HasSuffix(tt.hits, b) {
				status, text = 200, "good"
			}
			if hits != tt.hits || resp.StatusCode != status || body != text {
				t.Errorf("%d with %d bytes after %q, want %d with %d bytes after %q", resp.StatusCode, len(body), hits, status, len(text), tt.hits)
			}
		})
	}
}

// Of an API that says with 200 that it refuses a key, no answer that streams waits for its end.
func TestStreamOfAnAPIThatRefusesWithOK(t *testing.T) {
	arrived := make(chan struct{})
	s := start(t, options{change: func(s *Service) { s.Refusals = []Refusal{{Status: 200, Members: map[string]any{"ok": false}}} }, handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Error("the beginning of the answer waits for its end")
		}
		_, _ = io.WriteString(w, `false}`)
	}})
	resp, err := s.client(1).Get(s.upstream.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	close(arrived)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != `"ok":false}` {
		t.Errorf("%q, %v", rest, err)
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

// An upgrade has no body, and is repeated like any other request: a 401 to it is fatal to
// some clients.
func TestRefusedUpgrade(t *testing.T) {
	const rotated = "s3cret-rotated-9876543210"
	var s *session
	var hits atomic.Int64
	s = start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		b := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			hits.Add(1)
			if r.Header.Get("Authorization") == "Bearer "+rotated {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
				_, _ = io.Copy(c, b)
				return
			}
			s.secrets.set(valued(rotated))
			_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
		}
	}})
	first := wsFrame(true, 2, true, "sent with the request")
	c, resp, b := s.upgrade("websocket", string(first))
	if resp.StatusCode != http.StatusSwitchingProtocols || hits.Load() != 2 {
		t.Fatalf("%s after %d hits", resp.Status, hits.Load())
	}
	got := make([]byte, len(first))
	if _, err := io.ReadFull(b, got); err != nil || string(got) != string(first) {
		t.Errorf("%v; the frame sent with the request came back as %q", err, got)
	}
	_ = c.Close()
	if e := s.last(); e.State != event.Rotated || e.Verdict != event.Injected {
		t.Errorf("event %+v", e)
	}
}

// gRPC says in a trailer, where there is no body, what others say with a status.
func TestRefusedGRPC(t *testing.T) {
	const rotated = "s3cret-rotated-9876543210"
	for _, tt := range []struct{ name, status, has string }{{"unauthenticated", "16", rotated}, {"denied", "7", rotated}, {"another error", "5", sentinel}} {
		t.Run(tt.name, func(t *testing.T) {
			var s *session
			var hits atomic.Int64
			s = start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				w.Header().Set("Content-Type", "application/grpc")
				if r.Header.Get("Authorization") != "Bearer "+rotated {
					s.secrets.set(valued(tt.has))
					w.Header().Set("Grpc-Status", tt.status)
				}
			}})
			resp, _ := s.do(s.client(2), "POST", s.upstream.URL+"/a.B/C", strings.NewReader("message"), "Content-Type", "application/grpc", "Te", "trailers")
			want := int64(2)
			if tt.has == sentinel {
				want = 1
			}
			if hits.Load() != want || (resp.Header.Get("Grpc-Status") == "") != (want == 2) {
				t.Errorf("%d hits, grpc-status %q", hits.Load(), resp.Header.Get("Grpc-Status"))
			}
		})
	}
}
