package config

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"
	"testing"

	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// A host is one row's: with two, the one that was not meant may get the credential, and
// what `discover` says of a host depends on the names of rows. Two rows share a name only
// where the paths tell them apart, and knowingly.
func TestHostsAreOneRows(t *testing.T) {
	shared := map[string][]string{"gitlab.com": {"gitlab", "gitlab-registry"}}
	owners := map[string][]string{}
	places := map[string]string{}
	accounts := map[string]rule.Host{} // what ForHost takes for an account of a row
	for _, e := range Catalogue() {
		if _, suffix, ok := strings.Cut(e.OwnHost, "."); ok && strings.HasPrefix(e.OwnHost, "YOUR") {
			h, err := rule.ParseHost("*." + suffix)
			if err != nil {
				t.Errorf("%s: own_host: %v", e.Name, err)
			}
			accounts[e.Name] = h
		}
		for _, name := range e.names() {
			owners[name] = append(owners[name], e.Name)
		}
		for _, ep := range e.Endpoints {
			for _, place := range ep.Hosts {
				if places[place] != "" {
					t.Errorf("%s stands in %s and in %s", place, places[place], e.Name)
				}
				places[place] = e.Name
			}
		}
	}
	for name, rows := range owners {
		if len(rows) > 1 && !slices.Equal(rows, shared[name]) {
			t.Errorf("%s is of %q", name, rows)
		}
		for row, h := range accounts {
			if h.Match(name, rule.DefaultPort) && !slices.Contains(rows, row) {
				t.Errorf("%s, of %q, looks like an account's host of %s", name, rows, row)
			}
		}
	}
}

// A variable is one row's, too: a session that uses both would have one placeholder in it,
// and the other service none.
func TestVariablesAreOneRows(t *testing.T) {
	owner := map[string]string{}
	for _, e := range Catalogue() {
		for _, name := range e.Env {
			if owner[name] != "" {
				t.Errorf("%s is a variable of %s and of %s", name, owner[name], e.Name)
			}
			owner[name] = e.Name
		}
	}
}

// The identity request reaches an endpoint of its own row, and only reads.
func TestIdentityIsTheRowsOwn(t *testing.T) {
	for _, e := range Catalogue() {
		if e.Identity == "" {
			if e.IdentityHeaders != nil || e.IdentityJSON != nil {
				t.Errorf("%s: headers or json without an identity request", e.Name)
			}
			continue
		}
		test, err := e.identity()
		if err != nil {
			t.Fatal(err)
		}
		if test.Method != "GET" {
			t.Errorf("%s: the identity request is a %s", e.Name, test.Method)
		}
		path, _, _ := strings.Cut(test.Path, "?")
		if !e.reaches(t, test.Host, test.Method, path) {
			t.Errorf("%s: no endpoint of the row has %s", e.Name, e.Identity)
		}
		for _, ep := range e.Endpoints {
			if ep.Auth.Type == "path" || ep.Auth.Type == "body" {
				t.Errorf("%s: a GET has no place for a credential in the %s", e.Name, ep.Auth.Type)
			}
		}
	}
}

// reaches asks the rules, as a session does.
func (e Entry) reaches(t *testing.T, host, method, path string) bool {
	t.Helper()
	s := rule.Service{Name: e.Name}
	for _, ep := range e.Endpoints {
		hosts, err := ep.rules()
		if err != nil {
			t.Fatal(err)
		}
		if len(hosts) == 0 {
			hosts = []rule.Host{{}}
		}
		for i := range hosts {
			if hosts[i].Name == "" { // one's own host
				hosts[i].Name, host = "own.test", "own.test"
			}
		}
		s.Hosts = append(s.Hosts, hosts...)
	}
	rules, err := rule.New([]rule.Service{s})
	if err != nil {
		t.Fatalf("%s: %v", e.Name, err)
	}
	return rules.Match(host, rule.DefaultPort, method, path).Service == e.Name
}

// What stands in for a key is never taken for one that acts on the real world.
func TestPlaceholdersAreNotLive(t *testing.T) {
	for _, e := range Catalogue() {
		if len(e.Labels) == 0 {
			continue
		}
		p, err := inject.NewPlaceholder(rand.Reader, e.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Label(p); got != "test" {
			t.Errorf("%s: the placeholder %q is labelled %q", e.Name, p, got)
		}
		if regexp.MustCompile("^(?:" + e.Labels["live"] + ")$").MatchString(p) {
			t.Errorf("%s: the placeholder %q fits both labels", e.Name, p)
		}
	}
}

// A key's shape says something: it fits neither nothing nor any word.
func TestKeysSaySomething(t *testing.T) {
	for _, e := range Catalogue() {
		for _, word := range []string{"", "a", "password", "YOUR_API_KEY"} {
			if e.IsKey(word) {
				t.Errorf("%s: %q is a key", e.Name, word)
			}
		}
	}
}

// The addresses in resources are the provider's own.
func TestResourcesAreTheRowsOwn(t *testing.T) {
	elsewhere := map[string]string{"cloudflarestorage.com": "cloudflare", "supabase.co": "supabase", "atlassian.com": "atlassian"}
	for _, e := range Catalogue() {
		domains := []string{domain(e.OwnHost)}
		for _, name := range e.names() {
			domains = append(domains, domain(name))
		}
		for _, line := range e.Resources {
			host, _, _ := strings.Cut(line, "/")
			host, _, _ = strings.Cut(host, " as ")
			if d := domain(host); !slices.Contains(domains, d) && elsewhere[d] != e.Name {
				t.Errorf("%s: %s is no address of the row's", e.Name, host)
			}
		}
	}
}

// domain is the last two labels of a host, without a port.
func domain(host string) string {
	host, _, _ = strings.Cut(host, ":")
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// People paste what a note says.
func TestNotesLoad(t *testing.T) {
	found := 0
	for _, e := range Catalogue() {
		for _, m := range regexp.MustCompile(`auth = (\{[^}]*\}|"[a-z]+")`).FindAllString(e.Note, -1) {
			found++
			file := "[service.x]\nhost = \"x.test\"\nsecret = \"keychain:x\"\n" + m + "\n"
			if _, problems := read("test", Source{Path: "test", Kind: User, Content: []byte(file)}); len(problems) > 0 {
				t.Errorf("%s: %s: %v", e.Name, m, problems)
			}
		}
	}
	if found == 0 {
		t.Error("no note has an auth: this test tests nothing")
	}
}
