package infisical

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/infisical/go-sdk"

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

// Folders are listed; where an identity may not, keys are got one by one.
func TestConformance(t *testing.T) {
	for _, listed := range []bool{true, false} {
		t.Run(fmt.Sprintf("listed=%t", listed), func(t *testing.T) {
			keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture { return world(t, listed) })
		})
	}
}

func world(t *testing.T, listed bool) keyringtest.Fixture {
	s := newServer(t)
	s.denied["/:"], s.denied["/agents/a b:"] = !listed, !listed
	b := New(s.config())
	t.Cleanup(func() { _ = b.Close() })
	failing := func(status int) func(*testing.T) keyring.Ref {
		return func(t *testing.T) keyring.Ref { s.fail = status; return mustRef(t, "infisical:ANY") }
	}
	return keyringtest.Fixture{
		Backend: b,
		Put: func(t *testing.T, value []byte) keyring.Ref {
			key := fmt.Sprintf("KEY_%d", len(s.secrets))
			s.secrets["/agents/a b:"+key] = string(value)
			return mustRef(t, "infisical:"+key+"?project="+project+"&env=dev&path=/agents/a%20b")
		},
		Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "infisical:ABSENT") },
		Denied: func(t *testing.T) keyring.Ref {
			s.secrets["/:SECRET"], s.denied["/:SECRET"] = keyringtest.Sentinel, true
			return mustRef(t, "infisical:SECRET")
		},
		Slow: func(t *testing.T) (keyring.Ref, <-chan struct{}) {
			s.hang, s.started = true, make(chan struct{})
			return mustRef(t, "infisical:ANY"), s.started
		},
		Down:    func(t *testing.T) keyring.Ref { s.Close(); return mustRef(t, "infisical:ANY") },
		TooMany: failing(http.StatusTooManyRequests),
		Broken:  failing(http.StatusInternalServerError),
		Untrusted: func(t *testing.T) keyring.Ref {
			b.base.TLSClientConfig.RootCAs = nil // it has connected to nothing yet
			return mustRef(t, "infisical:ANY")
		},
		NoField: func(t *testing.T) (keyring.Ref, string) { // a key has none; a dynamic secret has
			return dynamicRef(t, "TOKEN"), `no field "TOKEN" (one of: DB_PASSWORD, DB_PORT, DB_USERNAME)`
		},
		Skip: map[string]string{"binary": "values are text: the API is JSON"},
	}
}

