package inject

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/keyring"
)

var testTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func testClock() time.Time { return testTime }

// rsaKey makes a key for one test; 2,048 bits are what GitHub hands out.
func rsaKey(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// verifyJWT checks the signature and returns header and claims.
func verifyJWT(text string, key *rsa.PublicKey) (header, claims map[string]any, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not a JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return nil, nil, err
	}
	for i, out := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(text, out); err != nil {
			return nil, nil, err
		}
	}
	if header["alg"] != "RS256" {
		return nil, nil, fmt.Errorf("alg %v", header["alg"])
	}
	return header, claims, nil
}

func fake(t *testing.T, h http.HandlerFunc) (*httptest.Server, Doer) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	return srv, srv.Client()
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func TestOAuth2ClientCredentials(t *testing.T) {
	const id, key = "client:1", "cl!ent s3cret"
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		user, pass, basic := r.BasicAuth()
		if basic {
			user, _ = url.QueryUnescape(user)
			pass, _ = url.QueryUnescape(pass)
		} else {
			user, pass = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		switch {
		case r.Method != http.MethodPost || r.PostFormValue("grant_type") != "client_credentials":
			answer(w, 400, map[string]string{"error": "unsupported_grant_type"})
		case user != id || pass != key:
			answer(w, 401, map[string]string{"error": "invalid_client", "error_description": "no such secret " + pass})
		default:
			answer(w, 200, map[string]any{"access_token": fmt.Sprintf("at-%t-%s", basic, r.PostFormValue("scope")), "token_type": "bearer", "expires_in": 3600})
		}
	})
	for _, tt := range []struct {
		name, secret string
		inBody       bool
		want, err    string
	}{
		{"basic", key, false, "at-true-a b", ""},
		{"in the body", key, true, "at-false-a b", ""},
		{"wrong", "s3cret-marker-wrong", false, "", "answered 401 invalid_client"},
		{"empty", "", false, "", "empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &OAuth2{Grant: ClientCredentials, TokenURL: srv.URL, ClientID: id, Scopes: []string{"a", "b"}, InBody: tt.inBody, Client: client, Now: testClock}
			token, expires, err := o.Token(t.Context(), secret(tt.secret))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "s3cret-marker") {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || token.Reveal() != tt.want || !expires.Equal(testTime.Add(time.Hour)) {
				t.Errorf("got %q until %v, %v", token.Reveal(), expires, err)
			}
		})
	}
}

// An issuer that says a number without end does not make an end in the past.
func TestTokenLifeIsBounded(t *testing.T) {
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, map[string]any{"access_token": "at", "expires_in": int64(math.MaxInt64)})
	})
	_, key := rsaKey(t)
	file, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@b.test", "private_key": key})
	for _, src := range []struct {
		name string
		Source
		secret string
	}{
		{"oauth2", &OAuth2{Grant: ClientCredentials, TokenURL: srv.URL, ClientID: "id", Client: client, Now: testClock}, "cl!ent s3cret"},
		{"gcp", &GCP{TokenURL: srv.URL, Client: client, Now: testClock}, string(file)},
	} {
		if _, expires, err := src.Token(t.Context(), secret(src.secret)); err != nil || !expires.Equal(testTime.Add(maxLife*time.Second)) {
			t.Errorf("%s: until %v, %v", src.name, expires, err)
		}
	}
}

