package infisical

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

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

	leases  map[string]*fakeLease
	issued  int
	renewed int
	ttl     time.Duration // of leases
	max     time.Duration
	stuck   bool // leases cannot be deleted
}

type fakeLease struct{ until, end time.Time }

func newServer(t *testing.T) *server { return newServerAt(t, nil) }

// newServerAt listens on l, or on loopback when l is nil.
func newServerAt(t *testing.T, l net.Listener) *server {
	s := &server{leases: map[string]*fakeLease{}, ttl: time.Hour, max: 24 * time.Hour,
		t: t, secrets: map[string]string{}, denied: map[string]bool{}, tokens: map[string]bool{}, expires: 7200}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/universal-auth/login", s.login)
	mux.HandleFunc("POST /api/v1/auth/{method}/login", s.vouched)
	mux.HandleFunc("GET /api/v3/secrets/raw/{key}", s.get)
	mux.HandleFunc("POST /api/v1/dynamic-secrets/leases", s.lease)
	mux.HandleFunc("POST /api/v1/dynamic-secrets/leases/{id}/renew", s.lease)
	mux.HandleFunc("DELETE /api/v1/dynamic-secrets/leases/{id}", s.lease)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the server was asked for %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	})
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.trouble(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that leave, and those that do not trust us
	if l != nil {
		_ = s.Listener.Close()
		s.Listener = l
	}
	s.StartTLS()
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
	s.welcome(w)
}

// vouched signs in a machine identity with a token of another issuer.
func (s *server) vouched(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	var in map[string]string
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["identityId"] != clientID ||
		in["jwt"] != r.PathValue("method")+"-"+keyringtest.Sentinel {
		reply(w, http.StatusUnauthorized, "Access denied: "+in["jwt"])
		return
	}
	s.welcome(w)
}

func (s *server) welcome(w http.ResponseWriter) {
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

// lease makes, renews and deletes leases of the dynamic secret "db" in /agents.
func (s *server) lease(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["projectSlug"] != "proj-x" || in["environmentSlug"] != "dev" || in["path"] != "/agents" {
		s.t.Errorf("%s %s: %v, %v", r.Method, r.URL, in, err)
	}
	id := r.PathValue("id")
	l := s.leases[id]
	answer := map[string]any{}
	switch {
	case !s.tokens[token]:
		reply(w, http.StatusUnauthorized, "Token invalid "+token)
		return
	case id == "" && in["dynamicSecretName"] != "db":
		reply(w, http.StatusNotFound, "Dynamic secret not found")
		return
	case id != "" && (l == nil || time.Now().After(l.until)):
		reply(w, http.StatusNotFound, "Dynamic secret lease with ID '"+id+"' not found")
		return
	case id == "":
		s.issued++
		id = fmt.Sprintf("lease-%d", s.issued)
		l = &fakeLease{time.Now().Add(s.ttl), time.Now().Add(s.max)}
		s.leases[id] = l
		answer["data"] = map[string]any{"DB_USERNAME": fmt.Sprintf("user%d", s.issued),
			"DB_PASSWORD": fmt.Sprintf("pass%d-%s", s.issued, keyringtest.Sentinel), "DB_PORT": 5432}
		answer["dynamicSecret"] = map[string]any{"id": "d", "name": "db"}
	case r.Method == http.MethodDelete && s.stuck:
		reply(w, http.StatusForbidden, "You are not allowed to lease on dynamic-secrets")
		return
	case r.Method == http.MethodDelete:
		delete(s.leases, id)
	case l.until.Equal(l.end):
		reply(w, http.StatusBadRequest, "TTL cannot be larger than max ttl")
		return
	default:
		s.renewed++
		if l.until = time.Now().Add(s.ttl); l.until.After(l.end) {
			l.until = l.end
		}
	}
	answer["lease"] = map[string]any{"id": id, "version": 1, "externalEntityId": "e", "expireAt": l.until.UTC().Format(time.RFC3339Nano)}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(answer)
}

// look reads or changes the server's state.
func (s *server) look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
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
