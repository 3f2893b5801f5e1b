package proxy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"net/http"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// phases is what the log holds of the calls, in order.
func (s *session) phases() string {
	var b strings.Builder
	for _, e := range s.seen() {
		fmt.Fprintf(&b, "%s %s; ", e.Phase, e.Verdict)
	}
	return b.String()
}

// A held call waits before anything is resolved or sent, and the log says so: one start
// when it is held, one when it goes out.
func TestHold(t *testing.T) {
	asks := func(r *rule.Service) { r.Ask = []rule.Op{{Method: "POST", Path: "/refunds"}} }
	other := func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/only"}} }
	elsewhere := func(r *rule.Service) { r.Hosts = []rule.Host{{Name: "other.test"}} }
	for _, tt := range []struct {
		name      string
		unmatched Policy
		service   func(*rule.Service)
		leave     Leave
		waits     bool
		status    int
		phases    string
		reason    string
		injected  bool
	}{
		{"an ask rule, yes", Warn, asks, Leave{OK: true, Reason: "allowed once"}, true, 200, "start held; start injected; end injected; ", "", true},
		{"an ask rule, no", Warn, asks, Leave{Reason: "the human refused this call"}, true, 403, "start held; end denied; ", "rule api asks for POST /refunds; the human refused this call", false},
		{"an ask rule, answered before", Warn, asks, Leave{OK: true, Reason: "allowed for the session"}, false, 200, "start injected; end injected; ", "", true},
		{"not allowed, yes", Ask, other, Leave{OK: true, Reason: "allowed once"}, true, 200, "start held; start injected; end injected; ", "", true},
		{"not allowed, no", Ask, other, Leave{Reason: "nobody answered"}, true, 403, "start held; end denied; ", "rule api allows GET only; it leaves with the credential of api; nobody answered", false},
		{"no service, yes", Ask, elsewhere, Leave{OK: true, Reason: "allowed once"}, true, 200, "start held; start uncovered; end uncovered; ", "no service for this host; allowed once", false},
		{"no service, no", Ask, elsewhere, Leave{Reason: "nobody answered"}, true, 403, "start held; end denied; ", "no service for this host; nobody answered", false},
		{"nobody can be asked", Ask, elsewhere, Leave{Reason: "there is nobody to ask"}, false, 403, "start denied; end denied; ", "no service for this host; there is nobody to ask", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var auth atomic.Value
			s := start(t, options{unmatched: tt.unmatched, service: tt.service,
				handler: func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					auth.Store(r.Header.Get("Authorization"))
					_, _ = w.Write(body)
				},
				config: func(c *Config) {
					c.Ask = func(_ context.Context, e event.Event, held func()) Leave {
						if e.Verdict != event.Held || e.Path != "/refunds" || e.Reason == "" {
							t.Errorf("asked about %+v", e)
						}
						if auth.Load() != nil {
							t.Error("it was sent before the answer")
						}
						if tt.waits {
							held()
						}
						return tt.leave
					}
				}})
			resp, text := s.do(s.client(1), "POST", s.upstream.URL+"/refunds", strings.NewReader("all of the body"))
			e := s.last()
			if resp.StatusCode != tt.status || s.phases() != tt.phases || e.Reason != tt.reason {
				t.Errorf("%d, %s, reason %q, want %d, %s, %q", resp.StatusCode, s.phases(), e.Reason, tt.status, tt.phases, tt.reason)
			}
			if tt.status == 200 && text != "all of the body" {
				t.Errorf("the upstream got %q", text)
			}
			if tt.status == 403 && (!strings.Contains(text, CodeHeld) || auth.Load() != nil) {
				t.Errorf("refused with %s, sent %v", text, auth.Load())
			}
			if got := auth.Load() == "Bearer "+sentinel; got != tt.injected {
				t.Errorf("the upstream got the credential: %t, want %t", got, tt.injected)
			}
		})
	}
}

