package proxy

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

func (s *session) know() {
	s.Know("api", keyring.Item{Value: s.secrets.item.Value})
}

// A real secret in the head of a request goes nowhere, in whichever spelling, to a
// covered call or another.
func TestLeakInHead(t *testing.T) {
	quoted, _ := json.Marshal(sentinel)
	for spelling, v := range map[string]string{
		"raw": sentinel, "base64": base64.StdEncoding.EncodeToString([]byte("x" + sentinel + "yz")), "hex": hex.EncodeToString([]byte(sentinel)),
		"json": string(quoted), "basic": "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+sentinel)),
	} {
		for where, set := range map[string]func(r *http.Request){
			"header": func(r *http.Request) { r.Header.Set("X-Anything", v) },
			"cookie": func(r *http.Request) { r.Header.Set("Cookie", "a=b; c="+v) },
			"query":  func(r *http.Request) { r.URL.RawQuery = "a=" + url.QueryEscape(v) },
			"path":   func(r *http.Request) { r.URL = r.URL.JoinPath(url.PathEscape(v)) },
			"agent":  func(r *http.Request) { r.Header.Set("User-Agent", v) },
		} {
			t.Run(spelling+" in "+where, func(t *testing.T) {
				s := start(t, options{handler: func(http.ResponseWriter, *http.Request) { t.Error("reached the upstream") },
					service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/covered"}} }})
				s.know()
				for _, path := range []string{"/covered", "/uncovered"} {
					r, _ := http.NewRequest("GET", s.upstream.URL+path, nil)
					set(r)
					resp, err := s.client(1).Do(r)
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if got := code(t, resp, string(body)); got != CodeLeak || resp.StatusCode != 403 || strings.Contains(string(body), sentinel) {
						t.Errorf("got %d %s", resp.StatusCode, body)
					}
					if e := s.last(); e.Verdict != event.Denied || e.Code != CodeLeak {
						t.Errorf("event %+v", e)
					}
				}
			})
		}
	}
}

// An upload is stopped before the first byte of the secret.
func TestLeakInBody(t *testing.T) {
	long := strings.Repeat("some text ", 50<<10)
	for child := 1; child <= 2; child++ {
		for name, body := range map[string]string{"alone": sentinel, "far in": long + sentinel + "more", "base64": "x" + base64.StdEncoding.EncodeToString([]byte(sentinel)) + long} {
			for _, length := range []bool{true, false} {
				t.Run(fmt.Sprintf("h%d %s length=%t", child, name, length), func(t *testing.T) {
					var mu sync.Mutex
					var arrived strings.Builder
					whole := false
					s := start(t, options{handler: func(_ http.ResponseWriter, r *http.Request) {
						mu.Lock()
						defer mu.Unlock()
						_, err := io.Copy(&arrived, r.Body)
						whole = err == nil
					}})
					s.know()
					var from io.Reader = strings.NewReader(body)
					if !length {
						from = struct{ io.Reader }{from}
					}
					r, _ := http.NewRequest("POST", s.upstream.URL, from)
					resp, err := s.client(child).Do(r)
					if err == nil {
						text, _ := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if got := code(t, resp, string(text)); got != CodeLeak {
							t.Errorf("got %s %s", resp.Status, text)
						}
					} else if !errors.Is(err, io.EOF) && child == 1 {
						t.Log(err) // the connection was closed under its upload
					}
					if e := s.last(); e.Verdict != event.Denied || e.Code != CodeLeak {
						t.Errorf("event %+v", e)
					}
					s.upstream.Close()
					mu.Lock()
					defer mu.Unlock()
					if got := arrived.String(); whole || strings.Contains(got, sentinel) || !strings.HasPrefix(body, got) {
						t.Errorf("%d bytes arrived, whole=%t", len(got), whole)
					}
				})
			}
		}
	}
}

func TestLeakInTrailer(t *testing.T) {
	s := start(t, options{handler: func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the request came through whole")
		}
	}})
	s.know()
	r, _ := http.NewRequest("POST", s.upstream.URL, struct{ io.Reader }{strings.NewReader("body")})
	r.Trailer = http.Header{"X-Up": {sentinel}}
	resp, err := s.client(1).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if got := code(t, resp, string(text)); got != CodeLeak {
		t.Errorf("got %s %s", resp.Status, text)
	}
}

// What an injector puts into a body is not a leak, and neither is its placeholder.
func TestInjectedBodyIsNoLeak(t *testing.T) {
	s := start(t, options{change: func(s *Service) { s.Inject = inject.Body{Fields: []string{"key"}} }, handler: func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "real=%t", strings.Contains(string(body), sentinel))
	}})
	s.know()
	resp, body := s.do(s.client(1), "POST", s.upstream.URL, strings.NewReader(`{"key":"`+placeholder+`"}`), "Content-Type", "application/json")
	if body != "real=true" {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// A secret that another service holds is not sent to an attacker's host as a name.
func TestLeakInHostName(t *testing.T) {
	s := start(t, options{})
	s.know()
	_, resp := s.connect(strings.ReplaceAll(sentinel, "_", "-") + ".example.test:443")
	body, _ := io.ReadAll(resp.Body)
	if got := code(t, resp, string(body)); got != CodeLeak {
		t.Errorf("got %s %s", resp.Status, body)
	}
}

// learn keeps a bounded number of values and builds its tables once a value.
func TestGuardLearns(t *testing.T) {
	var g guard
	one := keyring.NewSecret([]byte(sentinel))
	g.learn("a", "m", one)
	before := g.known.Load()
	g.learn("a", "m", one)
	g.learn("a", "m", keyring.NewSecret([]byte(sentinel)))
	if g.known.Load() != before {
		t.Error("the same value was learnt again")
	}
	for i := range 2 * keptValues {
		g.learn("a", "m", keyring.NewSecret(fmt.Appendf(nil, "another-s3cret-value-%d", i)))
	}
	if n := len(g.known.Load().services["a"].values); n != keptValues {
		t.Errorf("%d values", n)
	}
}
