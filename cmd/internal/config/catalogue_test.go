package config

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

func TestCatalogueRows(t *testing.T) {
	if _, err := catalogue(); err != nil {
		t.Fatal(err)
	}
	if n := len(Catalogue()); n < 120 {
		t.Errorf("%d entries, want at least 120", n)
	}
	kinds := []string{"llm", "ai", "search", "code", "cloud", "payments", "chat", "email", "tracker", "crm", "content", "database", "observability", "security", "data"}
	for _, e := range Catalogue() {
		if !isServiceName(e.Name) || e.Title == "" || !slices.Contains(kinds, e.Kind) || len(e.Endpoints) == 0 {
			t.Errorf("%s: incomplete: %+v", e.Name, e)
		}
		for _, link := range []string{e.Docs, e.Source} {
			if u, err := url.Parse(link); err != nil || u.Scheme != "https" || u.Host == "" {
				t.Errorf("%s: link %q", e.Name, link)
			}
		}
		if one, ok := Lookup(e.Name); !ok || !reflect.DeepEqual(one, e) {
			t.Errorf("%s: parsed by itself it is %+v", e.Name, one)
		}
		checkEndpoints(t, e)
		checkShape(t, e)
		checkVerified(t, e)
		checkLabels(t, e)
		if e.Identity != "" {
			checkIdentity(t, e)
		}
		for _, r := range e.Read {
			if _, err := rule.ParseOp(r); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
		for _, f := range e.Files {
			if !regexp.MustCompile(`^(~|\$[A-Z][A-Z0-9_]*)(/[A-Za-z0-9._ -]+)*$`).MatchString(f) || strings.Contains(f, "..") {
				t.Errorf("%s: file %q", e.Name, f)
			}
		}
		for _, name := range e.Env {
			if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) {
				t.Errorf("%s: variable %q", e.Name, name)
			}
		}
	}
}

func checkEndpoints(t *testing.T, e Entry) {
	t.Helper()
	if e.OwnHost != "" {
		if _, err := rule.ParseHost(e.OwnHost); err != nil {
			t.Errorf("%s: own_host: %v", e.Name, err)
		}
	}
	for _, ep := range e.Endpoints {
		hosts, err := ep.rules()
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if len(ep.Hosts) == 0 && e.OwnHost == "" {
			t.Errorf("%s: an endpoint without hosts", e.Name)
		}
		for _, h := range hosts {
			if h.Wildcard {
				t.Errorf("%s: %s reaches other people's accounts", e.Name, h)
			}
		}
		if ep.Inject != "always" && ep.Inject != "asked" {
			t.Errorf("%s: inject %q", e.Name, ep.Inject)
		}
		a := ep.Auth.example()
		if err := a.check(); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if err := a.deliver(new(Endpoint)); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if ep.Auth.AccessKeyID != "" && a.AccessKeyID.IsZero() {
			t.Errorf("%s: access_key_id is no ref", e.Name)
		}
		if a.exchanges() != e.Endpoints[0].Auth.auth().exchanges() {
			t.Errorf("%s: a service has one exchange or none", e.Name)
		}
	}
}

func checkShape(t *testing.T, e Entry) {
	t.Helper()
	p, err := inject.NewPlaceholder(rand.Reader, e.Shape)
	if err != nil {
		t.Errorf("%s: %v", e.Name, err)
	}
	if (e.Shape == "") != (len(e.Keys) == 0) {
		t.Errorf("%s: a shape comes with keys, and keys with a shape", e.Name)
	}
	if e.Shape == "" {
		return
	}
	if !slices.ContainsFunc(e.Keys, func(k string) bool { return regexp.MustCompile("^(?:" + k + ")$").MatchString(p) }) {
		t.Errorf("%s: the placeholder %q matches none of %q", e.Name, p, e.Keys)
	}
}

