package proxy

import (
	"context"
	"testing"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// The log tells of each call whether the human was asked, and what the answer was.
func TestAskedIsLogged(t *testing.T) {
	answer := true
	s := start(t, options{handler: echo("Authorization"),
		service: func(r *rule.Service) { r.Ask = []rule.Op{{Method: "GET", Path: "/asked"}} },
		config: func(c *Config) {
			c.Ask = func(_ context.Context, _ event.Event, held func()) Leave {
				held()
				return Leave{OK: answer, Reason: "a test"}
			}
		}})
	for _, tt := range []struct {
		path  string
		yes   bool
		asked string
	}{{"/asked", true, "yes"}, {"/asked", false, "no"}, {"/plain", true, ""}} {
		answer = tt.yes
		s.get(tt.path)
		if e := s.last(); e.Asked != tt.asked {
			t.Errorf("%s, answer %t: %+v", tt.path, tt.yes, e)
		}
	}
	for _, e := range s.seen() {
		if e.Verdict == event.Held && e.Asked != "" {
			t.Errorf("a call that waits has an answer: %+v", e)
		}
	}
}
