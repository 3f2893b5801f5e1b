package proxy

import (
	"strings"
	"sync"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// What the child brings itself is shown to who asks for it, where no service covers the
// call, and is in no event.
func TestOwn(t *testing.T) {
	const own = "own-key-of-the-child-0123456789"
	var mu sync.Mutex
	var taken []inject.Own
	config := func(c *Config) {
		c.Own = func(e event.Event, o inject.Own) {
			mu.Lock()
			defer mu.Unlock()
			if e.Call == 0 || e.Host == "" {
				t.Errorf("event %+v", e)
			}
			taken = append(taken, o)
		}
	}
	elsewhere := func(r *rule.Service) { r.Hosts[0].Name = "other.example.test" }
	for _, tt := range []struct {
		name string
		o    options
		send []string
		want int
	}{
		{"no service", options{service: elsewhere}, []string{"Authorization", "Bearer " + own}, 1},
		{"no service, no credential", options{service: elsewhere}, nil, 0},
		{"a service", options{}, []string{"Authorization", "Bearer " + own}, 0},
		{"a service without that rule", options{service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }}, []string{"Authorization", "Bearer " + own}, 0},
	} {
		taken = nil
		tt.o.handler, tt.o.config = echo("Authorization"), config
		s := start(t, tt.o)
		if resp, body := s.get("/v1", tt.send...); resp.StatusCode != 200 {
			t.Fatalf("%s: %s %s", tt.name, resp.Status, body)
		}
		mu.Lock()
		if len(taken) != tt.want || tt.want == 1 && (taken[0].Kind != "bearer" || taken[0].Value.Reveal() != own) {
			t.Errorf("%s: %d credentials, want %d", tt.name, len(taken), tt.want)
		}
		mu.Unlock()
		var all strings.Builder
		for _, e := range s.seen() {
			all.Write(event.AppendJSON(nil, &e))
		}
		if strings.Contains(all.String(), own) {
			t.Errorf("%s: an event holds it: %s", tt.name, all.String())
		}
	}
}

// A key in a path is in no event: not one of a known shape, and not one that the child was
// handed on.
func TestPathsHoldNoKeys(t *testing.T) {
	s := start(t, options{handler: echo("Authorization"), service: func(r *rule.Service) { r.Hosts[0].Name = "other.example.test" }})
	s.Hide([]keyring.Secret{keyring.NewSecret([]byte("plain-looking/s3cret-password"))})
	for _, tt := range []struct{ path, want, auth string }{
		{"/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8/getMe", "/bot‹key›/getMe", "path"},
		{"/login/plain-looking/s3cret-password/x", "/login/‹key›/x", ""},
		{"/login/plain-looking%2Fs3cret-password/x", "/login/‹key›/x", ""},
	} {
		if resp, body := s.get(tt.path); resp.StatusCode != 200 {
			t.Fatalf("%s %s", resp.Status, body)
		}
		if e := s.last(); e.Path != tt.want || e.Auth != tt.auth {
			t.Errorf("%s: path %q, auth %q, want %q, %q", tt.path, e.Path, e.Auth, tt.want, tt.auth)
		}
	}
}
