package tui

import (
	"testing"

	"agentvault/proxy/event"
)

// What has only begun is left out, so that the list does not go empty while a word is typed.
func TestFilterWhileTyping(t *testing.T) {
	c := &Call{Event: event.Event{Method: "DELETE", Scheme: "https", Host: "api.github.com", Port: 8443, Path: "/repos/acme", Status: 403,
		Verdict: event.Uncovered, Service: "github", Reason: "allows GET only"}, Endpoint: "/repos/*"}
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{"", true},
		{"host:", true},
		{"-", true},
		{"-host:", true},
		{"host:git -", true},
		{"host:gitlab host:", false},
		{"host:gitlab host:github", true},
		{"endpoint:/repos/*", true},
		{"path:repos/*", false}, // a * ties the rest to its place
		{`"get only"`, true},
		{"only -get", false},
		{"api.github.com:8443", true},
	} {
		f, err := parseFilter(tt.filter)
		if err != nil {
			t.Errorf("%q: %v", tt.filter, err)
			continue
		}
		if got := matches(f, c); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.filter, got, tt.want)
		}
	}
	if _, err := parseFilter("host:git status:abc"); err == nil {
		t.Error("a status that is none is taken")
	}
}
