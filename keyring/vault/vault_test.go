package vault

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

func mustRef(t *testing.T, s string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func newBackend(t *testing.T, c Config) *Backend {
	b := New(c)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func wantValue(t *testing.T, b *Backend, ref, want string) keyring.Item {
	t.Helper()
	item, err := b.Get(t.Context(), mustRef(t, ref))
	if err != nil {
		t.Fatalf("Get %s: %v", ref, err)
	}
	if got := item.Value.Reveal(); got != want {
		t.Fatalf("Get %s = %q, want %q", ref, got, want)
	}
	return item
}

// wantError fails unless err is want, says text, and hints at hint.
func wantError(t *testing.T, err, want error, text, hint string) {
	t.Helper()
	var h interface{ Hint() string }
	switch {
	case err == nil || want != nil && !errors.Is(err, want):
		t.Errorf("error %v, want one that is %v", err, want)
	case !strings.Contains(err.Error(), text):
		t.Errorf("error %q, want %q in it", err, text)
	case strings.Contains(err.Error(), keyringtest.Sentinel):
		t.Error("the error holds a credential")
	case hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), hint)):
		t.Errorf("error %v without a hint at %q", err, hint)
	}
}

func TestConformance(t *testing.T) {
	for _, engine := range []string{"old/", "secret/", "team/kv/", "aws/"} {
		t.Run(engine, func(t *testing.T) {
			keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture { return world(t, engine) })
		})
	}
}

func world(t *testing.T, engine string) keyringtest.Fixture {
	s := newServer(t, nil)
	b := newBackend(t, s.config(t))
	some := "vault:" + engine + "any#token"
	failing := func(status int) func(*testing.T) keyring.Ref {
		return func(t *testing.T) keyring.Ref { s.fail = status; return mustRef(t, some) }
	}
	return keyringtest.Fixture{
		Backend: b,
		Put: func(t *testing.T, value []byte) keyring.Ref {
			path := fmt.Sprintf("%sagents/a b/%d", engine, len(s.values))
			s.values[path] = map[string]any{"token": string(value), "other": "x"}
			return mustRef(t, "vault:"+path+"#token")
		},
		Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "vault:"+engine+"absent#token") },
		Denied: func(t *testing.T) keyring.Ref {
			s.denied[engine+"any"], s.denied[engine+"data/any"] = true, true
			return mustRef(t, some)
		},
		NoField: func(t *testing.T) (keyring.Ref, string) {
			s.values[engine+"any"] = map[string]any{"user": keyringtest.Sentinel, "pass": keyringtest.Sentinel}
			return mustRef(t, some), `no field "token" (one of: pass, user)`
		},
		Slow: func(t *testing.T) (keyring.Ref, <-chan struct{}) {
			started := make(chan struct{})
			s.hang, s.started = true, started
			return mustRef(t, some), started
		},
		Down:    func(t *testing.T) keyring.Ref { s.Close(); return mustRef(t, some) },
		TooMany: failing(http.StatusTooManyRequests),
		Broken:  failing(http.StatusInternalServerError),
		Untrusted: func(t *testing.T) keyring.Ref {
			env := s.env(t)
			delete(env, "VAULT_CACERT")
			b.c.LookupEnv = lookup(env) // it has read nothing yet
			return mustRef(t, some)
		},
		Skip: map[string]string{"binary": "values are text: the API is JSON"},
	}
}

