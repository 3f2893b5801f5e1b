package infisical

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

const (
	clientID     = "4c5d-client"
	clientSecret = "client-" + keyringtest.Sentinel
	project      = "b7c1-project"
)

// server speaks as much of Infisical's protocol as a machine identity meets, and reports
// every request that is not as the documented API wants it.
type server struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	secrets map[string]string // path + key
	denied  map[string]bool
	tokens  map[string]bool // those still valid
	logins  int
	gets    int
	fail    int           // a status for everything
	expires int           // expiresIn of the next token
	started chan struct{} // with hang: told when a request has come
	hang    bool
}

func newServer(t *testing.T) *server {
	s := &server{t: t, secrets: map[string]string{}, denied: map[string]bool{}, tokens: map[string]bool{}, expires: 7200}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/universal-auth/login", s.login)
	mux.HandleFunc("GET /api/v3/secrets/raw/{key}", s.get)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the server was asked for %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	})
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.trouble(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// trouble answers instead of the API where a test wants it. Its messages repeat what a
// careless server might repeat: the credentials of the request.
func (s *server) trouble(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hang {
		close(s.started)
		s.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that leaves only then
		<-r.Context().Done()
		s.mu.Lock()
		return true
	}
	if s.fail == 0 {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	reply(w, s.fail, "trouble with "+string(body)+" "+r.Header.Get("Authorization"))
	return true
}

// reply is an error as Infisical sends it.
func reply(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"reqId": "req-1", "statusCode": status, "message": message, "error": http.StatusText(status),
	})
}

func (s *server) login(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	var in map[string]string
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("login: %v, content type %q", err, r.Header.Get("Content-Type"))
	}
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("login with Authorization %q", r.Header.Get("Authorization"))
	}
	if in["clientId"] != clientID || in["clientSecret"] != clientSecret {
		reply(w, http.StatusUnauthorized, "Invalid credentials "+in["clientSecret"])
		return
	}
	token := fmt.Sprintf("token-%d-%s", s.logins, keyringtest.Sentinel)
	s.tokens[token] = true
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"accessToken": token, "expiresIn": s.expires, "accessTokenMaxTTL": 43200, "tokenType": "Bearer",
	})
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !s.tokens[token] {
		reply(w, http.StatusUnauthorized, "Token invalid "+token)
		return
	}
	q := r.URL.Query()
	for key, want := range map[string]string{
		"workspaceId": project, "environment": "dev", "type": "shared",
		"expandSecretReferences": "true", "include_imports": "true",
	} {
		if got := q.Get(key); got != want {
			s.t.Errorf("%s: %s is %q, want %q", r.URL.Path, key, got, want)
		}
	}
	where := q.Get("secretPath") + ":" + r.PathValue("key")
	value, ok := s.secrets[where]
	switch {
	case s.denied[where]:
		reply(w, http.StatusForbidden, "You are not allowed to read on secrets")
	case !ok:
		reply(w, http.StatusNotFound, fmt.Sprintf("Secret with name '%s' not found", r.PathValue("key")))
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(map[string]any{"secret": map[string]any{
			"id": "1", "workspace": project, "environment": "dev", "version": 3, "type": "shared",
			"secretKey": r.PathValue("key"), "secretValue": value, "secretPath": q.Get("secretPath"),
		}})
	}
}

func (s *server) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// config is what reaches this server with universal auth.
func (s *server) config() Config {
	return Config{
		SiteURL: s.URL, ClientID: clientID, ClientSecret: fixed(clientSecret), RootCAs: s.roots(),
		Project: project, Env: "dev",
	}
}

func fixed(value string) func(context.Context) (keyring.Secret, error) {
	return func(context.Context) (keyring.Secret, error) { return keyring.NewSecret([]byte(value)), nil }
}