// The label goes into the log: whoever asks whether the real world was touched relies on it.
func checkLabels(t *testing.T, e Entry) {
	t.Helper()
	for label, shape := range e.Labels {
		if label != "live" && label != "test" {
			t.Errorf("%s: label %q (one of: live, test)", e.Name, label)
		}
		if _, err := regexp.Compile("^(?:" + shape + ")$"); err != nil {
			t.Errorf("%s: label %s: %v", e.Name, label, err)
		}
	}
	for _, id := range e.IDs {
		if _, err := regexp.Compile("^(?:" + id + ")$"); err != nil {
			t.Errorf("%s: id %q: %v", e.Name, id, err)
		}
	}
	if _, err := e.refusals(); err != nil {
		t.Errorf("%s: %v", e.Name, err)
	}
	if len(e.Labels) > 0 && len(e.Keys) == 0 {
		t.Errorf("%s: labels without keys", e.Name)
	}
}

func TestLabel(t *testing.T) {
	for _, tt := range []struct{ name, service, key, want string }{
		{"live", "stripe", "sk_live_" + strings.Repeat("a", 24), "live"},
		{"restricted", "stripe", "rk_live_" + strings.Repeat("a", 24), "live"},
		{"test", "stripe", "sk_test_" + strings.Repeat("a", 24), "test"},
		{"neither", "stripe", "pk_live_" + strings.Repeat("a", 24), ""},
		{"inside", "stripe", "x sk_live_" + strings.Repeat("a", 24), ""},
		{"a provider without labels", "github", "ghp_" + strings.Repeat("a", 36), ""},
	} {
		e, _ := Lookup(tt.service)
		if got := e.Label(tt.key); got != tt.want {
			t.Errorf("%s: label %q, want %q", tt.name, got, tt.want)
		}
	}
}

// checkVerified: what is said to have been compared is there, and the source is a page.
func checkVerified(t *testing.T, e Entry) {
	t.Helper()
	has := map[string]bool{"hosts": true, "auth": true, "env": len(e.Env) > 0, "keys": len(e.Keys) > 0, "identity": e.Identity != ""}
	for _, h := range e.TestHosts {
		if !slices.Contains(e.names(), h) {
			t.Errorf("%s: the test host %s is not among the hosts", e.Name, h)
		}
	}
	if e.Verified == nil {
		return
	}
	if _, err := time.Parse("2006-01", e.Verified.On); err != nil {
		t.Errorf("%s: verified on %q, want 2006-01", e.Name, e.Verified.On)
	}
	for i, of := range e.Verified.Of {
		if !has[of] || slices.Contains(e.Verified.Of[:i], of) {
			t.Errorf("%s: verified of %q, which the row does not have, or twice", e.Name, of)
		}
	}
	if !slices.Contains(e.Verified.Of, "hosts") || !slices.Contains(e.Verified.Of, "auth") {
		t.Errorf("%s: verified without hosts and auth", e.Name)
	}
	if u, err := url.Parse(e.Source); err != nil || strings.Trim(u.Path, "/") == "" {
		t.Errorf("%s: verified, and the source %q is a whole site", e.Name, e.Source)
	}
}

// The promise of the catalogue: at least 120 rows were compared with a document.
func TestVerified(t *testing.T) {
	n := 0
	for _, e := range Catalogue() {
		if e.Verified != nil {
			n++
		}
	}
	if n < 120 {
		t.Errorf("%d rows are verified, want 120", n)
	}
	doc, err := os.ReadFile("../../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("Of %d rows, %d were compared", len(Catalogue()), n); !strings.Contains(string(doc), want) {
		t.Errorf("docs/catalogue.md does not say %q", want)
	}
}

