package rule

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"api.github.com", "api.github.com"},
		{"API.GitHub.Com.", "api.github.com"},
		{"*.x.test", "*.x.test"},
		{"h:8443", "h:8443"},
		{"h:443", "h:443"},
		{"h:*", "h:*"},
		{"[::1]:8443", "[::1]:8443"},
		{"[2001:DB8:0::1]", "[2001:db8::1]"},
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"h/v2/**", "h/v2/**"},
		{"h:8443/v2/*", "h:8443/v2/*"},
		{"under_score.test", "under_score.test"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.example", "xn--bcher-kva.example"},
		{"münchen.de", "xn--mnchen-3ya.de"},
		{"例え.jp", "xn--r8jz45g.jp"},
		{"他们为什么不说中文.test", "xn--ihqwcrb4cv8a8dqg056pqjye.test"},
		{"почемужеонинеговорятпорусски.test", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l.test"},
		{"ａｐｉ。example", "api.example"},
	} {
		h, err := ParseHost(tt.in)
		if err != nil {
			t.Errorf("ParseHost(%q): %v", tt.in, err)
			continue
		}
		if h.String() != tt.want {
			t.Errorf("ParseHost(%q) = %q, want %q", tt.in, h, tt.want)
		}
	}
}

func TestParseHostErrors(t *testing.T) {
	for _, tt := range []struct{ in, want, hint string }{
		{"https://api.x.test/v1", `has the scheme "https"`, `write "api.x.test/v1"`},
		{"", "no name", ""},
		{"*", "a wildcard is one whole label", ""},
		{"*.test", "at least two labels", ""},
		{"*.*.x.test", "a wildcard is one whole label", ""},
		{"a*.x.test", "a wildcard is one whole label", ""},
		{"*.10.0.0.1", "before an address", ""},
		{"*.[::1]", "before an address", ""},
		{"h:0", "port", ""},
		{"h:65536", "port", ""},
		{"h:+1", "port", ""},
		{"h:", "port", ""},
		{"::1", "in brackets", ""},
		{"[::1", "in brackets", ""},
		{"[::1]x", "after the address", ""},
		{"[fe80::1%eth0]", "not an IPv6", ""},
		{"127.1", "ends in a number", ""},
		{"0x7f.0x1", "ends in a number", ""},
		{"a..b", "empty label", ""},
		{"a b", "not legal", ""},
		{"me@h", "user name", ""},
		{strings.Repeat("a", 64) + ".test", "63", ""},
		{strings.Repeat("a.", 127) + "test", "253", ""},
		{"h/", "path ends in", `write "h/**"`},
		{"h/v2/", "path ends in", `write "h/v2/**"`},
		{"h/a/../b", "dot segment", ""},
		{"h/a?x=1", "query", ""},
		{"h/{id}", "not a pattern character", "*"},
	} {
		_, err := ParseHost(tt.in)
		if err == nil {
			t.Errorf("ParseHost(%q): no error", tt.in)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseHost(%q): %q, want %q in it", tt.in, err, tt.want)
		}
		if !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("ParseHost(%q): hint %q, want %q in it", tt.in, hintOf(err), tt.hint)
		}
	}
}

func TestHostMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, host string
		port          int
		want          bool
	}{
		{"api.x.test", "api.x.test", 443, true},
		{"api.x.test", "API.X.TEST.", 443, true},
		{"api.x.test", "api.x.test", 8443, false},
		{"api.x.test:443", "api.x.test", 443, true},
		{"api.x.test:8443", "api.x.test", 8443, true},
		{"api.x.test:*", "api.x.test", 1, true},
		{"api.x.test", "xapi.x.test", 443, false},
		{"*.x.test", "a.x.test", 443, true},
		{"*.x.test", "x.test", 443, false},
		{"*.x.test", "a.b.x.test", 443, false},
		{"*.x.test", ".x.test", 443, false},
		{"*.x.test", "ax.test", 443, false},
		{"[::1]:8443", "::1", 8443, true},
		{"[::1]:8443", "[0:0::1]", 8443, true},
		{"bücher.example", "xn--bcher-kva.example", 443, true},
	} {
		h, err := ParseHost(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Match(tt.host, tt.port); got != tt.want {
			t.Errorf("%s.Match(%q, %d) = %v, want %v", tt.pattern, tt.host, tt.port, got, tt.want)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"api.github.com", "*.x.test", "h:8443", "h:*", "[::1]:8443", "h/v2/**", "bücher.example", "*.*", "https://h", "0x7f.1", "xn--a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHost(s)
		if err != nil {
			return
		}
		again, err := ParseHost(h.String())
		if err != nil || again != h {
			t.Fatalf("%q is %q, which is %q (%v)", s, h, again, err)
		}
		if h.Wildcard {
			if h.Match(h.Name, DefaultPort) {
				t.Fatalf("%q matches its own parent", h)
			}
			return
		}
		port := h.Port
		if port <= 0 {
			port = DefaultPort
		}
		if !h.Match(h.Name, port) {
			t.Fatalf("%q does not match itself", h)
		}
	})
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"app.localhost": false, "localhost.example.test": false, "10.0.0.1": false, "::ffff:10.0.0.1": false, "": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) is %v", host, got)
		}
	}
}