// An issuer that gives each refresh token for one use, and revokes the family when one
// comes twice.
func TestOAuth2Rotation(t *testing.T) {
	valid, uses := "refresh-0", 0
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("client_id") != "app" || r.PostFormValue("refresh_token") != valid {
			valid = "revoked"
			answer(w, 400, map[string]string{"error": "invalid_grant"})
			return
		}
		uses++
		valid = fmt.Sprint("refresh-", uses)
		answer(w, 200, map[string]any{"access_token": fmt.Sprint("access-", uses), "refresh_token": valid})
	})
	var stored []string
	o := &OAuth2{Grant: RefreshToken, TokenURL: srv.URL, ClientID: "app", Client: client, Now: testClock,
		Rotated: func(_ context.Context, s keyring.Secret) { stored = append(stored, s.Reveal()) }}
	// The resolver may still hand out the first one from its cache.
	for i, given := range []string{"refresh-0", "refresh-0", "refresh-0", "refresh-3"} {
		token, expires, err := o.Token(t.Context(), secret(given))
		if want := fmt.Sprint("access-", i+1); err != nil || token.Reveal() != want || !expires.IsZero() {
			t.Fatalf("exchange %d: got %q until %v, %v", i, token.Reveal(), expires, err)
		}
	}
	if got := strings.Join(stored, " "); got != "refresh-1 refresh-2 refresh-3 refresh-4" {
		t.Errorf("stored: got %q", got)
	}
	if _, _, err := o.Token(t.Context(), secret("refresh-1")); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a used token: got %v", err)
	}
}

func TestOAuth2Refuses(t *testing.T) {
	reply, status := "", 200
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	})
	for _, tt := range []struct {
		name, reply string
		status      int
		change      func(*OAuth2)
		want        string
	}{
		{"plain http", "", 200, func(o *OAuth2) { o.TokenURL = "http://issuer.test/token" }, "not https"},
		{"no URL", "", 200, func(o *OAuth2) { o.TokenURL = "" }, "not a URL"},
		{"another grant", "", 200, func(o *OAuth2) { o.Grant = "password" }, "unknown grant"},
		{"no JSON", "<html>s3cret-marker", 200, nil, "without JSON"},
		{"no token", "{}", 200, nil, "no access_token"},
		{"another type", `{"access_token":"s3cret-marker","token_type":"mac"}`, 200, nil, "type \"mac\""},
		{"endless", `"` + strings.Repeat("x", maxTokenAnswer+10), 200, nil, "more than"},
		{"an error code that is no word", `{"error":"s3cret-s3cret-marker"}`, 400, nil, "answered 400"},
		{"a server error", "s3cret-marker", 503, nil, "answered 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply, status = tt.reply, tt.status
			o := &OAuth2{Grant: ClientCredentials, TokenURL: srv.URL, Client: client}
			if tt.change != nil {
				tt.change(o)
			}
			if _, _, err := o.Token(t.Context(), secret("s3cret")); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret-marker") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	// Over TLS that cannot be verified nothing is sent.
	o := &OAuth2{Grant: ClientCredentials, TokenURL: srv.URL, Client: &http.Client{Transport: &http.Transport{}}}
	if _, _, err := o.Token(t.Context(), secret("s3cret")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unverified: got %v", err)
	}
}

func TestGitHubApp(t *testing.T) {
	key, text := rsaKey(t)
	selection := "selected"
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, claims, err := verifyJWT(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), &key.PublicKey)
		if err != nil || claims["iss"] != "12345" {
			answer(w, 401, map[string]string{"message": "A JSON web token could not be decoded"})
			return
		}
		iat, exp := claims["iat"].(float64), claims["exp"].(float64)
		if now := float64(testTime.Unix()); iat > now-30 || exp <= now || exp-now > 600 {
			answer(w, 401, map[string]string{"message": "bad times"})
			return
		}
		body, _ := io.ReadAll(r.Body)
		if r.Method+r.URL.Path != "POST/api/v3/app/installations/99/access_tokens" {
			answer(w, 404, nil)
			return
		}
		answer(w, 201, map[string]any{"token": "ghs_" + base64.RawURLEncoding.EncodeToString(body), "expires_at": testTime.Add(time.Hour).Format(time.RFC3339), "repository_selection": selection})
	})
	app := &GitHubApp{AppID: "12345", InstallationID: "99", Repositories: []string{"one"}, Permissions: map[string]string{"contents": "read"}, API: srv.URL + "/api/v3/", Client: client, Now: testClock}
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(key)
	for name, stored := range map[string]string{"pkcs1": text, "pkcs8": pemOf("PRIVATE KEY", pkcs8), "one line": strings.ReplaceAll(text, "\n", `\n`)} {
		token, expires, err := app.Token(t.Context(), secret(stored))
		if err != nil || !expires.Equal(testTime.Add(time.Hour)) {
			t.Fatalf("%s: got %v until %v", name, err, expires)
		}
		scope, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "ghs_"))
		if got := string(scope); got != `{"permissions":{"contents":"read"},"repositories":["one"]}` {
			t.Errorf("%s: asked for %s", name, got)
		}
	}
	selection = "all"
	if _, _, err := app.Token(t.Context(), secret(text)); err == nil || !strings.Contains(err.Error(), "for all of them") {
		t.Errorf("a token for more: got %v", err)
	}
	_, other := rsaKey(t)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ecDER, _ := x509.MarshalPKCS8PrivateKey(ec)
	for name, stored := range map[string]string{
		"answered 401": other, "not an RSA private key": "s3cret-marker", "not an RSA private key ": pemOf("PRIVATE KEY", ecDER), " not an RSA private key": pemOf("PRIVATE KEY", []byte("s3cret-marker")),
	} {
		if _, _, err := app.Token(t.Context(), secret(stored)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) || strings.Contains(err.Error(), "s3cret-marker") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	app.InstallationID = "99/../1"
	if _, _, err := app.Token(t.Context(), secret(text)); err == nil || !strings.Contains(err.Error(), "not a number") {
		t.Errorf("installation: got %v", err)
	}
}