func TestValues(t *testing.T) {
	s := newServer(t, nil)
	b := newBackend(t, s.config(t))
	s.values["secret/one"] = map[string]any{"only": "v"}
	s.values["secret/many"] = map[string]any{"n": 12345678901234567, "yes": true, "list": []string{"a", "b"}, "none": nil, "": "e"}
	s.values["old/one"] = map[string]any{"only": "w"}

	item := wantValue(t, b, "vault:secret/one", "v")
	if want := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC); item.Version != "7" || !item.Set.Equal(want) {
		t.Errorf("version %q, set at %s", item.Version, item.Set)
	}
	wantValue(t, b, "vault:old/one", "w")
	wantValue(t, b, "vault:secret/many#n", "12345678901234567")
	wantValue(t, b, "vault:secret/many#yes", "true")
	wantValue(t, b, "vault:secret/many#list", `["a","b"]`)
	_, err := b.Get(t.Context(), mustRef(t, "vault:secret/many#none"))
	wantError(t, err, keyring.ErrEmpty, "", "")
	_, err = b.Get(t.Context(), mustRef(t, "vault:secret/many"))
	wantError(t, err, nil, "several fields, and the ref names none (one of: ", "add #FIELD")

	s.deleted["secret/gone"] = true
	_, err = b.Get(t.Context(), mustRef(t, "vault:secret/gone#x"))
	wantError(t, err, keyring.ErrNotFound, "its newest version was deleted on 2026-04-05", "")
	_, err = b.Get(t.Context(), mustRef(t, "vault:secret/data/one#only"))
	wantError(t, err, keyring.ErrNotFound, "", "without data/: vault:secret/one")
}

// Which version a mount has is asked once a mount, and where nobody tells, found out.
func TestMounts(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%t", silent), func(t *testing.T) {
			s := newServer(t, nil)
			s.silent = silent
			s.engines["team/aws/"] = "issuing"
			s.values["secret/a"], s.values["secret/b"] = map[string]any{"k": "a"}, map[string]any{"k": "b"}
			s.values["old/a"] = map[string]any{"k": "old"}
			b := newBackend(t, s.config(t))
			for range 2 {
				wantValue(t, b, "vault:secret/a#k", "a")
				wantValue(t, b, "vault:secret/b#k", "b")
				wantValue(t, b, "vault:old/a#k", "old")
			}
			if silent {
				return // a mount below another segment cannot be guessed
			}
			if n := s.count("GET sys/internal/ui/mounts/"); n != 2 {
				t.Errorf("asked %d times about two mounts", n)
			}
			s.values["team/kv/a"], s.values["team/aws/x"] = map[string]any{"k": "kv"}, map[string]any{"k": "issued"}
			wantValue(t, b, "vault:team/kv/a#k", "kv")
			wantValue(t, b, "vault:team/aws/x#k", "issued")
		})
	}
}

