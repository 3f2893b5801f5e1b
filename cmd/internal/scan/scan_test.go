package scan

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/inject"
)

const sentinel = "s3cret-sentinel-0123456789"

// machine writes files below a home and a project, each holding the sentinel wherever
// the tool keeps its secret.
func machine(t *testing.T, files map[string]string, environ []string, programs ...string) Machine {
	t.Helper()
	root := t.TempDir()
	m := Machine{Home: filepath.Join(root, "home"), Dir: filepath.Join(root, "project"), Environ: environ,
		LookPath: func(name string) (string, error) {
			if slices.Contains(programs, name) {
				return "/usr/bin/" + name, nil
			}
			return "", errors.New("not found")
		}}
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func scanned(t *testing.T, m Machine) Found {
	t.Helper()
	f := Scan(m, config.Catalogue())
	if text := fmt.Sprintf("%+v", f); strings.Contains(text, "s3cret") {
		t.Errorf("a value was kept: %s", text)
	}
	return f
}

func TestScan(t *testing.T) {
	for _, tt := range []struct {
		name     string
		files    map[string]string
		environ  []string
		programs []string
		want     []string // "service: why; why"
		hosts    []string
	}{
		{name: "nothing"},
		{name: "variables", environ: []string{"GITHUB_TOKEN=" + sentinel, "STRIPE_API_KEY=", "PATH=/bin", "NOT_KNOWN_TOKEN=" + sentinel},
			want: []string{"github: GITHUB_TOKEN is set"}},
		{name: "tools", files: map[string]string{"home/.config/gh/hosts.yml": sentinel, "home/.aws/credentials": sentinel, "home/.config/gcloud/credentials.db": sentinel},
			want: []string{"aws: ~/.aws/credentials is there", "gcp: ~/.config/gcloud is there", "github: ~/.config/gh/hosts.yml is there"}},
		{name: "more tools", environ: []string{"XDG_DATA_HOME=/nowhere", "CLOUDSDK_CONFIG=relative"}, files: map[string]string{"home/.fly/config.yml": sentinel, "home/.config/stripe/config.toml": sentinel,
			"home/.local/share/com.vercel.cli/auth.json": sentinel, "home/Library/Application Support/com.vercel.cli/auth.json": sentinel},
			want: []string{"fly: ~/.fly/config.yml is there", "stripe: ~/.config/stripe/config.toml is there", "vercel: ~/Library/Application Support/com.vercel.cli/auth.json is there"}},
		{name: "git's store and kube", files: map[string]string{"home/.git-credentials": "https://x:" + sentinel + "@github.com\nhttps://" + sentinel + "@git.acme.test\nhttp://a:b@plain.test\n%zz\n",
			"home/.kube/config": "clusters:\n- cluster:\n    server: https://k8s.acme.test:6443\nusers:\n- user:\n    token: " + sentinel + "\n"},
			want: []string{"github: ~/.git-credentials names github.com"}, hosts: []string{"git.acme.test ~/.git-credentials", "k8s.acme.test:6443 ~/.kube/config"}},
		{name: "netrc", files: map[string]string{"home/.netrc": "machine api.github.com login x password " + sentinel + "\n" +
			"machine git.acme.test\n login machine password machine\nmacdef init\nmachine in.a.macro.test\n\ndefault login a password " + sentinel + "\nmachine " + sentinel},
			want: []string{"github: ~/.netrc names api.github.com"}, hosts: []string{"git.acme.test ~/.netrc"}},
		{name: "npmrc", files: map[string]string{"home/.npmrc": "registry=https://plain.example.test/\n//npm.acme.test:8443/a/:_authToken=" + sentinel + "\n",
			"project/.npmrc": "//npm.pkg.example.test/:_password = " + sentinel + "\n//no.token.test/:always-auth=true\n"},
			hosts: []string{"npm.acme.test:8443 ~/.npmrc"}},
		{name: "docker", files: map[string]string{"home/.docker/config.json": `{"auths":{"ghcr.io":{"auth":"` + sentinel + `"},"https://hub.acme.test/v1/":{}}}`},
			want: []string{"github: ~/.docker/config.json names ghcr.io"}, hosts: []string{"hub.acme.test ~/.docker/config.json"}},
		{name: "dotenv", files: map[string]string{"project/.env": "export OPENAI_API_KEY='" + sentinel + "'\nPORT=80\nGITHUB_TOKEN=\n",
			"project/.env.example": "STRIPE_API_KEY=" + sentinel, "project/.env.local": "OPENAI_API_KEY=" + sentinel},
			want: []string{"openai: .env has OPENAI_API_KEY; .env.local has OPENAI_API_KEY"}},
		{name: "agents", programs: []string{"claude", "goose"}, want: []string{"anthropic?: claude is installed"}},
		{name: "an agent whose key is there", programs: []string{"claude"}, environ: []string{"ANTHROPIC_API_KEY=" + sentinel},
			want: []string{"anthropic: ANTHROPIC_API_KEY is set; claude is installed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := scanned(t, machine(t, tt.files, tt.environ, tt.programs...))
			var got, hosts []string
			for _, s := range f.Services {
				mark := ""
				if s.Maybe {
					mark = "?"
				}
				got = append(got, s.Name+mark+": "+strings.Join(s.Why, "; "))
			}
			for _, h := range f.Hosts {
				if !strings.Contains(h.File, "project") { // an absolute path of this run
					hosts = append(hosts, h.Name+" "+h.File)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("services\n got %q\nwant %q", got, tt.want)
			}
			if !slices.Equal(hosts, tt.hosts) {
				t.Errorf("hosts\n got %q\nwant %q", hosts, tt.hosts)
			}
		})
	}
}

func TestScanSaysWhatItCouldNotRead(t *testing.T) {
	f := scanned(t, machine(t, map[string]string{"project/.env": "A=\"" + sentinel}, nil))
	if len(f.Notes) != 1 || f.Notes[0] != ".env:1: A: the double quote is not closed" {
		t.Errorf("got %q", f.Notes)
	}
}

func TestGuess(t *testing.T) {
	var (
		github    = "ghp_s3cret" + strings.Repeat("a1", 15)
		anthropic = "sk-ant-api03-s3cret" + strings.Repeat("x", 87) + "AA"
		google    = "AIzas3cret" + strings.Repeat("x", 29)
		uuid      = "00000000-1111-2222-3333-444444444444"
	)
	g := NewGuesser(config.Catalogue())
	for _, tt := range []struct {
		name, variable, value string
		want                  Guess
	}{
		{"both agree", "GITHUB_TOKEN", github, Guess{Service: "github", Named: "github"}},
		{"the name alone", "LINEAR_API_KEY", "s3cret-of-any-kind", Guess{Service: "linear", Named: "linear", Unlike: true}},
		{"the shape alone", "MY_TOKEN", github, Guess{Service: "github"}},
		{"another provider's key", "OPENAI_API_KEY", anthropic, Guess{Named: "openai", Shaped: []string{"anthropic"}}},
		{"several providers", "MY_KEY", google, Guess{Shaped: []string{"gemini", "google-maps", "youtube"}}},
		{"the name decides among several", "GOOGLE_MAPS_API_KEY", google, Guess{Service: "google-maps", Named: "google-maps"}},
		{"a shape that says nothing", "MY_KEY", uuid, Guess{}},
		{"a shape that says nothing against a name", "GITHUB_TOKEN", uuid, Guess{Service: "github", Named: "github", Unlike: true}},
		{"more than a key", "X", github + "x", Guess{}},
		{"neither", "PORT", "8080", Guess{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := g.Guess(tt.variable, keyring.NewSecret([]byte(tt.value)))
			slices.Sort(got.Shaped)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A key of one provider is never taken for another's: each provider's own placeholder, and
// its like, under its own variable, is accepted, and under another's it is not its.
func TestGuessEveryProvider(t *testing.T) {
	entries := config.Catalogue()
	g := NewGuesser(entries)
	for _, e := range entries {
		if e.Shape == "" {
			continue
		}
		key, err := inject.NewPlaceholder(rand.Reader, e.Shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range e.Env {
			if got := g.Guess(name, keyring.NewSecret([]byte(key))); got.Service != e.Name || got.Unlike {
				t.Errorf("%s=%s: %+v, want %s", name, key, got, e.Name)
			}
		}
		if e.IsPlainly(key) != (len(e.Marks) > 0) {
			t.Errorf("%s: the placeholder %q has none of the marks %q", e.Name, key, e.Marks)
		}
		for _, other := range entries {
			if other.Name != e.Name && other.IsPlainly(key) && !sameKeys(e, other) {
				t.Errorf("%s: the placeholder %q is plainly a key of %s", e.Name, key, other.Name)
			}
		}
	}
}

// sameKeys are services of one provider that take the same keys.
func sameKeys(a, b config.Entry) bool {
	return len(a.Marks) > 0 && slices.Equal(a.Marks, b.Marks) && slices.Equal(a.Keys, b.Keys)
}

func TestLooksSecret(t *testing.T) {
	for name, want := range map[string]bool{"ACME_TOKEN": true, "DB_PASSWORD": true, "apiKey": true, "API_KEY": true, "PORT": false, "MAX_TOKENS": false, "_": false} {
		if got := LooksSecret(name); got != want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
