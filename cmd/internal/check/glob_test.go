package check

import (
	"math/rand/v2"
	"strings"
	"testing"

	"agentvault/proxy/rule"
)

func TestOverlaps(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"/v2/**", "/v2", true},
		{"/v2/**", "/v2/a/b", true},
		{"/v2/**", "/v3/**", false},
		{"/v2/**", "/v20/**", false},
		{"/v2/*", "/v2/a/b", false},
		{"/v2/*", "/v2", false},
		{"/*/a", "/b/*", true},
		{"/**/z", "/a/**", true},
		{"/a*b", "/ab", true},
		{"/a*b", "/a/b", false},
		{"/a*c", "/*bd", false},
		{"/", "/**", true},
		{"/", "/a", false},
		{"/a%2Fb", "/a/b", false},
		{"/a%2Fb", "/*", true},
		{"/%61", "/a", true},
		{"/ü", "/%C3%BC", true},
	} {
		a, b := parseGlob(tt.a, false), parseGlob(tt.b, false)
		if overlaps(a, b) != tt.want || overlaps(b, a) != tt.want {
			t.Errorf("%s and %s: want %v", tt.a, tt.b, tt.want)
		}
	}
}

func TestCovered(t *testing.T) {
	for _, tt := range []struct {
		a, by string
		want  bool
	}{
		{"/a/*", "/a/**", true},
		{"/a/**", "/a/*", false},
		{"/a", "/a/**", true},
		{"/a/b", "/*/b", true},
		{"/a/x*y", "/a/x*", true},
		{"/a/x*", "/a/x*y", false},
		{"/**", "/ /* /*/*/**", true},
		{"/**", "/* /*/*/**", false},
		{"/a/*/c", "/a/b/c", false},
		{"/a/**/z", "/a/**", true},
		{"/a", "", false},
	} {
		var others []glob
		for _, p := range strings.Fields(tt.by) {
			others = append(others, parseGlob(p, false))
		}
		if got := covered(parseGlob(tt.a, false), others); got != tt.want {
			t.Errorf("%s by %s: %v", tt.a, tt.by, got)
		}
	}
	// What is too much to walk claims nothing.
	wide := "/" + strings.Repeat("*a", 60) + "*"
	if covered(parseGlob(wide, false), []glob{parseGlob("/"+strings.Repeat("*b", 60)+"*", false)}) {
		t.Error("covered by something else")
	}
}

// The automaton and the rules are of one opinion on every path.
func TestGlobAgreesWithRules(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words []string) string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString("/" + words[r.IntN(len(words))])
		}
		return b.String()
	}
	matches := func(pattern, path string) bool {
		set, err := rule.New([]rule.Service{{Name: "x", Hosts: []rule.Host{{Name: "h", Path: pattern}}}})
		if err != nil {
			t.Fatal(err)
		}
		return set.Match("h", 443, "GET", path).Service == "x"
	}
	hits := 0
	for range 4000 {
		a, b := pick([]string{"a", "b", "*", "**", "a*", "*b", "a*b"}), pick([]string{"a", "b", "*", "**", "a*", "*b"})
		path := pick([]string{"a", "b", "ab", "aab", "c"})
		inA, inB := matches(a, path), matches(b, path)
		ga, gb := parseGlob(a, false), parseGlob(b, false)
		if overlaps(ga, parseGlob(path, false)) != inA {
			t.Fatalf("%s on %s: the rules say %v", a, path, inA)
		}
		if inA && inB && !overlaps(ga, gb) {
			t.Fatalf("%s and %s both match %s", a, b, path)
		}
		if inA && !inB && covered(ga, []glob{gb}) {
			t.Fatalf("%s matches %s, and %s does not", a, path, b)
		}
		if inA {
			hits++
		}
	}
	if hits < 200 {
		t.Errorf("%d matches among the samples", hits)
	}
}
