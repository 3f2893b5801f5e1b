package cmd

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// loot is what no server but the user's own may see.
const loot = "s3cret-loot-of-the-user"

// otherServer is one that a project's file names: it records what it is sent, and its
// certificate is trusted.
type otherServer struct {
	*httptest.Server
	mu   sync.Mutex
	seen strings.Builder
}

func newOtherServer(t *testing.T) *otherServer {
	s := &otherServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(&s.seen, "%s %s %v %s\n", r.Method, r.URL, r.Header, body)
		http.Error(w, "{}", http.StatusForbidden)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *otherServer) saw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// world is a home with the user's logins, the user's own file and a project.
type loginWorld struct {
	t      *testing.T
	dir    string
	env    map[string]string
	server *otherServer
}

func newLoginWorld(t *testing.T) *loginWorld {
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "") // of the SDKs, which read the process's own
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", loot)
	t.Setenv("AWS_SESSION_TOKEN", loot)
	t.Setenv("AWS_REGION", "eu-west-1")
	w := &loginWorld{t: t, dir: t.TempDir(), server: newOtherServer(t)}
	w.env = map[string]string{"HOME": w.dir, "SSL_CERT_FILE": w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}))),
		"CI_JOB_JWT": loot, "VAULT_ADDR": "https://vault.acme.test:8200"}
	w.write(".vault-token", loot)
	w.write("ran", "")
	return w
}

func (w *loginWorld) write(name, text string) string {
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(strings.ReplaceAll(text, "SERVER", w.serverURL())), 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *loginWorld) serverURL() string {
	if w.server == nil {
		return ""
	}
	return w.server.URL
}

// get resolves a ref as a session would, and returns its error.
func (w *loginWorld) get(ref string) error {
	w.t.Helper()
	lookup := func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }
	env := Env{LookupEnv: lookup, Dir: filepath.Join(w.dir, "project")}
	o := config.Options{Dir: env.Dir, UserDir: filepath.Join(w.dir, "user"), Home: w.dir}
	if named := filepath.Join(w.dir, "named.toml"); exists(named) {
		o.Path = named
	}
	f, err := config.Load(o)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		w.t.Fatal(err)
	}
	// Stored items are bound to the user's own servers.
	own := func(_ context.Context, r keyring.Ref) (keyring.Item, error) {
		item := keyring.Item{Value: keyring.NewSecret([]byte(loot))}
		if r.Stored() {
			item.Hosts = []string{"vault.acme.test:8200", "app.infisical.com"}
		}
		if r.Scheme == "exec" {
			w.write("ran", "yes")
		}
		return item, nil
	}
	r, err := keyring.ParseRef(ref)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := backends(env, newStores(env, noFD, func(string, ...any) {}), newLogins(env, c, own))[r.Scheme]()
	if err != nil {
		return err
	}
	_, err = b.Get(w.t.Context(), r)
	if c, ok := b.(io.Closer); ok {
		_ = c.Close()
	}
	return err
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// What a project's file can say, none of it makes a login of the user's arrive at a server
// that the file chose.
func TestProjectCannotRedirectLogins(t *testing.T) {
	const (
		vaultRef     = "vault:secret/a#k"
		infisicalRef = "infisical:KEY?project=p&env=dev"
	)
	for _, c := range []struct {
		name, user, project string
		env                 string // NAME=VALUE
		ref, want           string
	}{
		{"the user's VAULT_TOKEN", "", "[vault]\naddress = \"SERVER\"", "VAULT_TOKEN=" + loot, vaultRef, "no credential for Vault"},
		{"the user's ~/.vault-token", "", "[vault]\naddress = \"SERVER\"", "", vaultRef, "no credential for Vault"},
		{"VAULT_TOKEN, named", "", "[vault]\naddress = \"SERVER\"\ntoken = \"env:VAULT_TOKEN\"", "VAULT_TOKEN=" + loot, vaultRef, "the project's file may not send env:VAULT_TOKEN"},
		{"~/.vault-token, by a command", "", "[vault]\naddress = \"SERVER\"\ntoken = \"exec:cat .vault-token\"", "", vaultRef, "the project's file may not send exec:cat"},
		{"a CI job's JWT", "", "[vault]\naddress = \"SERVER\"\njwt = \"env:CI_JOB_JWT\"", "", vaultRef, "the project's file may not send env:CI_JOB_JWT"},
		{"a stored secret id", "", "[vault]\naddress = \"SERVER\"\nrole_id = \"r\"\nsecret_id = \"keychain:vault-secret-id\"", "", vaultRef, "keychain:vault-secret-id is not bound to 127.0.0.1"},
		{"a stored wrapped secret id", "", "[vault]\naddress = \"SERVER\"\nrole_id = \"r\"\nwrapped = true\nsecret_id = \"file:vault-secret-id\"", "", vaultRef, "is not bound to 127.0.0.1"},
		{"the login of the user's own section", "[vault]\naddress = \"https://vault.acme.test:8200\"\ntoken = \"keychain:vault\"", "[vault]\naddress = \"SERVER\"", "", vaultRef, "no credential for Vault"},
		{"the user's server, and another's certificates", "", "[vault]\nca_cert = \"../ca.pem\"", "VAULT_ADDR=SERVER", vaultRef, "no credential for Vault"},
		{"a variable that is bound elsewhere", "[binding]\n\"env:CI_*\" = [\"vault.acme.test:8200\"]", "[vault]\naddress = \"SERVER\"\njwt = \"env:CI_JOB_JWT\"", "", vaultRef, "env:CI_JOB_JWT is not bound to 127.0.0.1"},
		{"another port of the right server", "[binding]\n\"env:CI_*\" = [\"127.0.0.1:1\"]", "[vault]\naddress = \"SERVER\"\njwt = \"env:CI_JOB_JWT\"", "", vaultRef, "is not bound to 127.0.0.1"},

		{"a client secret", "", "[infisical]\nsite_url = \"SERVER\"\nclient_id = \"id\"\nclient_secret = \"keychain:infisical\"", "", infisicalRef, "keychain:infisical is not bound to 127.0.0.1"},
		{"a client secret in a variable", "", "[infisical]\nsite_url = \"SERVER\"\nclient_id = \"id\"\nclient_secret = \"env:CI_JOB_JWT\"", "", infisicalRef, "the project's file may not send env:CI_JOB_JWT"},
		{"an access token", "", "[infisical]\nsite_url = \"SERVER\"\naccess_token = \"file:infisical\"", "", infisicalRef, "file:infisical is not bound to 127.0.0.1"},
		{"an identity token", "", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"oidc\"\nidentity_token = \"env:CI_JOB_JWT\"", "", infisicalRef, "the project's file may not send env:CI_JOB_JWT"},
		{"what Infisical's tools read", "", "[infisical]\nsite_url = \"SERVER\"", "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET=" + loot, infisicalRef, "no credentials"},
		{"a pod's service account", "", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"kubernetes\"", "", infisicalRef, "the project's file may not show what this machine is"},
		{"the machine's AWS credentials", "", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"aws\"", "", infisicalRef, "may not show what this machine is"},
		{"the machine's Google identity", "", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"gcp\"", "", infisicalRef, "may not show what this machine is"},
		{"the machine's Azure identity", "", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"azure\"", "", infisicalRef, "may not show what this machine is"},
		{"a site that looks like Infisical's", "", "[infisical]\nsite_url = \"https://app.infisical.com:8443\"\nidentity_id = \"id\"\nidentity_method = \"aws\"", "", infisicalRef, "may not show what this machine is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newLoginWorld(t)
			w.write("user/agentvault.toml", c.user)
			w.write("project/agentvault.toml", c.project)
			if name, value, ok := strings.Cut(c.env, "="); ok {
				w.env[name] = strings.ReplaceAll(value, "SERVER", w.server.URL)
				if strings.HasPrefix(name, "INFISICAL") {
					t.Setenv(name, value)
				}
			}
			err := w.get(c.ref)
			if !errors.Is(err, keyring.ErrDenied) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), loot) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if saw := w.server.saw(); saw != "" {
				t.Errorf("the project's server saw %s", saw)
			}
			if text, _ := os.ReadFile(filepath.Join(w.dir, "ran")); len(text) > 0 {
				t.Error("the command ran")
			}
		})
	}
}

