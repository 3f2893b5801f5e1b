package cmd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// quietEnv is a machine with an empty home, whose messages go to a file.
func quietEnv(t *testing.T) Env {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	vars := map[string]string{"HOME": filepath.Join(dir, "home")}
	work := filepath.Join(dir, "work")
	for _, d := range []string{vars["HOME"], work} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return Env{Stdout: out, Stderr: out, Dir: work, LookupEnv: func(n string) (string, bool) { v, ok := vars[n]; return v, ok }}
}

// rehearse makes the endpoints of one call for each of the given places, writes what is
// suggested, and returns the configuration that this made.
func rehearse(t *testing.T, env Env, calls []event.Event) *config.Compiled {
	t.Helper()
	endpoints := discover.Endpoints(calls)
	before, _ := viewConfig(env, "")
	w := &writing{env: env}
	if before != nil {
		w.compiled = before.compiled
	}
	suggestions := discover.Suggest(endpoints, knowledge(w.compiled))
	if err := w.write(suggestions); err != nil {
		t.Fatal(err)
	}
	for _, line := range w.unwilled {
		t.Error(line)
	}
	after, err := viewConfig(env, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range calls {
		if m := after.compiled.Rules.MatchAsked(e.Host, e.Port, e.Method, e.Path, inject.Asked(e.Method, e.Host, e.Path, e.Operation)); m.Kind != rule.Covered {
			t.Errorf("%s %s%s: %v, %s", e.Method, e.Host, e.Path, m.Kind, m.Reason)
		}
	}
	// Nothing is left to suggest.
	if again := discover.Suggest(endpoints, knowledge(after.compiled)); len(again) > 0 {
		t.Errorf("suggested again: %+v", again)
	}
	return after.compiled
}

func seen(method, host, path, auth string) event.Event {
	return event.Event{Phase: event.End, Method: method, Scheme: "https", Host: host, Port: 443, Path: path, Auth: auth, Status: 200, Verdict: event.Uncovered}
}

// For every service of the catalogue: what discover writes for a call to one of its hosts
// loads, also where the catalogue cannot know all of it, and covers the call and no other.
func TestDiscoverWritesEveryServiceOfTheCatalogue(t *testing.T) {
	var calls []event.Event
	for _, e := range config.Catalogue() {
		auth := e.Endpoints[0].Auth.Type
		if auth == "header" {
			auth = strings.ToLower(e.Endpoints[0].Auth.Name)
		}
		if host := hostOfEntry(e); host != "" && !slices.Contains([]string{"body", "gcp"}, auth) {
			calls = append(calls, seen("GET", host, "/v1/things/42", auth))
		}
	}
	if len(calls) < 100 {
		t.Fatalf("only %d services of the catalogue have a host to call", len(calls))
	}
	for batch := range slices.Chunk(calls, 25) { // a session with all of them would load for seconds
		env := quietEnv(t)
		c := rehearse(t, env, batch)
		for _, call := range batch {
			if m := c.Rules.MatchAsked(call.Host, 443, "DELETE", call.Path, inject.Asked("DELETE", call.Host, call.Path, "")); m.Kind == rule.Covered {
				t.Errorf("%s: DELETE is covered as well, by %s", call.Host, m.Service)
			}
		}
		for _, s := range c.Services {
			if s.Secret.IsZero() {
				t.Errorf("service %s has no secret", s.Name)
			}
		}
	}
}

// hostOfEntry is a host of a service, "" for those that can have any name at all.
func hostOfEntry(e config.Entry) string {
	if e.Name == "aws" {
		return "s3.eu-west-1.amazonaws.com"
	}
	for _, p := range e.Endpoints {
		for _, text := range p.Hosts {
			if h, err := rule.ParseHost(text); err == nil && h.Path == "" && !h.Wildcard && h.Port == 0 {
				return h.Name
			}
		}
	}
	if rest, ok := strings.CutPrefix(e.OwnHost, "YOUR"); ok {
		return strings.ToLower("my" + rest)
	}
	return ""
}

const discoverConfig = `# the file's comment

# why github
[service.gh]
host   = "api.github.com"   # not its git
auth   = "bearer"
secret = "keychain:gh"
allow  = ["GET /**"]        # reads

[service.linear]
host = "linear.acme.test"
auth = "none"
`

// What is there is widened where it stands, what is not is added behind it, under names
// that are free, and beside hosts that another service has already.
func TestDiscoverWritesBesideWhatIsThere(t *testing.T) {
	env := quietEnv(t)
	path := filepath.Join(env.Dir, config.FileName)
	if err := os.WriteFile(path, []byte(discoverConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c := rehearse(t, env, []event.Event{
		seen("POST", "api.github.com", "/repos/acme/app/issues", "bearer"),
		seen("GET", "github.com", "/acme/app.git/info/refs", "basic"),
		seen("POST", "api.linear.app", "/graphql", "authorization"),
		seen("GET", "api.acme.test", "/users/bob", "bearer"),
		seen("GET", "linear.acme.test", "/x", ""),
	})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Replace(discoverConfig, `allow  = ["GET /**"]        # reads`, `allow  = ["GET /**", "POST /repos/*/*/issues"]        # reads`, 1)
	if !strings.HasPrefix(string(text), kept) {
		t.Errorf("what stood there has changed:\n%s", text)
	}
	for _, want := range []string{"[service.linear-2]\nuse    = \"linear\"", "[service.acme]", `host   = "github.com"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if m := c.Rules.Match("api.github.com", 443, "DELETE", "/repos/acme/app"); m.Kind == rule.Covered {
		t.Error("more was allowed than was seen")
	}
	if config.NewTrust(env.stateDir()).Approved(path, text) {
		t.Error("a file that nobody has approved is approved by being written to")
	}
}

func TestDiscoverStrict(t *testing.T) {
	env := quietEnv(t)
	w := &writing{env: env, strict: true}
	suggestions := discover.Suggest(discover.Endpoints([]event.Event{seen("GET", "api.acme.test", "/x", "bearer")}), knowledge(nil))
	if err := w.write(suggestions); err != nil {
		t.Fatal(err)
	}
	v, err := viewConfig(env, "")
	if err != nil || v.compiled.Unmatched != "deny" || len(v.compiled.Services) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if !v.files[0].Approved {
		t.Error("a file that was made here has to be approved")
	}
	// Without anything to add it is set all the same, and only once.
	env = quietEnv(t)
	for range 2 {
		w = &writing{env: env, strict: true}
		if err := w.write(nil); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(env.Dir, config.FileName))
	if err != nil || string(text) != "unmatched = \"deny\"\n" {
		t.Errorf("%q, %v", text, err)
	}
}