// The token comes from the first of the places where people keep one.
func TestTokenSources(t *testing.T) {
	s := newServer(t, nil)
	s.values["secret/a"] = map[string]any{"k": "v"}
	file := filepath.Join(t.TempDir(), ".vault-token")
	if err := os.WriteFile(file, []byte("hvs.file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := func() (Config, map[string]string) {
		env := s.env(t)
		return Config{
			LookupEnv: lookup(env), Token: fixed("hvs.s3cret-explicit"), TokenFile: file,
			AppRole: &AppRole{RoleID: roleID, SecretID: fixed(secretID)},
			JWT:     &JWT{Mount: "ci", Role: "agents", Token: fixed("jwt-" + keyringtest.Sentinel)},
		}, env
	}
	for _, c := range []struct {
		name   string
		accept string // the token that the server takes; "" for one of a sign-in
		change func(*Config, map[string]string)
		login  string
	}{
		{"explicit", "hvs.s3cret-explicit", func(*Config, map[string]string) {}, ""},
		{"environment", given, func(c *Config, _ map[string]string) { c.Token = nil }, ""},
		{"approle", "", func(c *Config, env map[string]string) { c.Token = nil; delete(env, "VAULT_TOKEN") }, "PUT auth/approle/login"},
		{"jwt", "", func(c *Config, env map[string]string) { c.Token, c.AppRole = nil, nil; env["VAULT_TOKEN"] = "" }, "PUT auth/ci/login"},
		{"file", "hvs.file", func(c *Config, env map[string]string) {
			c.Token, c.AppRole, c.JWT = nil, nil, nil
			delete(env, "VAULT_TOKEN")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, env := full()
			c.change(&config, env)
			s.set(func() { clear(s.tokens); s.tokens[c.accept] = &fakeToken{}; delete(s.tokens, "") })
			s.count("")
			wantValue(t, newBackend(t, config), "vault:secret/a#k", "v")
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.login != "" && s.calls[0] != c.login {
				t.Errorf("calls %q, want %q first", s.calls, c.login)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		config, env := full()
		config.Token, config.AppRole, config.JWT, config.TokenFile = nil, nil, nil, filepath.Join(t.TempDir(), "absent")
		delete(env, "VAULT_TOKEN")
		_, err := New(config).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
		wantError(t, err, keyring.ErrDenied, "no credential for Vault", "vault login")
		config.TokenFile = ""
		_, err = New(config).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
		wantError(t, err, keyring.ErrDenied, "no credential for Vault", "set HOME to an absolute path")
	})
}

// The process's own environment is for others: nothing in it reaches the server.
func TestSDKReadsNoEnvironment(t *testing.T) {
	for name, value := range map[string]string{"VAULT_TOKEN": "hvs.ambient", "VAULT_NAMESPACE": "elsewhere", "VAULT_WRAP_TTL": "60s",
		"VAULT_HEADERS": `{"X-Custom": "x"}`, "VAULT_SKIP_VERIFY": "true", "VAULT_ADDR": "https://elsewhere.test", "VAULT_AGENT_ADDR": "https://agent.test"} {
		t.Setenv(name, value)
	}
	s := newServer(t, nil)
	s.values["secret/a"] = map[string]any{"k": "v"}
	wantValue(t, newBackend(t, s.config(t)), "vault:secret/a#k", "v")
	env := s.env(t)
	delete(env, "VAULT_CACERT")
	_, err := newBackend(t, Config{LookupEnv: lookup(env)}).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrUnavailable, "certificate", "VAULT_SKIP_VERIFY is not obeyed")
}

// A project's file may name a server, and the human's own login is not for it.
func TestOwnLogin(t *testing.T) {
	s := newServer(t, nil)
	s.values["secret/a"] = map[string]any{"k": "v"}
	env := s.env(t)
	env["VAULT_ADDR"] = "https://vault.acme.test"
	c := Config{Address: s.URL, LookupEnv: lookup(env), TokenFile: filepath.Join(t.TempDir(), "absent")}
	_, err := newBackend(t, c).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrDenied, "no credential for Vault", "sent to VAULT_ADDR only")
	if n := s.count(""); n != 0 {
		t.Errorf("%d requests to a server that is not the human's", n)
	}
	c.OwnLogin = true
	wantValue(t, newBackend(t, c), "vault:secret/a#k", "v")
	c.OwnLogin, env["VAULT_ADDR"] = false, s.URL+"/"
	wantValue(t, newBackend(t, c), "vault:secret/a#k", "v")
}

func TestAddress(t *testing.T) {
	for _, c := range []struct{ address, want, hint string }{
		{"", "no address of a Vault server", "VAULT_ADDR"},
		{"http://vault.test:8200", "want https", ""},
		{"vault.test:8200", "want https://HOST:PORT", ""},
		{"https://u:" + keyringtest.Sentinel + "@vault.test", "want https://HOST:PORT", ""},
		{"unix:///run/vault.sock", "want https", ""},
	} {
		_, err := New(Config{Address: c.address, Token: fixed(given)}).Get(t.Context(), mustRef(t, "vault:a/b"))
		wantError(t, err, nil, c.want, c.hint)
	}
	for name, text := range map[string]string{"absent": "", "empty.pem": "nothing"} {
		file := filepath.Join(t.TempDir(), name)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := New(Config{Address: "https://vault.test", CACert: file}).Get(t.Context(), mustRef(t, "vault:a/b"))
		wantError(t, err, nil, "Vault's CA certificate", "")
	}
}

// The token does not follow a redirect.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s arrived elsewhere", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	_, err := newBackend(t, Config{Address: s.URL, Token: fixed(given)}).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrUnavailable, "redirects to", "")
}

// What is not Vault is not an empty secret.
func TestWrongServer(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusNotFound} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, "<html>hello "+given)
		}))
		_, err := newBackend(t, Config{Address: s.URL, Token: fixed(given)}).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
		wantError(t, err, keyring.ErrUnavailable, "", "")
		s.Close()
	}
}