// A placeholder where no allow rule names the call is asked about too, and replaced after a
// yes. Without anybody to ask, or for another service, it is refused as ever.
func TestHoldPlaceholder(t *testing.T) {
	other := func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/only"}} }
	for _, tt := range []struct {
		name   string
		policy Policy
		ask    bool
		leave  Leave
		status int
		code   string
		sent   string
	}{
		{"yes", Ask, true, Leave{OK: true, Reason: "allowed once"}, 200, "", "Bearer " + sentinel},
		{"no", Ask, true, Leave{Reason: "the human refused this call"}, 403, CodeHeld, ""},
		{"nobody to ask", Ask, false, Leave{}, 403, CodePlaceholder, ""},
		{"nothing asks", Warn, true, Leave{OK: true}, 403, CodePlaceholder, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent atomic.Value
			s := start(t, options{unmatched: tt.policy, service: other, change: func(s *Service) { s.Always = false },
				handler: func(_ http.ResponseWriter, r *http.Request) { sent.Store(r.Header.Get("Authorization")) },
				config: func(c *Config) {
					if tt.ask {
						c.Ask = func(_ context.Context, e event.Event, held func()) Leave {
							if !strings.Contains(e.Reason, "leaves with the credential of api") {
								t.Errorf("asked because of %q", e.Reason)
							}
							held()
							return tt.leave
						}
					}
				}})
			resp, text := s.do(s.client(1), "POST", s.upstream.URL+"/refunds", strings.NewReader("x"), "Authorization", "Bearer "+placeholder)
			if resp.StatusCode != tt.status || !strings.Contains(text, tt.code) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, text, tt.status, tt.code)
			}
			if got, _ := sent.Load().(string); got != tt.sent {
				t.Errorf("the upstream got %q, want %q", got, tt.sent)
			}
			if e := s.last(); !e.NotAllowed || e.Service != "api" || e.Code != tt.code {
				t.Errorf("the log has %+v", e)
			}
		})
	}
}

// A call that passes because everything does is not covered by the service whose allow
// list does not name it; one that a rule came to allow meanwhile is.
func TestNotAllowedIsTold(t *testing.T) {
	other := func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/only"}} }
	for _, policy := range []Policy{Allow, Warn, Deny} {
		s := start(t, options{unmatched: policy, service: other})
		s.get("/only")
		if e := s.last(); e.NotAllowed {
			t.Errorf("%s: an allowed call: %+v", policy, e)
		}
		s.get("/else")
		if e := s.last(); !e.NotAllowed || e.Service != "api" {
			t.Errorf("%s: %+v", policy, e)
		}
	}
}

// Where the answer was a rule, the held call goes out under it.
func TestHoldEndsInARule(t *testing.T) {
	var s *session
	o := options{unmatched: Ask, service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/only"}} }}
	o.config = func(c *Config) {
		c.Ask = func(_ context.Context, _ event.Event, held func()) Leave {
			held()
			s.Swap(s.newRules(options{unmatched: Ask}))
			return Leave{OK: true, Reason: "allowed for good"}
		}
	}
	s = start(t, o)
	resp, _ := s.do(s.client(1), "POST", s.upstream.URL+"/refunds", strings.NewReader("x"))
	if e := s.last(); resp.StatusCode != 200 || e.Verdict != event.Injected || e.Service != "api" || e.NotAllowed {
		t.Errorf("%d, %+v", resp.StatusCode, e)
	}
}

// A client that goes away is noticed although its request has a body, over either
// protocol: what nobody waits for must not go out on a late yes.
func TestHoldNoticesThatTheClientIsGone(t *testing.T) {
	for _, protocol := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", protocol), func(t *testing.T) {
			waits, gone := make(chan struct{}), make(chan struct{})
			s := start(t, options{unmatched: Ask, service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/only"}} },
				handler: func(http.ResponseWriter, *http.Request) { t.Error("it was sent") },
				config: func(c *Config) {
					c.Ask = func(ctx context.Context, _ event.Event, held func()) Leave {
						held()
						close(waits)
						select {
						case <-ctx.Done():
						case <-time.After(20 * time.Second):
							t.Error("the client has gone and nobody noticed")
						}
						close(gone)
						return Leave{Reason: "the client went away"}
					}
				}})
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "POST", s.upstream.URL+"/refunds", strings.NewReader("all of the body"))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				<-waits
				cancel()
			}()
			if _, err := s.client(protocol).Do(r); err == nil {
				t.Error("an answer")
			}
			<-gone
			if e := s.last(); e.Verdict != event.Denied || e.Code != CodeHeld {
				t.Errorf("%+v", e)
			}
		})
	}
}

// A body that is larger than what is kept still goes out whole.
func TestHoldKeepsABody(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"large":   strings.NewReader(strings.Repeat("x", maxKept+7)),
		"chunked": io.MultiReader(strings.NewReader(strings.Repeat("x", maxKept)), strings.NewReader("0123456")),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{unmatched: Ask, service: func(r *rule.Service) { r.Ask = []rule.Op{{Path: "/**"}} },
				handler: func(w http.ResponseWriter, r *http.Request) {
					n, err := io.Copy(io.Discard, r.Body)
					fmt.Fprint(w, n, err)
				},
				config: func(c *Config) {
					c.Ask = func(_ context.Context, _ event.Event, held func()) Leave {
						held()
						time.Sleep(50 * time.Millisecond) // for the reading ahead
						return Leave{OK: true}
					}
				}})
			if resp, text := s.do(s.client(1), "POST", s.upstream.URL+"/x", body); resp.StatusCode != 200 || text != fmt.Sprint(maxKept+7, nil) {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
		})
	}
}
