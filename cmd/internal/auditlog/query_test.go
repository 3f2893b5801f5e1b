package auditlog

import (
	"io"
	"os"
	"strings"
	"testing"

	"agentvault/proxy/event"
)

// chosen gives the paths, or the hosts of what has none, of the chosen calls.
func chosen(t *testing.T, sessions []Session, terms ...string) string {
	t.Helper()
	f, err := ParseFilter(terms)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	stats, err := Query{Sessions: sessions, Filter: f}.Each(func(e *event.Event) error {
		all = append(all, e.Method+" "+e.Path)
		return nil
	})
	if err != nil || stats.Calls != len(all) {
		t.Fatal(stats, err)
	}
	return strings.Join(all, ", ")
}

func TestFilter(t *testing.T) {
	sessions := two(t)
	const hooks, pulls, messages, refunds = "DELETE /repos/acme/app/hooks/9", "GET /repos/acme/app/pulls/3", "POST /v1/messages", "POST /v1/refunds"
	const push, pad, jobs, red, open = "POST /acme/app.git/git-receive-pack", "GET /left-pad.tgz", "POST /123456789012/jobs", "GET /\x1b[31mred", "GET /events"
	for _, tt := range []struct {
		terms, want string
	}{
		{"host:api.github.com", pulls + ", " + hooks + ", " + open},
		{"host:github.com", pulls + ", " + hooks + ", " + open + ", " + push},
		{"host:GitHub.com verdict:injected", pulls + ", " + push},
		{"host:*.anthropic.*", messages},
		{"host:api.anthropic.com host:api.stripe.com", messages + ", " + refunds},
		{"host:hub.com -host:api", push},
		{"host:hub.*", ""},
		{"host:10.0.0.5:54", " "},
		{"status:403", hooks + ", " + refunds},
		{"status:5xx", jobs + ", " + jobs},
		{"status:>=500 service:aws", jobs + ", " + jobs},
		{"status:<300 status:403 host:api.github.com", pulls + ", " + hooks},
		{"status:none verdict:failed", red},
		{"verdict:bypassed", " "},
		{"method:delete", hooks},
		{"service:none !host:10.0.0.5", red + ", " + open},
		{"secret:keychain:github", pulls + ", " + push},
		{"secret:*anthropic", messages},
		{"path:/repos/", pulls + ", " + hooks},
		{"path:/repos/*/pulls", pulls},
		{"path:pulls/3", pulls},
		{"endpoint:/repos/*/*/pulls/*", pulls},
		{"endpoint:/repos/*/*/pulls", ""},
		{"label:live", ""},
		{"label:none method:post -host:amazon", messages + ", " + push + ", " + refunds},
		{"status:40 -verdict:denied", hooks},
		{"session:*81c2 !service:aws", push + ", " + refunds},
		{"auth:sigv4 !status:500", jobs},
		{"code:denied_by_rule", refunds},
		{"client:psql", " "},
		{"call:2 method:GET", pulls},
		{"ALLOWS", hooks},
		{"left pad", pad},
		{"left push", ""},
		{"left-pad", pad},
		{"acme app !host:github.com", ""},
	} {
		if got := chosen(t, sessions, strings.Fields(tt.terms)...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.terms, got, tt.want)
		}
	}
	if got := chosen(t, sessions); strings.Count(got, ",") != 11 {
		t.Errorf("without a filter: %q, want 12 calls", got)
	}
}

func TestParseFilterErrors(t *testing.T) {
	for term, want := range map[string]string{
		"hots:x":       `filter "hots:x": unknown key "hots" (one of: host, path, endpoint,`,
		"verdict:bad":  `filter "verdict:bad": unknown verdict (one of: injected, passed,`,
		"status:4xxx":  `filter "status:4xxx": "4xxx" is no status (one of: 404, 4xx, >=400, <300, none)`,
		"status:!=200": `is no status`,
		"call:x":       `filter "call:x": "x" is no number`,
		"host:":        `filter "host:": no value`,
		"!":            `filter "!": no value`,
	} {
		if _, err := ParseFilter([]string{term}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", term, err, want)
		}
	}
}

func TestQueryBrokenLogs(t *testing.T) {
	s := two(t)[0]
	text, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte("rubbish\n"), text[:len(text)-1]...)
	if err := os.WriteFile(s.Path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stats, err := Query{Sessions: []Session{s}}.Each(func(*event.Event) error { return nil })
	if err != nil || stats.Bad != 1 || stats.Torn != 1 || stats.Calls != 6 {
		t.Errorf("%+v, %v, want one bad line, one torn one and six calls", stats, err)
	}
	if _, err := (Query{Sessions: []Session{{Path: s.Path + ".gone"}}}).Each(nil); err == nil {
		t.Error("no error for a log that is gone")
	}
}

func TestQuerySinceAndErrors(t *testing.T) {
	sessions := two(t)[:1]
	stats, err := Query{Sessions: sessions, Since: start.Add(2e9)}.Each(func(*event.Event) error { return nil })
	if err != nil || stats.Calls != 5 {
		t.Errorf("%+v, %v, want the five calls from the third on", stats, err)
	}
	if _, err := (Query{Sessions: sessions}).Each(func(*event.Event) error { return io.ErrClosedPipe }); err != io.ErrClosedPipe {
		t.Errorf("got %v, want the error of the function", err)
	}
}

func BenchmarkMillionLines(b *testing.B) {
	s := million(b, 5000)
	github, err := ParseFilter([]string{"host:api.linear.app", "status:2xx"})
	if err != nil {
		b.Fatal(err)
	}
	for by, groups := range map[string]int{"endpoint": 5 - 1, "service": 4, "secret,session": 4, "resource": 4, "op": 1} {
		b.Run("by "+by, func(b *testing.B) {
			for b.Loop() {
				g, err := NewGrouping(by)
				if err != nil {
					b.Fatal(err)
				}
				stats, err := Query{Sessions: []Session{s}}.Each(g.Add)
				if err != nil || stats.Calls != 500_000 || len(g.Groups()) != groups {
					b.Fatal(stats, err, len(g.Groups()))
				}
			}
		})
	}
	distinct := million(b, 500_000)
	for _, by := range []string{"endpoint", "resource"} {
		b.Run("by "+by+", each path once", func(b *testing.B) {
			for b.Loop() {
				g, err := NewGrouping(by)
				if err != nil {
					b.Fatal(err)
				}
				if stats, err := (Query{Sessions: []Session{distinct}}).Each(g.Add); err != nil || stats.Calls != 500_000 {
					b.Fatal(stats, err)
				}
			}
		})
	}
	for name, export := range map[string]func(io.Writer, Query) (Stats, error){
		"csv": CSV, "har": func(w io.Writer, q Query) (Stats, error) { return HAR(w, q, "1.2.3") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if stats, err := export(io.Discard, Query{Sessions: []Session{s}}); err != nil || stats.Calls != 500_000 {
					b.Fatal(stats, err)
				}
			}
		})
	}
	b.Run("filter by host", func(b *testing.B) {
		for b.Loop() {
			stats, err := Table(io.Discard, Query{Sessions: []Session{s}, Filter: github}, Options{Width: 120})
			if err != nil || stats.Calls != 100_000 {
				b.Fatal(stats, err)
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			if _, err := Table(io.Discard, Query{Sessions: []Session{s}}, Options{Width: 120}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			if _, err := JSON(io.Discard, Query{Sessions: []Session{s}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