// A mark tells one provider from all others. Google's keys are those of several services.
func TestMarks(t *testing.T) {
	shared := map[string]string{"AIza": "gemini google-maps youtube"}
	owners := map[string][]string{}
	for _, e := range Catalogue() {
		for _, mark := range e.Marks {
			if len(strings.Trim(mark, "*")) < 3 || strings.HasPrefix(mark, "*") != strings.HasSuffix(mark, "*") {
				t.Errorf("%s: mark %q", e.Name, mark)
			}
			owners[mark] = append(owners[mark], e.Name)
		}
	}
	for mark, names := range owners {
		if len(names) > 1 && strings.Join(names, " ") != shared[mark] {
			t.Errorf("mark %q is that of %q", mark, names)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct{ service, host, want string }{
		{"paypal", "api-m.sandbox.paypal.com", "test"},
		{"paypal", "api-m.paypal.com", "live"},
		{"paypal", "www.paypal.com", ""},
		{"stripe", "api.stripe.com", ""}, // one host for both: the key tells
	} {
		e, _ := Lookup(tt.service)
		if got := e.Environment(tt.host); got != tt.want {
			t.Errorf("%s at %s: %q, want %q", tt.service, tt.host, got, tt.want)
		}
	}
}

func checkIdentity(t *testing.T, e Entry) {
	t.Helper()
	test, err := e.identity()
	if err != nil {
		t.Errorf("%s: %v", e.Name, err)
		return
	}
	if (test.Host == "") != !e.hasHosts() {
		t.Errorf("%s: the identity request names host %q", e.Name, test.Host)
	}
	if test.Host != "" && !e.covers(test.Host, rule.DefaultPort) {
		t.Errorf("%s: the identity request asks %s, which is not among the hosts", e.Name, test.Host)
	}
}

// All entries at once neither tie nor want the same variable.
func TestCatalogueTogether(t *testing.T) {
	f := &File{Unmatched: "warn"}
	for _, e := range Catalogue() {
		ref, err := keyring.ParseRef("keychain:" + e.Name)
		if err != nil {
			t.Fatal(err)
		}
		s := Service{Name: e.Name, Use: e.Name, Secret: ref}
		if !e.hasHosts() {
			s.Hosts = []rule.Host{{Name: e.Name + ".own.test"}}
		}
		for _, ep := range e.Endpoints {
			if ep.Auth.lacks() != "" {
				s.Auth = ep.Auth.example()
			}
		}
		f.Services = append(f.Services, s)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Services {
		for i, e := range s.Endpoints {
			for _, h := range e.Rule.Hosts {
				path := strings.TrimSuffix(strings.TrimSuffix(h.Path, "**"), "/") + "/x"
				port := rule.DefaultPort
				if m := c.Rules.Match(h.Name, port, "GET", path); m.Service != s.Name || m.Endpoint != i {
					t.Errorf("%s%s: is %s endpoint %d, want %s endpoint %d", h.Name, path, m.Service, m.Endpoint, s.Name, i)
				}
			}
		}
	}
}

func TestForHost(t *testing.T) {
	for host, want := range map[string]string{
		"api.github.com":       "github",
		"GITHUB.com.":          "github",
		"gitlab.com":           "gitlab",
		"api.linear.app":       "linear",
		"acme.zendesk.com":     "zendesk",
		"a.b.zendesk.com":      "",
		"zendesk.com":          "",
		"anything.example.com": "",
		"x.example.test":       "",
	} {
		e, ok := ForHost(host, 443)
		if e.Name != want || ok != (want != "") {
			t.Errorf("ForHost(%q) = %q, want %q", host, e.Name, want)
		}
	}
	if _, ok := ForHost("api.github.com", 8443); ok {
		t.Error("another port is another place")
	}
}

// What `services` and the first uncovered host of a session pay.
func BenchmarkParseCatalogue(b *testing.B) {
	for b.Loop() {
		if _, err := parseCatalogue(); err != nil {
			b.Fatal(err)
		}
	}
}

// What each `use` of a file pays.
func BenchmarkLookup(b *testing.B) {
	for b.Loop() {
		if _, ok := Lookup("github"); !ok {
			b.Fatal("github is gone")
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{"400 API_KEY_INVALID", true},
		{`200 {"ok": false, "error": "invalid_auth"}`, true},
		{`403 {"code": 9}`, true},
		{"200 invalid_auth", false}, // may stand in any answer
		{"400", false},
		{"400 {}", false},
		{`200 {"ok": [false]}`, false},
		{`200 {"ok": null}`, false},
		{`200 {"ok": false`, false},
		{"600 x", false},
		{`101 {"ok": false}`, false},
		{"x y", false},
	} {
		if got, err := (Entry{Refusals: []string{tt.text}}).refusals(); (err == nil) != tt.ok {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
	}
}
