package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/ca"
	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// cabinet is a backend of a few secrets.
type cabinet map[string][]string // name -> hosts

func (c cabinet) Get(_ context.Context, ref keyring.Ref) (keyring.Item, error) {
	hosts, ok := c[ref.Name]
	if !ok {
		return keyring.Item{}, keyring.ErrNotFound
	}
	return keyring.Item{Value: keyring.NewSecret([]byte("s3cret-sentinel")), Hosts: hosts}, nil
}

const coverConfig = `unmatched = "warn"

[service.github]
use    = "github"
secret = "keychain:github"
allow  = ["GET /**"]
deny   = ["DELETE /orgs/**"]
ask    = ["GET /user"]
`

// newRulebook is that of a session in a project whose file is approved.
func newRulebook(t *testing.T, secrets cabinet) (*rulebook, string) {
	t.Helper()
	dir := t.TempDir()
	project := filepath.Join(dir, "project")
	if err := os.Mkdir(project, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(project, config.FileName)
	if err := os.WriteFile(file, []byte(coverConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	env := Env{Dir: project, LookupEnv: func(name string) (string, bool) {
		if name == "HOME" {
			return dir, true
		}
		return "", false
	}}
	compiled, err := loadConfig(env, "", approveAny(env))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.New("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets["github"] = []string{"api.github.com", "github.com"}
	l := &live{env: env, compiled: compiled, resolver: keyring.NewResolver(keyring.ResolverConfig{
		Backends: map[string]func() (keyring.Backend, error){"keychain": func() (keyring.Backend, error) { return secrets, nil }}})}
	t.Cleanup(l.resolver.Close)
	rules, err := l.rules(compiled)
	if err != nil {
		t.Fatal(err)
	}
	if l.proxy, err = proxy.New(proxy.Config{Session: "test", Token: "t", Authority: authority, Rules: rules}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.proxy.Close() })
	return &rulebook{live: l, compiled: compiled}, file
}

func approveAny(env Env) func(config.Source) error {
	return func(s config.Source) error { return config.NewTrust(env.stateDir()).Approve(s.Path, s.Content) }
}

func ended(method, host, path, auth string, status int) event.Event {
	return event.Event{Call: 1, Phase: event.End, Method: method, Scheme: "https", Host: host, Port: 443, Path: path, Auth: auth, Status: status, Verdict: event.Uncovered}
}

// What c writes is what it showed, the running session uses it, and the next one is not
// asked for an approval.
func TestCoverWritesAService(t *testing.T) {
	for _, tt := range []struct {
		name    string
		secrets cabinet
		call    event.Event
		service string
		want    string // in the file
	}{
		{"without a credential", cabinet{}, ended("POST", "telemetry.example.com", "/v1/events", "", 204), "telemetry-example", `auth   = "none"`},
		{"from the catalogue", cabinet{"linear": {"api.linear.app", "uploads.linear.app", "mcp.linear.app"}}, ended("POST", "api.linear.app", "/graphql", "bearer", 401), "linear", `use    = "linear"`},
		{"a name that is taken", cabinet{"github-2": {"github.other.test"}}, ended("GET", "github.other.test", "/x/1", "bearer", 200), "", `host   = "github.other.test"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, file := newRulebook(t, tt.secrets)
			shown := b.text(tt.call)
			if !strings.Contains(shown, tt.want) {
				t.Fatalf("shows %q, want %q in it", shown, tt.want)
			}
			if tt.service == "" { // whatever it is called, its secret has to be there
				f, err := config.Parse("x", []byte(shown))
				if err != nil || f.Services[0].Name == "github" {
					t.Fatalf("%v, %q", err, shown)
				}
				tt.service = f.Services[0].Name
				tt.secrets[f.Services[0].Secret.Name] = []string{"github.other.test"}
			}
			before := b.live.standIns["github"].placeholder
			said, err := b.cover(tt.call, shown)
			if err != nil || !strings.Contains(said, "service "+tt.service+" covers it from now on; it stands in "+file) || strings.Contains(said, "approved") {
				t.Fatalf("said %q, %v", said, err)
			}
			text, _ := os.ReadFile(file)
			if !strings.HasPrefix(string(text), coverConfig) || !strings.Contains(string(text), strings.TrimSpace(shown)) {
				t.Errorf("the file is %q", text)
			}
			if !config.NewTrust(b.live.env.stateDir()).Approved(file, text) {
				t.Error("what the human's key wrote is not approved")
			}
			m := b.compiled.Rules.Match(tt.call.Host, 443, tt.call.Method, tt.call.Path)
			if m.Kind != rule.Covered || m.Service != tt.service {
				t.Errorf("the session does not use it: %v", m)
			}
			if b.live.standIns["github"].placeholder != before {
				t.Error("a placeholder that the child holds was replaced")
			}
			if again := b.text(tt.call); again != "" {
				t.Errorf("it is covered, and this is shown: %q", again)
			}
			if _, err := loadConfig(b.live.env, "", nil); err != nil {
				t.Errorf("the file does not load: %v", err)
			}
		})
	}
}

// A service that lacks a rule gets it, in its file and in the session, and nothing else is
// touched.
func TestCoverWidensAService(t *testing.T) {
	b, file := newRulebook(t, cabinet{})
	call := ended("POST", "api.github.com", "/repos/acme/app/issues/7", "", 403)
	shown := b.text(call)
	if want := `[service.github]  allow += "POST /repos/*/*/issues/*"`; shown != want {
		t.Errorf("shows %q, want %q", shown, want)
	}
	said, err := b.cover(call, shown)
	if err != nil || said != "service github allows POST /repos/*/*/issues/* from now on" {
		t.Errorf("said %q, %v", said, err)
	}
	if m := b.compiled.Rules.Match(call.Host, 443, call.Method, "/repos/x/y/issues/1"); m.Kind != rule.Covered {
		t.Errorf("the session does not allow it: %v", m)
	}
	for _, other := range []string{"/repos/x/y/pulls/1", "/user"} {
		if m := b.compiled.Rules.Match(call.Host, 443, call.Method, other); m.Kind == rule.Covered {
			t.Errorf("%s is allowed as well", other)
		}
	}
	want := strings.Replace(coverConfig, `["GET /**"]`, `["GET /**", "POST /repos/*/*/issues/*"]`, 1)
	text, err := os.ReadFile(file)
	if err != nil || string(text) != want {
		t.Errorf("the file is %q, %v", text, err)
	}
	if !config.NewTrust(b.live.env.stateDir()).Approved(file, text) {
		t.Error("what the human's key wrote is not approved")
	}
	if c, err := loadConfig(b.live.env, "", nil); err != nil || c.Rules.Match(call.Host, 443, call.Method, call.Path).Kind != rule.Covered {
		t.Errorf("the next session does not allow it: %v", err)
	}
	// A rule that asks goes, where it is for this call and no other.
	ask := ended("GET", "api.github.com", "/user", "", 0)
	if m := b.compiled.Rules.Match(ask.Host, 443, ask.Method, ask.Path); !m.Ask {
		t.Fatalf("it does not ask to begin with: %v", m)
	}
	said, err = b.cover(ask, "")
	if err != nil || said != "service github does not ask for GET /user any more" {
		t.Errorf("said %q, %v", said, err)
	}
	if m := b.compiled.Rules.Match(ask.Host, 443, ask.Method, ask.Path); m.Kind != rule.Covered || m.Ask {
		t.Errorf("the session asks: %v", m)
	}
	if text, _ := os.ReadFile(file); string(text) != strings.Replace(want, `["GET /user"]`, "[]", 1) {
		t.Errorf("the file is %q", text)
	}
}

// What cannot work, or was not seen, is not written.
func TestCoverRefusesToWrite(t *testing.T) {
	linear := ended("POST", "api.linear.app", "/graphql", "bearer", 401)
	for _, tt := range []struct {
		name       string
		secrets    cabinet
		call       event.Event
		shown      string
		want, hint string
	}{
		{"no secret", cabinet{}, linear, "", `service "linear": keychain:linear: secret not found`, "agentvault secret set linear --host api.linear.app --host uploads.linear.app --host mcp.linear.app"},
		{"bound to others", cabinet{"linear": {"linear.app"}}, linear, "", `service "linear": keychain:linear is not bound to api.linear.app`, "agentvault secret set linear --host api.linear.app --host uploads.linear.app --host mcp.linear.app"},
		{"something else was shown", cabinet{"linear": {"api.linear.app", "uploads.linear.app", "mcp.linear.app"}}, linear, "[service.linear]\n", "has changed since", ""},
		{"denied by a rule", cabinet{}, ended("DELETE", "api.github.com", "/orgs/x", "", 403), "", "no configuration can cover this call: rule github denies", ""},
		{"covered", cabinet{}, ended("GET", "api.github.com", "/repos/1/2", "", 200), "", `service "github" covers it by now`, ""},
		{"a path that can be read in two ways", cabinet{}, ended("GET", "api.github.com", "/a/../b", "", 200), "", "no configuration can cover this call", ""},
		{"no host", cabinet{}, ended("GET", `evil.example\x1b[2J`, "/", "", 200), "", "no configuration can cover this call", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, file := newRulebook(t, tt.secrets)
			said, err := b.cover(tt.call, tt.shown)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("said %q, error %v, want %q", said, err, tt.want)
			}
			var h interface{ Hint() string }
			if tt.hint != "" && (!errors.As(err, &h) || h.Hint() != tt.hint) {
				t.Errorf("hint of %v, want %q", err, tt.hint)
			}
			if text, _ := os.ReadFile(file); string(text) != coverConfig {
				t.Errorf("the file is %q", text)
			}
		})
	}
}

// Where the file cannot be edited the session stays as it is too.
func TestCoverWidensNothingHalfway(t *testing.T) {
	b, file := newRulebook(t, cabinet{})
	broken := strings.Replace(coverConfig, "allow", "alow", 1)
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	call := ended("POST", "api.github.com", "/user/keys", "", 403)
	if said, err := b.cover(call, ""); err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("said %q, %v", said, err)
	}
	if m := b.compiled.Rules.Match(call.Host, 443, call.Method, call.Path); m.Kind != rule.NotAllowed {
		t.Errorf("the session allows it: %v", m)
	}
	if text, _ := os.ReadFile(file); string(text) != broken {
		t.Errorf("the file is %q", text)
	}
}

// What the agent wrote into the file meanwhile is not approved along with ours.
func TestCoverApprovesNothingElse(t *testing.T) {
	b, file := newRulebook(t, cabinet{})
	theirs := coverConfig + "\n[service.evil]\nhost = \"evil.test\"\nauth = \"bearer\"\nsecret = \"keychain:github\"\n"
	if err := os.WriteFile(file, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := b.cover(ended("POST", "telemetry.example.com", "/v1/events", "", 204), "")
	if err != nil || !strings.Contains(said, "which has changed since it was approved") {
		t.Errorf("said %q, %v", said, err)
	}
	text, _ := os.ReadFile(file)
	if !strings.Contains(string(text), "telemetry") || config.NewTrust(b.live.env.stateDir()).Approved(file, text) {
		t.Errorf("approved: %q", text)
	}
	if m := b.compiled.Rules.Match("evil.test", 443, "GET", "/"); m.Kind != rule.None {
		t.Errorf("the session uses what the agent wrote: %v", m)
	}
	said, err = b.cover(ended("POST", "api.github.com", "/user/keys", "", 403), "")
	if err != nil || !strings.Contains(said, "which has changed since it was approved") {
		t.Errorf("said %q, %v", said, err)
	}
	if text, _ := os.ReadFile(file); !strings.Contains(string(text), `"POST /user/keys"`) || config.NewTrust(b.live.env.stateDir()).Approved(file, text) {
		t.Errorf("approved: %q", text)
	}
}

func TestCoverFindsItsFile(t *testing.T) {
	b, file := newRulebook(t, cabinet{})
	if path, approvable := b.target(); path != file || !approvable {
		t.Errorf("in a project: %s %t", path, approvable)
	}
	own := filepath.Join(b.live.env.configDir(), config.FileName)
	if err := errors.Join(os.MkdirAll(filepath.Dir(own), 0o700), os.WriteFile(own, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if path, _ := b.target(); path != file {
		t.Errorf("with a file of one's own beside it: %s", path)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if path, approvable := b.target(); path != own || approvable {
		t.Errorf("one's own alone: %s %t", path, approvable)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if path, approvable := b.target(); path != file || !approvable {
		t.Errorf("none: %s %t", path, approvable)
	}
	b.path = "elsewhere.toml"
	if path, approvable := b.target(); path != "elsewhere.toml" || approvable {
		t.Errorf("--config: %s %t", path, approvable)
	}
}

// Whatever host of the catalogue is called, what c shows is TOML that loads, also where the
// entry wants more than a secret.
func TestCoverShowsWhatLoads(t *testing.T) {
	b, _ := newRulebook(t, cabinet{})
	shown := 0
	for _, entry := range config.Catalogue() {
		for _, endpoint := range entry.Endpoints {
			for _, text := range append(slices.Clone(endpoint.Hosts), strings.Split(entry.OwnHost, "/")[0]) {
				h, err := rule.ParseHost(strings.Replace(text, "*", "acme", 1))
				if err != nil || b.compiled.Rules.Covers(h.Name, 443) {
					continue
				}
				call := ended("POST", h.Name, "/v1/things/7", "bearer", 401)
				if h.Port > 0 {
					call.Port = h.Port
				}
				toml := b.text(call)
				if _, err := config.Parse("x", []byte(toml)); toml == "" || err != nil {
					t.Errorf("%s, %s: %v\n%s", entry.Name, text, err, toml)
				}
				shown++
			}
		}
	}
	if shown < 50 {
		t.Errorf("only %d hosts were tried", shown)
	}
}

// While a view has the terminal a notice waits, and the bar shows it meanwhile.
func TestNoticesWaitForTheView(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l := &live{env: Env{Stderr: out}, asker: newAsker(nil)}
	written := func() string {
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	done := l.drawing()
	l.notice("one %s", "\x1b[2J")
	if got := written(); got != "" || l.asker.news() != `one \x1b[2J` {
		t.Errorf("written %q, the bar shows %q", got, l.asker.news())
	}
	done()
	l.notice("two")
	if got := written(); got != "agentvault: one \\x1b[2J\nagentvault: two\n" {
		t.Errorf("written %q", got)
	}
}