// counter is a Source that counts.
type counter struct {
	calls atomic.Int32
	life  time.Duration
	wait  time.Duration
	err   error
}

func (c *counter) Token(ctx context.Context, s keyring.Secret) (keyring.Secret, time.Time, error) {
	n := c.calls.Add(1)
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return keyring.Secret{}, time.Time{}, ctx.Err()
	}
	if c.err != nil {
		return keyring.Secret{}, time.Time{}, c.err
	}
	var expires time.Time
	if c.life > 0 {
		expires = time.Now().Add(c.life)
	}
	return secret(fmt.Sprintf("%s-%d", s.Reveal(), n)), expires, nil
}

func TestCacheLife(t *testing.T) {
	for _, tt := range []struct {
		name        string
		life, fresh time.Duration
	}{
		{"an hour", time.Hour, 55 * time.Minute},
		{"six minutes", 6 * time.Minute, 3 * time.Minute},
		{"unknown", 0, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &counter{life: tt.life}
				c := NewCache(src, nil)
				get := func(s, want string) {
					t.Helper()
					if got, _, err := c.Token(t.Context(), secret(s)); err != nil || got.Reveal() != want {
						t.Fatalf("got %q, %v, want %q", got.Reveal(), err, want)
					}
				}
				get("a", "a-1")
				time.Sleep(tt.fresh - time.Second)
				get("a", "a-1")
				time.Sleep(time.Second)
				get("a", "a-2")
				get("b", "b-3") // another secret
				c.Drop()
				get("b", "b-3") // one that is fresh is not worth another exchange
				time.Sleep(dropAge)
				c.Drop()
				get("b", "b-4")
				src.err = errors.New("broken")
				time.Sleep(dropAge)
				c.Drop()
				if _, _, err := c.Token(t.Context(), secret("b")); !errors.Is(err, src.err) {
					t.Fatalf("got %v", err)
				}
				src.err = nil
				get("b", "b-6") // an error is not kept
			})
		})
	}
}

func TestCacheSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{life: time.Hour, wait: time.Second}
		c := NewCache(src, nil)
		impatient, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 20 {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient
			}
			wg.Go(func() {
				got, _, err := c.Token(ctx, secret("a"))
				if ctx == impatient {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("the one that gave up: got %v", err)
					}
				} else if err != nil || got.Reveal() != "a-1" {
					t.Errorf("got %q, %v", got.Reveal(), err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if n := src.calls.Load(); n != 1 {
			t.Errorf("got %d exchanges, want 1", n)
		}
		src.wait = time.Hour
		time.Sleep(dropAge)
		c.Drop()
		if _, _, err := c.Token(t.Context(), secret("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an issuer that does not answer: got %v", err)
		}
	})
}