// One sign-in serves all, until its time is over or the server no longer takes the token.
func TestSignIn(t *testing.T) {
	s := newServer(t)
	s.secrets["/:KEY"] = "v"
	now := time.Now()
	c := s.config()
	c.Clock = func() time.Time { return now }
	b := New(c)
	get := func(wantLogins int, when string) {
		t.Helper()
		item, err := b.Get(t.Context(), mustRef(t, "infisical:KEY"))
		if err != nil || item.Value.Reveal() != "v" {
			t.Errorf("%s: %v", when, err)
		}
		if s.logins != wantLogins {
			t.Errorf("%s: %d sign-ins, want %d", when, s.logins, wantLogins)
		}
	}
	if s.logins != 0 {
		t.Error("New signed in")
	}
	get(1, "first")
	get(1, "second")
	now = now.Add(2 * time.Hour)
	first := b.token.value
	get(2, "when the token's time is over")
	clear(s.tokens)
	get(3, "when the server has forgotten the token")

	// Many that are refused at the same moment sign in once.
	clear(s.tokens)
	s.logins = 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := b.Get(t.Context(), mustRef(t, "infisical:KEY")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.logins != 1 {
		t.Errorf("%d sign-ins for eight refusals, want 1", s.logins)
	}

	// Close overwrites the tokens, those that were replaced as well.
	last := b.token.value
	if first.Len() == 0 || last.Len() == 0 {
		t.Error("overwritten too early")
	}
	if err := b.Close(); err != nil || first.Len() != 0 || last.Len() != 0 {
		t.Errorf("a token is still in memory, or %v", err)
	}
}

// An identity that may not sign in is told so at once, not in a loop.
func TestWrongClientSecret(t *testing.T) {
	s := newServer(t)
	c := s.config()
	c.ClientSecret = fixed("wrong-" + keyringtest.Sentinel)
	_, err := New(c).Get(t.Context(), mustRef(t, "infisical:KEY"))
	var hint interface{ Hint() string }
	if !errors.Is(err, keyring.ErrDenied) || !errors.As(err, &hint) || !strings.HasPrefix(err.Error(), "sign in: status 401") {
		t.Errorf("error %v; want keyring.ErrDenied with a hint", err)
	}
	if strings.Contains(err.Error(), keyringtest.Sentinel) {
		t.Error("the error holds the client secret")
	}
	if s.logins != 1 || s.gets != 0 {
		t.Errorf("%d sign-ins, %d gets", s.logins, s.gets)
	}
}

func TestAccessToken(t *testing.T) {
	s := newServer(t)
	s.secrets["/:KEY"], s.tokens["given"] = "v", true
	c := s.config()
	c.ClientID, c.ClientSecret, c.AccessToken = "", nil, fixed("given")
	b := New(c)
	if item, err := b.Get(t.Context(), mustRef(t, "infisical:KEY")); err != nil || item.Value.Reveal() != "v" {
		t.Errorf("Get: %v", err)
	}
	clear(s.tokens)
	if _, err := b.Get(t.Context(), mustRef(t, "infisical:KEY")); !errors.Is(err, keyring.ErrDenied) {
		t.Errorf("Get with a token that is refused: %v; want keyring.ErrDenied", err)
	}
	if s.logins != 0 {
		t.Error("a given token led to a sign-in")
	}
}

// Our own credentials come from elsewhere, and may be missing there. What the environment
// holds for other programs is not used.
func TestNoCredential(t *testing.T) {
	t.Setenv("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", clientID)
	t.Setenv("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", clientSecret)
	t.Setenv("INFISICAL_ACCESS_TOKEN", clientSecret)
	t.Setenv("INFISICAL_AUTH_ORGANIZATION_SLUG", "elsewhere")
	s := newServer(t)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"none", func(c *Config) { c.ClientSecret = nil }, keyring.ErrDenied},
		{"no client id", func(c *Config) { c.ClientID = "" }, keyring.ErrDenied},
		{"empty", func(c *Config) { c.ClientSecret = fixed("") }, keyring.ErrEmpty},
		{"not found", func(c *Config) {
			c.ClientSecret = func(context.Context) (keyring.Secret, error) { return keyring.Secret{}, keyring.ErrNotFound }
		}, keyring.ErrNotFound},
		{"empty token", func(c *Config) { c.AccessToken = fixed("") }, keyring.ErrEmpty},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := s.config()
			c.change(&config)
			if _, err := New(config).Get(t.Context(), mustRef(t, "infisical:KEY")); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	if s.logins != 0 {
		t.Error("signed in with what was not configured")
	}
}

func TestBadRefsAndSites(t *testing.T) {
	for _, c := range []struct{ name, site, ref, want string }{
		{"no project", "https://i.test", "infisical:KEY?env=dev", "no project"},
		{"no env", "https://i.test", "infisical:KEY?project=p", "no environment"},
		{"unknown parameter", "https://i.test", "infisical:KEY?project=p&env=dev&folder=/x", `unknown parameter "folder" (one of: project, env, path)`},
		{"relative path", "https://i.test", "infisical:KEY?project=p&env=dev&path=x", "start with /"},
		{"plain http", "http://i.test", "infisical:KEY?project=p&env=dev", "want https"},
		{"no host", "i.test", "infisical:KEY?project=p&env=dev", "want https://HOST"},
		{"user in the site", "https://u:p@i.test", "infisical:KEY?project=p&env=dev", "want https://HOST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(Config{SiteURL: c.site, AccessToken: fixed("t")})
			if _, err := b.Get(t.Context(), mustRef(t, c.ref)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
	// The SDK would send this one out as it is.
	escape := keyring.Ref{Scheme: "infisical", Name: "../../v1/x?"}
	if _, err := New(Config{Project: "p", Env: "e", AccessToken: fixed("t")}).Get(t.Context(), escape); err == nil || !strings.Contains(err.Error(), "letters, digits") {
		t.Errorf("a key with a path in it: %v", err)
	}
}

// The client secret does not follow a redirect.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s arrived elsewhere", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/x", http.StatusTemporaryRedirect))
	defer s.Close()
	_, err := New(Config{SiteURL: s.URL, ClientID: clientID, ClientSecret: fixed(clientSecret), Project: "p", Env: "e"}).
		Get(t.Context(), mustRef(t, "infisical:KEY"))
	if !errors.Is(err, keyring.ErrUnavailable) || !strings.Contains(err.Error(), "redirects to") {
		t.Errorf("error %v; want one about the redirect", err)
	}
}

// A site that is something else is not an empty secret.
func TestWrongSite(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }))
	defer s.Close()
	c := Config{SiteURL: s.URL + "/", AccessToken: fixed("t"), Project: "p", Env: "e"}
	if _, err := New(c).Get(t.Context(), mustRef(t, "infisical:KEY")); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("error %v; want keyring.ErrUnavailable", err)
	}
	c.AccessToken, c.ClientID, c.ClientSecret = nil, clientID, fixed(clientSecret)
	if _, err := New(c).Get(t.Context(), mustRef(t, "infisical:KEY")); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("error %v; want keyring.ErrUnavailable", err)
	}
}

