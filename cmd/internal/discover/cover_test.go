package discover

import (
	"path/filepath"
	"strings"
	"testing"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// allows reports whether the only rule allows this path.
func allows(t *testing.T, host, allow, path string) bool {
	t.Helper()
	op, err := rule.ParseOp(allow)
	if err != nil {
		t.Errorf("%s: %v", host, err)
		return false
	}
	h, err := rule.ParseHost(host)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.New([]rule.Service{{Name: "s", Hosts: []rule.Host{h}, Allow: []rule.Op{op}}})
	if err != nil {
		t.Errorf("%s: %v", host, err)
		return false
	}
	return set.Match(host, rule.DefaultPort, "GET", path).Kind == rule.Covered
}

// The rule of an endpoint allows every call that was folded into it.
func TestAllowCoversWhatWasSeen(t *testing.T) {
	files, _ := filepath.Glob("testdata/paths/*")
	for _, file := range files {
		host := filepath.Base(file)
		for _, op := range lines(t, file) {
			paths := instances(op)
			events := make([]event.Event, len(paths))
			for i, p := range paths {
				events[i] = event.Event{Call: uint64(i + 1), Phase: event.End, Method: "GET", Host: host, Port: 443, Path: p, Verdict: event.Uncovered}
			}
			found := Endpoints(events)
			if len(found) != 1 || len(found[0].Allow) != 1 {
				t.Errorf("%s %s: %d endpoints, want one with a rule", host, op, len(found))
				continue
			}
			for _, p := range paths {
				if !allows(t, host, found[0].Allow[0], p) {
					t.Errorf("%s: %q does not allow %q", host, found[0].Allow[0], p)
				}
			}
		}
	}
}

func TestAllowOddPaths(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"encoded slash", "/api/v4/projects/acme%2Fapp/issues", "GET /api/v4/projects/**/issues"},
		{"small hex", "/api/v4/projects/acme%2fapp/issues", "GET /api/v4/projects/**/issues"},
		{"doubled slash", "/a//b", "GET /a/b"},
		{"trailing slash", "/a/b/", "GET /a/b"},
		{"root", "/", "GET /"},
		{"stars of its own", "/a**b/x*", "GET /*/x*"},
		{"odd characters", "/say \"hi\"/{x}", "GET /*/*"},
		{"encoded slash before a tail", "/repos/acme/a%2Fb/contents/x/y", "GET /repos/*/**/contents/**"},
	} {
		e := event.Event{Phase: event.End, Method: "GET", Host: "x.test", Port: 443, Path: tt.path, Verdict: event.Uncovered}
		found := Endpoints([]event.Event{e, e})
		if strings.Join(found[0].Allow, ",") != tt.want {
			t.Errorf("%s: rule %q for %q, want %q", tt.name, found[0].Allow, tt.path, tt.want)
		}
	}
	for _, tt := range []struct{ name, method, path string }{
		{"dot segments", "GET", "/a/../b"}, {"unknown method", "FOO", "/a"}, {"TRACE", "TRACE", "/a"}, {"small letters", "get", "/a"}, {"star", "*", "/a"},
	} {
		found := Endpoints([]event.Event{{Phase: event.End, Method: tt.method, Host: "x.test", Path: tt.path}})
		if found[0].Allow != nil {
			t.Errorf("%s: rule %q, want none", tt.name, found[0].Allow)
		}
	}
}
