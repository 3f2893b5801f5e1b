package query

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"agentvault/proxy/event"
)

var hook = event.Event{
	Session: "7f3a", Call: 12, Method: "DELETE", Scheme: "https", Host: "api.github.com", Port: 8443, Path: "/repos/Acme/straße", Status: 403,
	Verdict: event.Uncovered, Service: "github", Reason: "allows GET only", Client: "curl", Auth: "bearer", Secret: "keychain:github",
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{"", true},
		{"host:github", true},
		{"host:gitlab", false},
		{"HOST:GitHub", true},
		{"host::8443", true},
		{"host:api.*:8443", true},
		{"host:github*", false},
		{"host:none", false},
		{"method:delete", true},
		{"method:get", false},
		{"-method:get", true},
		{"!method:get", true},
		{"-host:github", false},
		{"status:403", true},
		{"status:4xx", true},
		{"status:4", true},
		{"status:40", true},
		{"status:5xx", false},
		{"status:>=403", true},
		{"status:>403", false},
		{"status:<=403", true},
		{"status:<403", false},
		{"status:none", false},
		{"verdict:uncovered", true},
		{"verdict:un*", true},
		{"service:github status:4xx", true},
		{"service:github status:2xx", false},
		// One field twice means either, different fields both, texts each.
		{"service:stripe service:github", true},
		{"service:stripe service:github status:2xx", false},
		{"status:2xx status:4xx", true},
		{"-service:stripe -service:github", false},
		{"github stripe", false},
		{"client:curl auth:bearer path:repos", true},
		{"path:/repos/*", true},
		{"path:/repos/*/x", false},
		{"endpoint:/Repos/*/*", true},
		{"endpoint:/repos/*", false},
		{"call:12 session:7f3a secret:*github label:none", true},
		{"call:1", false},
		{"asked:none state:none code:none scheme:https", true},
		{"acme", true},
		{"ACME/STRASSE", false},
		{"STRAßE", true},
		{`"get only"`, true},
		{"get only", true},
		{"only -get", false},
		{"api.github.com:8443", true}, // no field: a text
		{"localhost:8443", false},     // a port, not an unknown field
		{"com:8443", true},
	} {
		f, err := Parse(Words(tt.filter))
		if err != nil {
			t.Errorf("%q: %v", tt.filter, err)
			continue
		}
		if got := f.Match(&hook, "/repos/*/*"); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.filter, got, tt.want)
		}
	}
}

func TestFilterSaysWhatItNeeds(t *testing.T) {
	for _, tt := range []struct {
		filter, host    string
		empty, endpoint bool
	}{
		{"", "", true, false},
		{"host:GitHub.com", "github.com", false, false},
		{"host:github.com host:gitlab.com", "", false, false},
		{"-host:github.com", "", false, false},
		{"host:*.github.com", "", false, false},
		{"host:github.com:8443", "", false, false},
		{"host:none", "", false, false},
		{"path:/x", "", false, true},
		{"-endpoint:/x", "", false, true},
	} {
		f, err := Parse(Words(tt.filter))
		if err != nil {
			t.Fatal(err)
		}
		if f.Host() != tt.host || f.Empty() != tt.empty || f.Endpoint() != tt.endpoint {
			t.Errorf("%q: host %q, empty %v, endpoint %v", tt.filter, f.Host(), f.Empty(), f.Endpoint())
		}
	}
	var none *Filter
	if !none.Empty() || none.Host() != "" || none.Endpoint() || !none.Match(&hook, "") {
		t.Error("a nil filter leaves something out")
	}
}

func TestParseErrors(t *testing.T) {
	for term, want := range map[string]string{
		"hots:x":      `filter "hots:x": unknown key "hots" (one of: host, path, endpoint,`,
		"verdict:bad": `filter "verdict:bad": unknown verdict (one of: injected, passed,`,
		"status:abc":  `filter "status:abc": "abc" is no status (one of: 404, 4xx, >=400, <300, none)`,
		"status:4044": `"4044" is no status`,
		"status:xxx":  `"xxx" is no status`,
		"status:-1":   `"-1" is no status`,
		"status:>":    `">" is no status`,
		"call:x":      `filter "call:x": "x" is no number`,
		"host:":       `filter "host:": no value`,
		"!":           `filter "!": no value`,
	} {
		_, err := Parse([]string{term})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", term, err, want)
		}
		if as := new(TermError); !errors.As(err, &as) || as.Term != term {
			t.Errorf("%s: the error does not name it: %v", term, err)
		}
	}
}

func TestWords(t *testing.T) {
	got := Words(`  host:a "get only"  -path:"a b" "" x`)
	if want := []string{"host:a", "get only", "-path:a b", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for term, want := range map[string]bool{"host:": true, "-": true, "-host:": true, "": true, "host:a": false, "10.0.0.5:": false} {
		if got := Unfinished(term); got != want {
			t.Errorf("Unfinished(%q): got %v, want %v", term, got, want)
		}
	}
}

// A filter never panics, a term and its opposite never both match, and a host that a filter
// names stands in every host that it chooses.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"host:github status:4xx", `"a b" -c`, "status:4xx -status:404", "\x1b:x", "::", "-", `"`, "İ", "path:/*/b", "host:a*", "localhost:80"} {
		f.Add(s, "GET", "api.github.com", "/a/b")
	}
	f.Fuzz(func(t *testing.T, s, method, host, path string) {
		e := event.Event{Method: method, Host: host, Path: path, Status: 404}
		terms := slices.DeleteFunc(Words(s), Unfinished)
		filter, err := Parse(terms)
		if err != nil {
			return
		}
		matched := filter.Match(&e, path)
		if matched && filter.Host() != "" && !strings.Contains(strings.ToLower(host), filter.Host()) {
			t.Errorf("%q names the host %q and chooses %q", s, filter.Host(), host)
		}
		if len(terms) != 1 || strings.IndexAny(terms[0], "-!") == 0 {
			return
		}
		opposite, err := Parse([]string{"-" + terms[0]})
		if err != nil {
			t.Fatalf("%q parses, its opposite does not: %v", s, err)
		}
		if opposite.Match(&e, path) == matched {
			t.Errorf("%q and its opposite both say %v", s, matched)
		}
	})
}