// A server that takes connections and says nothing costs the deadline, and leaves nothing
// behind: not even a goroutine, in which the client secret would live on.
func TestDeadServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	b := New(Config{SiteURL: "https://" + l.Addr().String(), ClientID: clientID, ClientSecret: fixed(clientSecret), Project: "p", Env: "e"})
	if _, err := b.Get(ctx, mustRef(t, "infisical:KEY")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	_ = b.Close()
	for range 2000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	stacks := make([]byte, 64<<10)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

// The proxy is the one that the configuration gives, or the environment; not another.
func TestProxy(t *testing.T) {
	s := newServer(t)
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer proxy.Close()
	c := s.config()
	c.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	if _, err := New(c).Get(t.Context(), mustRef(t, "infisical:KEY")); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("error %v; want keyring.ErrUnavailable", err)
	}
	if len(asked) != 1 || asked[0] != "CONNECT "+s.Listener.Addr().String() {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

// Nothing is written on stderr or stdout, where a child's screen is: not by the SDK, and not
// by the HTTP client inside it.
func TestSilence(t *testing.T) {
	var kept [2]*os.File
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	kept[0], kept[1] = os.Stdout, os.Stderr
	os.Stdout, os.Stderr = write, write
	restore := func() { os.Stdout, os.Stderr = kept[0], kept[1] }
	defer restore()

	s := newServer(t)
	ref := mustRef(t, "infisical:KEY")
	get := func(c Config) {
		if _, err := New(c).Get(t.Context(), ref); err == nil {
			t.Error("no error")
		}
	}
	get(s.config()) // 404
	untrusted := s.config()
	untrusted.RootCAs = nil
	get(untrusted)
	s.fail = http.StatusInternalServerError
	get(s.config())
	s.Close()
	get(s.config()) // refused
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{not JSON")
	}))
	defer bad.Close()
	get(Config{SiteURL: bad.URL, AccessToken: fixed("t"), Project: "p", Env: "e"})

	restore()
	_ = write.Close()
	var out bytes.Buffer
	if _, err := io.Copy(&out, read); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("written: %s", out.Bytes())
	}
}

// A new SDK that has moved its HTTP client is noticed here, and at run time is an error and
// not a client without bounds.
func TestInside(t *testing.T) {
	manual := false
	c := sdk.NewInfisicalClient(t.Context(), sdk.Config{AutoTokenRefresh: &manual})
	if inner, err := inside(c); err != nil || inner.BaseURL != "https://app.infisical.com/api" {
		t.Errorf("inside: %v", err)
	}
	for _, other := range []sdk.InfisicalClientInterface{nil, struct{ sdk.InfisicalClientInterface }{}, &struct {
		sdk.InfisicalClientInterface
		httpClient string
	}{}} {
		if _, err := inside(other); err == nil {
			t.Errorf("inside(%T): no error", other)
		}
	}
}
