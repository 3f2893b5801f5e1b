package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// tree writes files below a fresh folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const one = "[service.%]\nhost = \"%.test\"\nauth = \"bearer\"\nsecret = \"keychain:%\"\n"

func svc(name string) string { return strings.ReplaceAll(one, "%", name) }

func names(f *File) (out []string) {
	for _, s := range f.Services {
		out = append(out, s.Name+"<"+s.Hosts[0].String())
	}
	return out
}

func TestLoadMerges(t *testing.T) {
	dir := tree(t, map[string]string{
		"user/agentvault.toml": "unmatched = \"warn\"\ntunnel = [\"a.test\"]\npass_env = [\"A_*\"]\nno_proxy = [\"x.test\"]\n" + svc("both") + svc("mine") +
			"[infisical]\naccess_token = \"env:USER\"\nsite_url = \"https://mine.test\"\n[binding]\n\"env:*\" = [\"h.test\"]\n\"env:A*\" = \"a.test\"\n",
		"home/p/agentvault.toml": "unmatched = \"deny\"\ntunnel = [\"b.test\"]\npass_env = [\"A_*\", \"B\"]\n" + svc("theirs") +
			strings.Replace(svc("both"), "both.test", "theirs-both.test", 1) + "[infisical]\nproject = \"p\"\n",
		"home/p/src/deep/x":       "",
		"home/named.toml":         svc("named"),
		"agentvault.toml":         svc("above"),
		"home/link/nothing":       "",
		"elsewhere/in/x":          "",
		"elsewhere/agentvault.md": "",
	})
	user := filepath.Join(dir, "user")
	f, err := Load(Options{Dir: filepath.Join(dir, "home/p/src/deep"), UserDir: user, Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"both<theirs-both.test", "mine<mine.test", "theirs<theirs.test"}; !slices.Equal(names(f), want) {
		t.Errorf("services %q, want %q", names(f), want)
	}
	if f.Unmatched != "deny" || len(f.Tunnel) != 2 || !slices.Equal(f.PassEnv, []string{"A_*", "B"}) || !slices.Equal(f.NoProxy, []string{"x.test"}) {
		t.Errorf("merged wrong: %+v", f)
	}
	if f.Infisical.Project != "p" || f.Infisical.SiteURL != "" || !f.Infisical.AccessToken.IsZero() || f.Infisical.Kind != Project {
		t.Errorf("infisical is mixed: %+v", f.Infisical)
	}
	if len(f.Sources) != 2 || f.Sources[0].Kind != User || f.Sources[1].Kind != Project || f.Sources[1].Hash != Hash(f.Sources[1].Content) {
		t.Errorf("sources %+v", f.Sources)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Services[0].Source != f.Sources[1].Path || c.Services[1].Source != f.Sources[0].Path {
		t.Errorf("a service is said to come from %q", c.Services[0].Source)
	}
	ref, _ := keyring.ParseRef("env:AB")
	if hosts, ok := c.Bound(ref); !ok || hosts[0].String() != "a.test" {
		t.Errorf("bound to %v", hosts)
	}
	ref, _ = keyring.ParseRef("keychain:AB")
	if _, ok := c.Bound(ref); ok {
		t.Error("bound without a pattern")
	}

	for _, tt := range []struct {
		name string
		o    Options
		want []string
	}{
		{"home ends the search", Options{Dir: filepath.Join(dir, "home/link"), Home: filepath.Join(dir, "home")}, nil},
		{"outside home the root does", Options{Dir: filepath.Join(dir, "elsewhere/in"), Home: filepath.Join(dir, "home")}, []string{"above<above.test"}},
		{"a named file stands in for the project's", Options{Path: filepath.Join(dir, "home/named.toml"), Dir: filepath.Join(dir, "home/p")}, []string{"named<named.test"}},
		{"the user's file is not a project", Options{Dir: user, UserDir: user}, []string{"both<both.test", "mine<mine.test"}},
		{"nothing at all", Options{}, nil},
	} {
		f, err := Load(tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if !slices.Equal(names(f), tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, names(f), tt.want)
		}
		for _, s := range f.Sources {
			if want := (tt.o.Path != ""); (s.Kind == Named) != want || s.Kind == Project && tt.o.UserDir != "" {
				t.Errorf("%s: %s is %s", tt.name, s.Path, s.Kind)
			}
		}
	}
	if f, err := Load(Options{}); err != nil || f.Unmatched != "warn" {
		t.Errorf("without a file: %+v, %v", f, err)
	}
	if _, err := Load(Options{Path: filepath.Join(dir, "missing.toml")}); err == nil || !strings.HasSuffix(err.Error(), "missing.toml: no such file or directory") {
		t.Errorf("a missing named file: %v", err)
	}
}

func TestProjectMayOnlyTighten(t *testing.T) {
	for _, tt := range []struct {
		user, project string
		ok            bool
	}{{"deny", "warn", false}, {"warn", "deny", true}, {"ask", "ask", true}, {"", "allow", true}} {
		user := ""
		if tt.user != "" {
			user = "unmatched = \"" + tt.user + "\"\n"
		}
		dir := tree(t, map[string]string{"u/agentvault.toml": user, "p/agentvault.toml": "unmatched = \"" + tt.project + "\"\n"})
		_, err := Load(Options{Dir: filepath.Join(dir, "p"), UserDir: filepath.Join(dir, "u")})
		if (err == nil) != tt.ok {
			t.Errorf("%q over %q: %v", tt.project, tt.user, err)
		}
	}
}

// compileText loads a text as a named file.
func compileText(t *testing.T, text string) *Compiled {
	t.Helper()
	dir := tree(t, map[string]string{"c.toml": text})
	f, err := Load(Options{Path: filepath.Join(dir, "c.toml"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A service that waits for the placeholder looks for it in the slot of its own credential.
func TestAskedIsLookedFor(t *testing.T) {
	for _, tt := range []struct{ name, keys, want string }{
		{"body", `auth = { type = "body", fields = ["token", "auth.key"] }`, "body:token body:auth.key"},
		{"path", `auth = { type = "path", placeholder = "KEY" }`, "path"},
		{"header", `auth = { type = "header", name = "X-Till" }`, "header:X-Till"},
		{"looked for anyway", `auth = { type = "query", name = "till" }`, ""},
		{"said", "auth = { type = \"path\", placeholder = \"KEY\" }\nsearch = [\"body:a\"]", "body:a"},
		{"always", "auth = { type = \"body\", fields = [\"token\"] }\ninject = \"always\"", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inject := "inject = \"asked\"\n"
			if strings.Contains(tt.keys, "inject") {
				inject = ""
			}
			c := compileText(t, "[service.a]\nhost = \"a.test\"\nsecret = \"env:A\"\n"+inject+tt.keys+"\n")
			var places []string
			for _, p := range c.Services[0].Endpoints[0].Search {
				places = append(places, p.String())
			}
			if got := strings.Join(places, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCompile(t *testing.T) {
	c := compileText(t, `
[service.github]
use = "github"
secret = "keychain:gh"
[service.lab]
use = "gitlab"
host = "lab.acme.test:8443"
secret = "keychain:lab"
inject = "asked"
env = []
[service.db]
host = ["db.test", "*.db.test"]
auth = { type = "basic", user = "env:DB_USER" }
secret = "keychain:gh"
test = [{ request = "GET /me?x=1", header = { Accept = "a/b" }, status = 204, json = { a = 1 } }]
placeholder = "db_{a-z:32}"
[service.jira]
use = "atlassian"
host = "acme.atlassian.net"
auth = { type = "basic", user = "me@acme.test" }
secret = "keychain:jira"
`)
	by := map[string]CompiledService{}
	for _, s := range c.Services {
		by[s.Name] = s
	}
	gh := by["github"]
	for host, want := range map[string]struct {
		in     inject.Injector
		always bool
	}{
		"api.github.com": {inject.Bearer{}, true},
		"github.com":     {inject.Basic{User: "x-access-token"}, false},
	} {
		m := c.Rules.Match(host, 443, "GET", "/x")
		if m.Kind != rule.Covered || m.Service != "github" {
			t.Fatalf("%s: %+v", host, m)
		}
		if e := gh.Endpoints[m.Endpoint]; e.Inject != want.in || e.Always != want.always {
			t.Errorf("%s: %#v, always %v", host, e.Inject, e.Always)
		}
	}
	if !slices.Equal(gh.Env, []string{"GITHUB_TOKEN", "GH_TOKEN"}) || gh.Shape != "ghp_{A-Za-z0-9:36}" || gh.Tests[0].Path != "/user" || gh.Tests[0].Host != "api.github.com" {
		t.Errorf("github: %+v", gh)
	}
	lab := by["lab"]
	if got := lab.Hosts(); len(got) != 2 || got[0].String() != "lab.acme.test:8443/api/**" || got[1].String() != "lab.acme.test:8443" {
		t.Errorf("lab: hosts %v", got)
	}
	if lab.Endpoints[0].Always || len(lab.Env) != 0 || lab.Tests != nil {
		t.Errorf("lab: %+v", lab)
	}
	if m := c.Rules.Match("lab.acme.test", 8443, "GET", "/api/v4/user"); lab.Endpoints[m.Endpoint].Inject != (inject.Header{Name: "Private-Token"}) {
		t.Errorf("lab: the API is endpoint %d", m.Endpoint)
	}
	db := by["db"]
	if db.Endpoints[0].BasicUser.String() != "env:DB_USER" || !db.Endpoints[0].Always || db.Shape != "db_{a-z:32}" {
		t.Errorf("db: %+v", db)
	}
	if tt := db.Tests[0]; tt.Method != "GET" || tt.Path != "/me?x=1" || tt.Status != 204 || tt.JSON["a"] != int64(1) || tt.Header["Accept"] != "a/b" {
		t.Errorf("db: test %+v", tt)
	}
	if jira := by["jira"]; jira.Endpoints[0].Inject != (inject.Basic{User: "me@acme.test"}) || jira.Env[0] != "JIRA_API_TOKEN" {
		t.Errorf("jira: %+v", jira)
	}
	var refs []string
	for _, r := range c.Refs {
		refs = append(refs, r.String())
	}
	if want := []string{"keychain:gh", "env:DB_USER", "keychain:jira", "keychain:lab"}; !slices.Equal(refs, want) {
		t.Errorf("refs %q, want %q", refs, want)
	}
}

// A link that leads nowhere is an error, as the project's file and as the user's own; a folder
// of that name is no file, and the search goes on.
func TestLoadWhatIsNoFile(t *testing.T) {
	dir := tree(t, map[string]string{"agentvault.toml": "unmatched = \"deny\"", "folder/agentvault.toml/x": "", "lost/x": ""})
	f, err := Load(Options{Dir: filepath.Join(dir, "folder")})
	if err != nil || f.Unmatched != "deny" {
		t.Errorf("a folder: %v, %+v", err, f)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "lost", FileName)); err != nil {
		t.Skip(err)
	}
	for name, o := range map[string]Options{"the project's": {Dir: filepath.Join(dir, "lost")}, "the user's": {UserDir: filepath.Join(dir, "lost")}} {
		if _, err := Load(o); err == nil || !strings.HasSuffix(err.Error(), FileName+": a link to a file that is not there") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExample(t *testing.T) {
	f, err := Load(Options{Path: "../../../agentvault.toml.example"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 16 {
		t.Errorf("%d services", len(c.Services))
	}
	// What the comments hide loads too, in the user's own file.
	content := string(f.Sources[0].Content)
	_, binding, _ := strings.Cut(content, "# [binding]")
	content = strings.Replace(content, "# [binding]"+binding, "[binding]"+strings.ReplaceAll(binding, "\n# ", "\n"), 1)
	if err := verify("example", []byte(content)); err != nil || !strings.Contains(content, "\n\"env:REPORTS_*\"") {
		t.Errorf("with its comment: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../../../agentvault.toml.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	for _, tt := range badFiles {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Load(Options{Path: path})
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v, error %v", file, err)
		}
		if err != nil {
			if p, ok := err.(Problems); !ok || len(p) == 0 || len(p) > maxProblems {
				t.Fatalf("not problems: %v", err)
			}
			return
		}
		for _, s := range file.Services {
			if err := verify("again", []byte(ServiceTOML(s))); err != nil {
				t.Fatalf("%s\ndoes not load: %v", ServiceTOML(s), err)
			}
		}
	})
}

// What a project opens beyond the user's own file is kept for check to tell.
func TestProjectWidens(t *testing.T) {
	dir := tree(t, map[string]string{
		"u/agentvault.toml": "tunnel = [\"a.test\"]\npass_env = [\"A_*\"]\n" + svc("mine"),
		"p/agentvault.toml": "tunnel = [\"A.test\", \"B.test\"]\nno_proxy = \"x.test\"\npass_env = [\n  \"A_*\",\n  \"B\"]\n" + svc("mine") + svc("new"),
	})
	load := func(o Options) (out []string) {
		f, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range f.Widened {
			out = append(out, w.Pos.String()+" "+w.Key+" "+w.Text)
		}
		return out
	}
	user, project := filepath.Join(dir, "u"), filepath.Join(dir, "p")
	want := []string{"agentvault.toml:1:21 tunnel b.test", "agentvault.toml:2:12 no_proxy x.test", "agentvault.toml:5:3 pass_env B", "agentvault.toml:6:1 service mine"}
	if got := load(Options{Dir: project, UserDir: user}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// What the human named, or wrote into his own file, widens nothing.
	if got := load(Options{Path: filepath.Join(project, "agentvault.toml"), UserDir: user}); got != nil {
		t.Errorf("a named file: %q", got)
	}
	if got := load(Options{Dir: user, UserDir: user}); got != nil {
		t.Errorf("the user's own: %q", got)
	}
}

func TestPositions(t *testing.T) {
	dir := tree(t, map[string]string{"c.toml": "unmatched = \"allow\"\n[service.a]\nhost = \"h.test\"\nauth = \"none\"\nallow = [\n  \"GET /a\", # one\n  \"GET /b\",\n]\n"})
	f, err := Load(Options{Path: filepath.Join(dir, "c.toml"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := f.Service("a")
	for got, want := range map[string]string{
		f.UnmatchedPos().String():          "c.toml:1:13",
		s.At("allow[1]", "allow").String(): "c.toml:7:3",
		s.At("allow[2]", "allow").String(): "c.toml:5:9",
		s.At("deny").String():              "c.toml:2:1",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if f.Service("b") != nil {
		t.Error("a service that is not there was found")
	}
}
