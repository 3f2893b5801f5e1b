package rule

import (
	"errors"
	"fmt"
	"testing"
)

func hosts(t testing.TB, in ...string) (out []Host) {
	t.Helper()
	for _, s := range in {
		h, err := ParseHost(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

func ops(t testing.TB, in ...string) (out []Op) {
	t.Helper()
	for _, s := range in {
		o, err := ParseOp(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

func mustSet(t testing.TB, services ...Service) *Set {
	t.Helper()
	s, err := New(services)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMatch(t *testing.T) {
	set := mustSet(t,
		Service{Name: "github", Hosts: hosts(t, "api.github.com"), Allow: ops(t, "GET /**", "POST /repos/*/*/issues"), Deny: ops(t, "* /orgs/**", "GET /user/keys")},
		Service{Name: "readonly", Hosts: hosts(t, "ro.test"), Allow: ops(t, "GET /**")},
		Service{Name: "exact", Hosts: hosts(t, "a.x.test")},
		Service{Name: "wild", Hosts: hosts(t, "*.x.test")},
		Service{Name: "v2", Hosts: hosts(t, "p.test/v2/**")},
		Service{Name: "v2users", Endpoint: 3, Hosts: hosts(t, "p.test/v2/users/**")},
		Service{Name: "any", Hosts: hosts(t, "q.test:*")},
		Service{Name: "default", Hosts: hosts(t, "q.test")},
		Service{Name: "port", Hosts: hosts(t, "q.test:8443", "q.test:443/only")},
		Service{Name: "git", Hosts: hosts(t, "git.test"), Allow: ops(t, "GET /*/*/info/refs", "POST /*/*/git-upload-pack")},
		Service{Name: "gitlab", Hosts: hosts(t, "gitlab.test"), Deny: ops(t, "/api/v4/projects/*/variables")},
		Service{Name: "keys", Hosts: hosts(t, "keys.test"), Deny: ops(t, "DELETE /**")},
		Service{Name: "project", Hosts: hosts(t, "one.test"), Allow: ops(t, "/projects/grp%2Fapp/**")},
	)
	for _, tt := range []struct {
		host, method, path string
		port               int
		kind               Kind
		service, reason    string
	}{
		{"api.github.com", "GET", "/user", 443, Covered, "github", ""},
		{"API.github.com.", "GET", "/user", 443, Covered, "github", ""},
		{"api.github.com", "GET", "/user", 8443, None, "", noPort},
		{"api.github.com", "POST", "/repos/a/b/issues", 443, Covered, "github", ""},
		{"api.github.com", "POST", "/repos/a/b/pulls", 443, NotAllowed, "github", "not in allow of github"},
		{"api.github.com", "DELETE", "/repos/a/b", 443, NotAllowed, "github", "rule github allows GET, POST only"},
		{"api.github.com", "get", "/user", 443, NotAllowed, "github", "rule github allows GET, POST only"},
		{"ro.test", "HEAD", "/", 443, NotAllowed, "readonly", "rule readonly allows GET only"},
		{"api.github.com", "GET", "/orgs/x", 443, Denied, "github", "rule github denies * /orgs/**"},
		{"api.github.com", "GET", "/user/keys", 443, Denied, "github", "rule github denies GET /user/keys"},
		{"api.github.com", "GET", "/user/keys/", 443, Denied, "github", "rule github denies GET /user/keys"},
		{"api.github.com", "GET", "/User/KEYS", 443, Denied, "github", "rule github denies GET /user/keys"},
		{"api.github.com", "get", "/user/keys", 443, Denied, "github", "rule github denies GET /user/keys"},
		{"keys.test", "delete", "/v1/keys/7", 443, Denied, "keys", "rule keys denies DELETE /**"},
		{"keys.test", "DelETE", "/v1/keys/7", 443, Denied, "keys", "rule keys denies DELETE /**"},
		{"api.github.com", "GET", "/user/key%73", 443, Ambiguous, "github", "the path can be read as /user/keys and as /user/key%73, which the rules treat differently"},
		{"api.github.com", "GET", "/user%2Fkeys", 443, Ambiguous, "github", "the path can be read as /user%2Fkeys and as /user/keys, which the rules treat differently"},
		{"api.github.com", "GET", "//user/keys", 443, Ambiguous, "github", "the path can be read as //user/keys and as /user/keys, which the rules treat differently"},
		{"api.github.com", "GET", "/user;x/keys", 443, Ambiguous, "github", "the path can be read as /user;x/keys and as /user/keys, which the rules treat differently"},
		{"api.github.com", "GET", "/a/../user/keys", 443, Ambiguous, "github", "path holds a dot segment"},
		{"api.github.com", "GET", "/repos/a%2Fb", 443, Covered, "github", ""},
		{"elsewhere.test", "GET", "/a/../b", 443, None, "", noHost},
		{"a.x.test", "GET", "/", 443, Covered, "exact", ""},
		{"b.x.test", "GET", "/", 443, Covered, "wild", ""},
		{"x.test", "GET", "/", 443, None, "", noHost},
		{"c.b.x.test", "GET", "/", 443, None, "", noHost},
		{"p.test", "GET", "/v2/things", 443, Covered, "v2", ""},
		{"p.test", "GET", "/v2/users/1", 443, Covered, "v2users", ""},
		{"p.test", "GET", "/v1", 443, None, "", noPath},
		{"p.test", "GET", "/v2/users%2f1", 443, Ambiguous, "", "the path can be read as /v2/users%2F1 and as /v2/users/1, which the rules treat differently"},
		{"q.test", "GET", "/", 1, Covered, "any", ""},
		{"q.test", "GET", "/", 443, Covered, "default", ""},
		{"q.test", "GET", "/only", 443, Covered, "port", ""},
		{"q.test", "GET", "/", 8443, Covered, "port", ""},
		{"git.test", "POST", "/o/r.git/git-upload-pack", 443, Covered, "git", ""},
		{"git.test", "POST", "/o/r.git/git-receive-pack", 443, NotAllowed, "git", "not in allow of git"},
		{"gitlab.test", "GET", "/api/v4/projects/grp%2Fapp/variables", 443, Ambiguous, "gitlab", "the path can be read as /api/v4/projects/grp%2Fapp/variables and as /api/v4/projects/grp/app/variables, which the rules treat differently"},
		{"gitlab.test", "GET", "/api/v4/projects/grp%2Fapp/issues", 443, Covered, "gitlab", ""},
		{"one.test", "GET", "/projects/grp%2fapp/x", 443, Ambiguous, "project", "the path can be read as /projects/grp%2Fapp/x and as /projects/grp/app/x, which the rules treat differently"},
		{"one.test", "GET", "/projects/grp/app/x", 443, NotAllowed, "project", "not in allow of project"},
	} {
		m := set.Match(tt.host, tt.port, tt.method, tt.path)
		if m.Kind != tt.kind || m.Service != tt.service || m.Reason != tt.reason {
			t.Errorf("%s %s:%d%s\n got %v %q %q\nwant %v %q %q", tt.method, tt.host, tt.port, tt.path,
				m.Kind, m.Service, m.Reason, tt.kind, tt.service, tt.reason)
		}
	}
	if m := set.Match("p.test", 443, "GET", "/v2/users/1"); m.Endpoint != 3 {
		t.Errorf("endpoint %d, want 3", m.Endpoint)
	}
	if m := set.Match("api.github.com", 443, "GET", "/x"); m.Rule != "GET /**" {
		t.Errorf("rule %q, want %q", m.Rule, "GET /**")
	}
	if !set.Covers("p.test", 443) || set.Covers("p.test", 80) || !set.Covers("b.x.test", 443) || set.Covers("x.test", 443) {
		t.Error("Covers is wrong")
	}
}

func TestTies(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		tie  bool
	}{
		{"h", "h", true},
		{"h", "h/**", true},
		{"h", "H.", true},
		{"h", "h:443", false},
		{"h", "h:*", false},
		{"h:*", "h:*", true},
		{"h/a/**", "h/b/**", false},
		{"h/a/*", "h/a/**", false},
		{"h/a/*/c", "h/a/b/*", true},
		{"h/a/*", "h/a/*/*", false},
		{"*.x.test", "*.x.test", true},
		{"*.x.test", "a.x.test", false},
	} {
		_, err := New([]Service{{Name: "one", Hosts: hosts(t, tt.a)}, {Name: "two", Hosts: hosts(t, tt.b)}})
		var tie *TieError
		if errors.As(err, &tie) != tt.tie {
			t.Errorf("%s and %s: %v, want a tie: %v", tt.a, tt.b, err, tt.tie)
		}
		if tie != nil && (tie.A != "one" || tie.B != "two" || tie.What != hosts(t, tt.b)[0].String()) {
			t.Errorf("%s and %s: %+v", tt.a, tt.b, tie)
		}
	}
	if _, err := New([]Service{{Name: "one", Hosts: hosts(t, "h", "h")}}); err != nil {
		t.Errorf("a service does not tie with itself: %v", err)
	}
}

func BenchmarkMatch(b *testing.B) {
	var services []Service
	for i := range 29 {
		services = append(services, Service{Name: fmt.Sprint("s", i), Hosts: hosts(b, fmt.Sprintf("api%d.x.test", i)), Allow: ops(b, "GET /**")})
	}
	services = append(services, Service{Name: "github", Hosts: hosts(b, "api.github.com"),
		Allow: ops(b, "POST /repos/*/*/issues", "GET /**"), Deny: ops(b, "DELETE /**", "* /orgs/**")},
		Service{Name: "wild", Hosts: hosts(b, "*.wild.test")})
	set := mustSet(b, services...)
	for _, bb := range []struct{ name, host, path string }{
		{"plain", "api.github.com", "/repos/acme/app/pulls/3/files"},
		{"escaped", "api.github.com", "/repos/acme%2Fapp/pulls/3/files"},
		{"wildcard", "a.wild.test", "/v1/messages"},
		{"uncovered", "files.example.org", "/left-pad.tgz"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Match(bb.host, 443, "GET", bb.path)
			}
		})
	}
}

// Ask is for what is allowed; deny wins, another case is no way around, and one reading
// that asks is enough.
func TestMatchAsks(t *testing.T) {
	set := mustSet(t,
		Service{Name: "shop", Hosts: hosts(t, "shop.test"), Allow: ops(t, "GET /**", "POST /v1/**"), Deny: ops(t, "POST /v1/keys"), Ask: ops(t, "POST /v1/refunds", "POST /v1/keys", "DELETE /**")},
		Service{Name: "open", Hosts: hosts(t, "open.test"), Ask: ops(t, "DELETE /**", "/a/b")},
	)
	for _, tt := range []struct {
		host, method, path string
		kind               Kind
		ask                bool
		rule, reason       string
	}{
		{"shop.test", "GET", "/v1/refunds", Covered, false, "GET /**", ""},
		{"shop.test", "POST", "/v1/orders", Covered, false, "POST /v1/**", ""},
		{"shop.test", "POST", "/v1/refunds", Covered, true, "POST /v1/**", "rule shop asks for POST /v1/refunds"},
		{"shop.test", "POST", "/v1/REFUNDS/", Covered, true, "POST /v1/**", "rule shop asks for POST /v1/refunds"},
		{"shop.test", "POST", "/v1/keys", Denied, false, "POST /v1/keys", "rule shop denies POST /v1/keys"},
		{"shop.test", "DELETE", "/v1/orders", NotAllowed, false, "", "rule shop allows GET, POST only"},
		{"open.test", "DELETE", "/x", Covered, true, "", "rule open asks for DELETE /**"},
		{"open.test", "delete", "/x", Covered, true, "", "rule open asks for DELETE /**"},
		{"open.test", "GET", "/a%2Fb", Covered, true, "", "rule open asks for /a/b"},
		{"open.test", "GET", "//a/b", Covered, true, "", "rule open asks for /a/b"},
		{"open.test", "GET", "/a/c", Covered, false, "", ""},
	} {
		m := set.Match(tt.host, 443, tt.method, tt.path)
		if m.Kind != tt.kind || m.Ask != tt.ask || m.Rule != tt.rule || m.Reason != tt.reason {
			t.Errorf("%s %s%s: %v, want %v, %t, %q, %q", tt.method, tt.host, tt.path, m, tt.kind, tt.ask, tt.rule, tt.reason)
		}
	}
	if _, err := New([]Service{{Name: "x", Hosts: hosts(t, "x.test"), Ask: []Op{{Path: "nope"}}}}); err == nil {
		t.Error("an ask rule that is no path is taken")
	}
}