// The same logins do arrive where the user says so: in his own file, in one that he names,
// and with a binding of his for a project's file.
func TestUserDirectsLogins(t *testing.T) {
	const section = "[vault]\naddress = \"SERVER\"\n"
	for _, c := range []struct{ name, user, project, named string }{
		{"VAULT_TOKEN, own file", section, "", ""},
		{"VAULT_TOKEN, named file", "", "", section},
		{"a variable, own file", section + "jwt = \"env:CI_JOB_JWT\"", "", ""},
		{"a variable, named file", "", "", section + "jwt = \"env:CI_JOB_JWT\""},
		{"a variable, bound", "[binding]\n\"env:CI_JOB_JWT\" = [\"127.0.0.1:*\"]", section + "jwt = \"env:CI_JOB_JWT\"", ""},
		{"Infisical, own file", "[infisical]\nsite_url = \"SERVER\"\naccess_token = \"env:CI_JOB_JWT\"", "", ""},
		{"AWS vouches, own file", "[infisical]\nsite_url = \"SERVER\"\nidentity_id = \"id\"\nidentity_method = \"aws\"", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newLoginWorld(t)
			w.write("user/agentvault.toml", c.user)
			w.write("project/agentvault.toml", c.project)
			if c.named != "" {
				w.write("named.toml", c.named)
			}
			if !strings.Contains(c.user+c.project+c.named, "jwt") {
				w.env["VAULT_TOKEN"] = loot
			}
			ref := "vault:secret/a#k"
			want := loot
			if strings.Contains(c.user, "infisical") {
				ref = "infisical:KEY?project=p&env=dev"
			}
			if strings.Contains(c.user, "identity_id") {
				want = "aws-auth/login"
			}
			if err := w.get(ref); err == nil || strings.Contains(err.Error(), "may not") || strings.Contains(err.Error(), "not bound") {
				t.Errorf("error %v", err)
			}
			if saw := w.server.saw(); !strings.Contains(saw, want) {
				t.Errorf("the server saw %q", saw)
			}
		})
	}
}

