package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

const tokenSentinel = "s3cret-token-9876543210"

// fakeTokens hands out one token and counts.
type fakeTokens struct {
	err          error
	asked, drops int
}

func (f *fakeTokens) Token(_ context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error) {
	f.asked++
	if f.err != nil || secret.Reveal() != sentinel {
		return keyring.Secret{}, time.Time{}, errors.Join(f.err, errors.New("not for "+secret.Reveal()))
	}
	return keyring.NewSecret([]byte(tokenSentinel)), time.Time{}, nil
}

func (f *fakeTokens) Drop() { f.drops++ }

// What goes out is the token, in the slot or where the placeholder stands; neither it nor
// the secret comes back.
func TestTokenIsSentInPlaceOfTheSecret(t *testing.T) {
	for _, send := range [][]string{nil, {"Authorization", "Bearer " + placeholder}} {
		tokens := new(fakeTokens)
		s := start(t, options{change: func(s *Service) { s.Tokens = tokens }, handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Right", map[bool]string{true: "yes"}[r.Header.Get("Authorization") == "Bearer "+tokenSentinel])
			_, _ = io.WriteString(w, r.Header.Get("Authorization"))
		}})
		resp, body := s.get("/", send...)
		if resp.Header.Get("X-Right") != "yes" || body != "Bearer "+placeholder {
			t.Errorf("%q: %q, the upstream was shown the token: %q", send, body, resp.Header.Get("X-Right"))
		}
	}
}

func TestTokenFailures(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { panic("reached the upstream") }
	t.Run("no token", func(t *testing.T) {
		s := start(t, options{handler: never, change: func(s *Service) { s.Tokens = &fakeTokens{err: errors.New("the issuer says no")} }})
		resp, body := s.get("/")
		if got := code(t, resp, body); got != CodeToken || strings.Contains(body, sentinel) {
			t.Errorf("got %s: %s", got, body)
		}
	})
	t.Run("the issuer is not in the binding", func(t *testing.T) {
		tokens := new(fakeTokens)
		s := start(t, options{handler: never, change: func(s *Service) {
			s.Tokens, s.TokenHost = tokens, rule.Host{Name: "login.evil.test"}
		}, config: func(c *Config) { c.Secrets.(*fakeSecrets).item.Hosts = []string{"127.0.0.1:*"} }})
		resp, body := s.get("/")
		if got := code(t, resp, body); got != CodeBinding || tokens.asked > 0 || !strings.Contains(body, "login.evil.test") {
			t.Errorf("got %s after %d exchanges: %s", got, tokens.asked, body)
		}
	})
	t.Run("refused token is dropped", func(t *testing.T) {
		tokens, hits := new(fakeTokens), 0
		s := start(t, options{change: func(s *Service) { s.Tokens = tokens }, handler: func(w http.ResponseWriter, r *http.Request) {
			hits++
			w.WriteHeader(401)
		}})
		if resp, _ := s.get("/"); resp.StatusCode != 401 || tokens.drops != 1 || hits != 1 {
			t.Errorf("%s, %d drops, %d hits", resp.Status, tokens.drops, hits)
		}
	})
}

// A client certificate is presented for its service, and no other call shares the
// connection.
func TestClientCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	for protocol := 1; protocol <= 2; protocol++ {
		s := start(t, options{
			change:  func(s *Service) { s.ClientCert, s.Inject = true, inject.None{} },
			service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/covered"}} },
			config:  func(c *Config) { c.Secrets.(*fakeSecrets).item.Value = keyring.NewSecret(pair) },
			handler: func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, map[bool]string{true: "known", false: "stranger"}[len(r.TLS.PeerCertificates) > 0])
			},
			askCert: true,
		})
		c := s.client(protocol)
		for range 3 {
			if _, body := s.do(c, "GET", s.upstream.URL+"/covered", nil); body != "known" {
				t.Errorf("h%d: the covered call came as a %s", protocol, body)
			}
			if e := s.last(); e.Verdict != event.Injected || e.Where != "client certificate" {
				t.Errorf("event %+v", e)
			}
			if _, body := s.do(c, "GET", s.upstream.URL+"/other", nil); body != "stranger" {
				t.Errorf("h%d: the uncovered call came as %s", protocol, body)
			}
		}
	}
	s := start(t, options{
		change: func(s *Service) { s.ClientCert, s.Inject = true, inject.None{} },
		config: func(c *Config) {
			c.Secrets.(*fakeSecrets).item.Value = keyring.NewSecret(pair)
			c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		},
		handler: func(http.ResponseWriter, *http.Request) { t.Error("an expired certificate was presented") },
		askCert: true,
	})
	for range 2 {
		if resp, body := s.get("/"); code(t, resp, body) != CodeInject || !strings.Contains(body, "has expired on") {
			t.Errorf("expired: %s %s", resp.Status, body)
		}
	}
}
