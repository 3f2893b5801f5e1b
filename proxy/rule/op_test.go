package rule

import (
	"strings"
	"testing"
)

func TestParseOpErrors(t *testing.T) {
	for _, tt := range []struct{ in, want, hint string }{
		{"", "no path", "/**"},
		{"DELETE", "no path", `"DELETE /**"`},
		{"get /x", "not in upper case", `"GET"`},
		{"GTE /x", `invalid method "GTE"`, ""},
		{"TRACE /x", "always refused", ""},
		{"GET x", "does not begin with /", `"/x"`},
		{"GET /a?b=c", "query", ""},
		{"GET /a//b", "empty segment", ""},
		{"GET /a/../b", "dot segment", ""},
		{"GET /a/%2e%2e/b", "dot segment", ""},
		{"GET /a/%5cb", "never legal", ""},
		{"GET /a%zz", "no percent escape", "%25"},
		{"GET /a**", "** is a whole segment", ""},
		{"GET /a b c d", "more than two words", "%20"},
		{"GET /a b+c", "cannot stand there", "a rule for each"},
		{"GET /a b?", "cannot stand", "letters, digits"},
		{"GET /a b**", "one * is any number", ""},
		{"GET /repos/{owner}", "not a pattern character", "*"},
		{`GET /a\b`, "cannot stand", ""},
	} {
		_, err := ParseOp(tt.in)
		if err == nil {
			t.Errorf("ParseOp(%q): no error", tt.in)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("ParseOp(%q): %q (hint %q), want %q (hint %q)", tt.in, err, hintOf(err), tt.want, tt.hint)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{"/", []string{"/"}, []string{"/a"}},
		{"/**", []string{"/", "/a", "/a/b/"}, nil},
		{"/a", []string{"/a", "/a/"}, []string{"/", "/ab", "/a/b", "/A"}},
		{"/a/", []string{"/a", "/a/"}, []string{"/a/b"}},
		{"/*", []string{"/a", "/a/"}, []string{"/", "/a/b"}},
		{"/a/**", []string{"/a", "/a/b", "/a/b/c"}, []string{"/ab", "/b/a"}},
		{"/a/**/z", []string{"/a/z", "/a/b/z", "/a/z/z", "/a/b/c/z"}, []string{"/a", "/a/z/y"}},
		{"/**/x/*/**/y", []string{"/x/1/y", "/a/x/x/y", "/x/x/y/y"}, []string{"/x/y", "/a/x/y"}},
		{"/repos/*/*/issues", []string{"/repos/a/b/issues"}, []string{"/repos/a/issues", "/repos/a/b/c/issues"}},
		{"/*.json", []string{"/a.json", "/.json"}, []string{"/a.jsonx", "/a/b.json"}},
		{"/a*b*c", []string{"/abc", "/axbxc", "/abbc"}, []string{"/ab", "/acb"}},
		{"/v1/models/*:generate*", []string{"/v1/models/x:generateContent"}, []string{"/v1/models/x:embed"}},
		{"/%61", []string{"/a"}, []string{"/b"}},
		{"/%2A", []string{"/*"}, []string{"/b"}},
		{"/ü", []string{"/%C3%BC"}, nil},
	} {
		set := mustSet(t, Service{Name: "s", Hosts: hosts(t, "h"), Allow: ops(t, tt.pattern)})
		for _, path := range tt.yes {
			if m := set.Match("h", 443, "GET", path); m.Kind != Covered {
				t.Errorf("%s on %s: %v %s", tt.pattern, path, m.Kind, m.Reason)
			}
		}
		for _, path := range tt.no {
			if m := set.Match("h", 443, "GET", path); m.Kind != NotAllowed {
				t.Errorf("%s on %s: %v", tt.pattern, path, m.Kind)
			}
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"/**", "/a", true},
		{"/a/*/c", "/a/b/*", true},
		{"/a/*", "/b/*", false},
		{"/a/**", "/**/z", true},
		{"/a/*", "/a/*/c", false},
		{"/a*", "/*b", true},
		{"/ax*", "/ay*", false},
		{"/a*c", "/ab", false},
	} {
		a, _ := parsePattern(tt.a)
		b, _ := parsePattern(tt.b)
		if a.overlaps(b) != tt.want || b.overlaps(a) != tt.want {
			t.Errorf("%s and %s: got %v, want %v", tt.a, tt.b, a.overlaps(b), tt.want)
		}
	}
}

func FuzzParseOp(f *testing.F) {
	for _, s := range []string{"GET /repos/*/*/issues", "/**", "DELETE /**", "* /a*b", "GET /%2F", "/a/**/b", "POST / Get*", "/graphql mutation x", "GET /b/* -"} {
		f.Add(s, "/a/b")
	}
	f.Fuzz(func(t *testing.T, s, path string) {
		o, err := ParseOp(s)
		if err != nil {
			return
		}
		again, err := ParseOp(o.String())
		if err != nil || again != o {
			t.Fatalf("%q is %q, which is %q (%v)", s, o, again, err)
		}
		// A path that a pattern matches overlaps it: the two algorithms check each other.
		p, _ := parsePattern(o.Path)
		literal, err := parsePattern(path)
		if err != nil || strings.Contains(path, "*") {
			return
		}
		inner, err := readings(path)
		if err != nil || len(inner) != 1 {
			return
		}
		if p.match(strings.TrimSuffix(inner[0], "/"), false) != p.overlaps(literal) {
			t.Fatalf("%q on %q: match and overlaps disagree", o.Path, path)
		}
	})
}