// What a project's file says of a server is no more than that: with the user's own server in
// it, the user's own login works.
func TestProjectNamesTheUsersServer(t *testing.T) {
	w := newLoginWorld(t)
	w.write("user/agentvault.toml", "")
	w.write("project/agentvault.toml", "[vault]\naddress = \"SERVER\"\n")
	w.env["VAULT_ADDR"], w.env["VAULT_TOKEN"] = w.server.URL, loot
	if err := w.get("vault:secret/a#k"); err == nil || !strings.Contains(w.server.saw(), loot) {
		t.Errorf("error %v; the server saw %q", err, w.server.saw())
	}
}

// Without a home the token of `vault login` is nowhere, and not in the working directory.
func TestNoHomeNoTokenFile(t *testing.T) {
	w := newLoginWorld(t)
	w.write("user/agentvault.toml", "")
	w.write("project/agentvault.toml", "")
	w.write("project/.vault-token", loot)
	t.Chdir(filepath.Join(w.dir, "project"))
	w.env["VAULT_ADDR"] = w.server.URL
	for _, home := range []string{"", "."} {
		w.env["HOME"] = home
		err := w.get("vault:secret/a#k")
		var h interface{ Hint() string }
		if !errors.As(err, &h) || !strings.Contains(h.Hint(), "set HOME to an absolute path") {
			t.Errorf("HOME=%q: %v", home, err)
		}
	}
	if saw := w.server.saw(); saw != "" {
		t.Errorf("the server saw %q", saw)
	}
}

// A session that names none of Infisical, Vault and AWS opens none of them, whatever sections
// its files have.
func TestBackendsAreLazy(t *testing.T) {
	w := newLoginWorld(t)
	w.write("user/agentvault.toml", "[infisical]\naccess_token = \"env:CI_JOB_JWT\"\n[vault]\njwt = \"env:CI_JOB_JWT\"\n[aws]\nprofile = \"absent\"\n"+
		"[service.a]\nhost = \"a.test\"\nauth = \"bearer\"\nsecret = \"env:CI_JOB_JWT\"\n")
	f, err := config.Load(config.Options{UserDir: filepath.Join(w.dir, "user")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	env := Env{LookupEnv: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }}
	all := backends(env, newStores(env, noFD, func(string, ...any) {}), newLogins(env, c, nil))
	for scheme, open := range all {
		all[scheme] = func() (keyring.Backend, error) {
			if scheme != "env" {
				t.Errorf("%s was opened", scheme)
			}
			return open()
		}
	}
	r := keyring.NewResolver(keyring.ResolverConfig{Backends: all})
	defer r.Close()
	if failed := r.ResolveAll(t.Context(), c.Refs); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

// Before the first call of a backend, which has a time limit, what it signs in with is got
// from the stores, which may ask a human; and, where secrets are got later, from commands.
// What no service needs is not.
func TestOwnCredentialsComeFirst(t *testing.T) {
	const sections = "[infisical]\nidentity_id = \"i\"\nidentity_method = \"jwt\"\nidentity_token = \"exec:job token\"\n" +
		"[vault]\naddress = \"https://vault.acme.test:8200\"\nrole_id = \"r\"\nsecret_id = \"keychain:id\"\n"
	const service = "[service.%s]\nhost = \"%s.test\"\nauth = \"bearer\"\nsecret = %q\n"
	both := fmt.Sprintf(service, "a", "a", "vault:kv/a#k") + fmt.Sprintf(service, "b", "b", "infisical:K?project=p&env=dev")
	for _, tt := range []struct {
		name, services, token string
		lazy                  bool
		want                  string
	}{
		{"at the start", both, "", false, "keychain:id"},
		{"later", both, "", true, "exec:job token"},
		{"with a login of the user's", both, "hvs.s3cret", false, ""},
		{"needed by nobody", fmt.Sprintf(service, "c", "c", "env:X"), "", false, ""},
		{"needed by nobody, later", fmt.Sprintf(service, "a", "a", "vault:kv/a#k"), "", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := config.Parse(config.FileName, []byte(sections+tt.services))
			if err != nil {
				t.Fatal(err)
			}
			c, err := f.Compile()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			env := Env{LookupEnv: func(name string) (string, bool) { return tt.token, name == "VAULT_TOKEN" && tt.token != "" }}
			l := newLogins(env, c, func(_ context.Context, r keyring.Ref) (keyring.Item, error) {
				got = append(got, r.String())
				return keyring.Item{Value: keyring.NewSecret([]byte(loot)), Hosts: []string{"vault.acme.test:8200"}}, nil
			})
			if tt.lazy {
				if errs := l.runCommands(t.Context(), c.Refs); len(errs) > 0 {
					t.Error(errs)
				}
			} else {
				l.unlock(t.Context(), c.Refs)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
