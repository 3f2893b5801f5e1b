package proxy

import (
	"context"
	"strings"
	"testing"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// Of a long path the human sees the beginning, and so does whoever remembers the answer: the
// rest of it would leave on a yes to something else.
func TestHoldRefusesWhatCannotBeShown(t *testing.T) {
	asked := 0
	s := start(t, options{unmatched: Ask, noHTTP2: true, config: func(c *Config) {
		c.Ask = func(context.Context, event.Event, func()) Leave {
			asked++
			return Leave{OK: true, Reason: "allowed for the session"}
		}
	}})
	none, _ := rule.New(nil)
	s.Swap(&Rules{Set: none, Unmatched: Ask})
	long := "/" + strings.Repeat("a", maxPath)
	for _, tt := range []struct {
		path   string
		status int
		asked  int
	}{{long[:maxPath], 200, 1}, {long, 403, 1}, {long + "/evil", 403, 1}} {
		resp, text := s.get(tt.path)
		if resp.StatusCode != tt.status || asked != tt.asked || tt.status == 403 && !strings.Contains(text, CodeHeld) {
			t.Errorf("%d bytes: %s, asked %d times: %.200s", len(tt.path), resp.Status, asked, text)
		}
	}
}
