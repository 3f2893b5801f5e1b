package config

import (
	"strings"
	"testing"
)

func TestResources(t *testing.T) {
	all, err := parseResources()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	seen := map[string]string{}
	for _, r := range all {
		rows[r.Entry]++
	}
	for _, e := range Catalogue() {
		if len(e.Resources) != rows[e.Name] {
			t.Errorf("%s: %d lines, of which %d were parsed by themselves", e.Name, len(e.Resources), rows[e.Name])
		}
		if len(e.Pages) > 0 && len(e.Resources) == 0 {
			t.Errorf("%s: pages without resources", e.Name)
		}
		for _, line := range e.Resources {
			address, _, _ := strings.Cut(line, " as ")
			if other, twice := seen[address]; twice {
				t.Errorf("%s: %q is a line of %s already", e.Name, address, other)
			}
			seen[address] = e.Name
		}
	}
	if len(rows) < 40 {
		t.Errorf("only %d providers name their things", len(rows))
	}
}

func TestParseResource(t *testing.T) {
	for _, tt := range []struct{ line, err string }{
		{"api.x.test/v1/things/{thing}", ""},
		{"{bucket}.s3.amazonaws.com/{key...} as s3:{bucket}", ""},
		{"x.test/bot{+token}/{method}.json", ""},
		{"x.test/v2/{image...}/tags/{+tag} as {image}", ""},
		{"x.test", ""},
		{"x.test/a//b", "not a path"},
		{"x.test/{a", "not a path"},
		{"x.test/a}", "not a path"},
		{"x.test/{}", "not a path"},
		{"x.test/a*", "not a path"},
		{"x.test/{a...}b", "not a path"},
		{"{host...}/a", "not a host"},
		{"x y/a", "not legal in a host name"},
		{"x.test/{a...}/{b...}", "one {name...}"},
		{"x.test/{a...}/{b}", "one {name...}"},
		{"x.test/{a} as {b}", "no {b} on the left"},
		{"x.test/{a} as {a", "no {a} on the left"},
	} {
		_, err := parseResource(tt.line)
		if got := errText(err); (tt.err == "") != (err == nil) || !strings.Contains(got, tt.err) {
			t.Errorf("%q: got %q, want %q", tt.line, got, tt.err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
