package tui

import (
	"strings"
	"testing"

	"agentvault/proxy/event"
)

func TestFilterMatch(t *testing.T) {
	c := &Call{Event: event.Event{
		Method: "DELETE", Scheme: "https", Host: "api.github.com", Port: 8443, Path: "/repos/Acme/straße", Status: 403,
		Verdict: event.Uncovered, Service: "github", Reason: "allows GET only", Client: "curl", Auth: "bearer",
	}}
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{"", true},
		{"host:github", true},
		{"host:gitlab", false},
		{"HOST:GitHub", true},
		{"host::8443", true},
		{"method:delete", true},
		{"method:get", false},
		{"-method:get", true},
		{"-host:github", false},
		{"status:403", true},
		{"status:4xx", true},
		{"status:4", true},
		{"status:40", true},
		{"status:5xx", false},
		{"verdict:uncovered", true},
		{"service:github status:4xx", true},
		{"service:github status:2xx", false},
		{"client:curl auth:bearer path:repos", true},
		{"acme", true},
		{"ACME/STRASSE", false},
		{"STRAßE", true},
		{`"get only"`, true},
		{"get only", true},
		{"only -get", false},
		{"api.github.com:8443", true}, // no field: a bare word
		{"host:", true},               // still being typed
		{"-", true},
	} {
		f, err := ParseFilter(tt.filter)
		if err != nil {
			t.Errorf("ParseFilter(%q): %v", tt.filter, err)
			continue
		}
		if got := f.Match(c); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.filter, got, tt.want)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for filter, want := range map[string]string{
		"status:abc":  `status "abc": want 404 or 4xx`,
		"status:4044": `status "4044": want 404 or 4xx`,
		"status:xxx":  `status "xxx": want 404 or 4xx`,
		"status:-1":   `status "-1": want 404 or 4xx`,
	} {
		if _, err := ParseFilter(filter); err == nil || err.Error() != want {
			t.Errorf("ParseFilter(%q): got %v, want %q", filter, err, want)
		}
	}
}

// A filter never panics, and a word and its opposite never both match.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"host:github status:4xx", `"a b" -c`, "status:4xx -status:404", "\x1b:x", "::", "-", `"`, "İ"} {
		f.Add(s, "GET", "api.github.com", "/a/b")
	}
	f.Fuzz(func(t *testing.T, s, method, host, path string) {
		c := &Call{Event: harmless(event.Event{Method: method, Host: host, Path: path, Status: 404})}
		filter, err := ParseFilter(s)
		if err != nil {
			return
		}
		matched := filter.Match(c)
		if len(filter.terms) != 1 || strings.ContainsAny(s, "\" ") || strings.HasPrefix(s, "-") {
			return
		}
		opposite, err := ParseFilter("-" + s)
		if err != nil {
			t.Fatalf("%q parses, its opposite does not: %v", s, err)
		}
		if opposite.Match(c) == matched {
			t.Errorf("%q and its opposite both say %v", s, matched)
		}
	})
}
