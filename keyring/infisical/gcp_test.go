package infisical

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

const (
	gcpEmail = "agents@acme-prod.iam.gserviceaccount.com"
	gcpToken = "ya29-" + keyringtest.Sentinel
)

// googleCloud is Google's token endpoint and its IAM Service Account Credentials API, for one
// service account. It verifies what the key has signed.
type googleCloud struct {
	*httptest.Server
	t   *testing.T
	key *rsa.PrivateKey

	certificate *x509.Certificate

	status int // of every answer, if not 0
	iam    int // of the API's, likewise
	asked  []string
}

func newGoogleCloud(t *testing.T) *googleCloud {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &googleCloud{t: t, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("POST oauth2.googleapis.com/token", g.token)
	mux.HandleFunc("POST iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}", g.sign)
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked = append(g.asked, r.Host+r.URL.Path)
		if g.status != 0 {
			w.WriteHeader(g.status)
			_, _ = io.WriteString(w, "careless: "+r.Header.Get("Authorization"))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	named := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"*.googleapis.com"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, named, named, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if g.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	g.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	g.StartTLS()
	t.Cleanup(g.Close)
	return g
}

// file is the key as Google hands it out.
func (g *googleCloud) file() string {
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "acme-prod", "private_key_id": "kid-1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "client_email": gcpEmail,
		"token_uri": "https://oauth2.googleapis.com/token", "note": keyringtest.Sentinel})
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// token is the JWT bearer grant (RFC 7523).
func (g *googleCloud) token(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.FormValue("assertion"), ".")
	var claims struct {
		Iss, Scope, Aud string
		Exp             int64
	}
	if len(parts) != 3 || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		g.t.Fatalf("the token endpoint was asked for %q", r.Form)
	}
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	w.Header().Set("Content-Type", "application/json")
	if err := json.Unmarshal(body, &claims); err != nil || rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature) != nil ||
		claims.Iss != gcpEmail || claims.Aud != "https://oauth2.googleapis.com/token" || claims.Scope != cloudPlatform || time.Until(time.Unix(claims.Exp, 0)) <= 0 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature. `+keyringtest.Sentinel+`"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token": "`+gcpToken+`", "expires_in": 3599, "token_type": "Bearer"}`)
}

// sign is signJwt.
func (g *googleCloud) sign(w http.ResponseWriter, r *http.Request) {
	var in struct{ Payload string }
	var payload map[string]string
	if err := errors.Join(json.NewDecoder(r.Body).Decode(&in), json.Unmarshal([]byte(in.Payload), &payload)); err != nil ||
		r.PathValue("account") != gcpEmail+":signJwt" || r.Header.Get("Authorization") != "Bearer "+gcpToken || payload["sub"] != gcpEmail || payload["aud"] != clientID || len(payload) != 2 {
		g.t.Errorf("signJwt of %s with %v: %v", r.PathValue("account"), payload, err)
	}
	w.Header().Set("Content-Type", "application/json")
	if g.iam != 0 {
		w.WriteHeader(g.iam)
		_, _ = io.WriteString(w, `{"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.signJwt' denied, token `+gcpToken+`", "status": "PERMISSION_DENIED"}}`)
		return
	}
	_, _ = io.WriteString(w, `{"keyId": "k", "signedJwt": "gcp-auth-`+keyringtest.Sentinel+`"}`)
}

// reach makes c find g under Google's names.
func (g *googleCloud) reach(c *Config) {
	c.RootCAs.AddCert(g.certificate)
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ".googleapis.com:443") {
			address = g.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// The key of a service account signs in by way of Google, which alone sees what it signs.
func TestGCPKey(t *testing.T) {
	g := newGoogleCloud(t)
	other := newGoogleCloud(t)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error // nil: it works
		text   string
		hint   string
	}{
		{"works", func(*Config) {}, nil, "", ""},
		{"no key", func(c *Config) { c.Identity.Key = nil }, keyring.ErrNotFound, "service account key", ""},
		{"no key file", func(c *Config) { c.Identity.Key = fixed("{" + keyringtest.Sentinel) }, keyring.ErrDenied, "not the key file of a service account", "the whole JSON file"},
		{"a user's login", func(c *Config) {
			c.Identity.Key = fixed(`{"type": "authorized_user", "refresh_token": "` + keyringtest.Sentinel + `"}`)
		}, keyring.ErrDenied, "not the key file of a service account", ""},
		{"a key that leads elsewhere in the clear", func(c *Config) {
			c.Identity.Key = fixed(strings.Replace(g.file(), "https://oauth2.googleapis.com/token", "http://oauth2.googleapis.com/token", 1))
		}, keyring.ErrDenied, "token_uri", ""},
		{"a key that is no key", func(c *Config) {
			c.Identity.Key = fixed(strings.Replace(g.file(), "BEGIN PRIVATE", "BEGIN "+keyringtest.Sentinel, 1))
		}, keyring.ErrDenied, "its private key cannot be read", ""},
		{"a key that was deleted", func(c *Config) { c.Identity.Key = fixed(other.file()) }, keyring.ErrDenied, "Google: status 400 (invalid_grant)", "not deleted"},
		{"Google in trouble", func(*Config) { g.status = 503 }, keyring.ErrUnavailable, "status 503", ""},
		{"may not sign", func(*Config) { g.iam = 403 }, keyring.ErrDenied, "Permission 'iam.serviceAccounts.signJwt' denied", "Service Account Token Creator"},
		{"IAM in trouble", func(*Config) { g.iam = 429 }, keyring.ErrUnavailable, "status 429", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			config := identity(s, GCPKey)
			config.Identity.Token, config.Identity.Key = nil, fixed(g.file())
			g.reach(&config)
			g.status, g.iam, g.asked = 0, 0, nil
			c.change(&config)
			b := New(config)
			defer b.Close()
			item, err := b.Get(t.Context(), mustRef(t, "infisical:KEY"))
			if c.want == nil {
				if err != nil || item.Value.Reveal() != "v" || s.logins != 1 || len(g.asked) != 2 {
					t.Errorf("%v, %d sign-ins, Google was asked %q", err, s.logins, g.asked)
				}
				return
			}
			var h interface{ Hint() string }
			switch {
			case !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), keyringtest.Sentinel):
				t.Errorf("error %v, want %v with %q", err, c.want, c.text)
			case c.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint)):
				t.Errorf("error %v without a hint at %q", err, c.hint)
			}
			if s.logins != 0 {
				t.Errorf("Infisical was asked %d times", s.logins)
			}
		})
	}
}

// A user of a directory, with a password.
func TestLDAP(t *testing.T) {
	for _, c := range []struct {
		name, password string
		want           error
	}{{"right", "ldap-auth-" + keyringtest.Sentinel, nil}, {"wrong", "wrong-" + keyringtest.Sentinel, keyring.ErrDenied}, {"empty", "", keyring.ErrEmpty}} {
		t.Run(c.name, func(t *testing.T) {
			config := identity(newServer(t), LDAP)
			config.Identity.User, config.Identity.Key = "agents", fixed(c.password)
			b := New(config)
			defer b.Close()
			_, err := b.Get(t.Context(), mustRef(t, "infisical:KEY"))
			if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), keyringtest.Sentinel) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}
