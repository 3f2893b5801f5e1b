package vault

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

const (
	given     = "hvs.given-" + keyringtest.Sentinel
	roleID    = "4c5d-role"
	secretID  = "secretid-" + keyringtest.Sentinel
	wrapping  = "hvs.wrapping-" + keyringtest.Sentinel
	namespace = "team/a"
)

// server speaks as much of Vault's protocol as agentvault meets, and reports every request
// that is not as the documented API wants it.
type server struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex
	calls     []string                  // METHOD PATH, in order
	engines   map[string]string         // mount -> kv1, kv2, issuing
	values    map[string]map[string]any // by path
	deleted   map[string]bool           // of kv2
	denied    map[string]bool           // paths that the policies do not allow
	tokens    map[string]*fakeToken
	leases    map[string]*fakeLease
	issued    int
	logins    int
	wrapped   map[string]string // wrapping token -> creation path
	silent    bool              // no sys/internal/ui/mounts, as behind some proxies
	stuck     bool              // leases cannot be revoked
	ttl, max  time.Duration     // of leases
	tokenTTL  time.Duration
	batch     bool // sign-ins give batch tokens
	latency   time.Duration
	fail      int
	hang      bool
	started   chan struct{}
	revokedBy map[string]string // lease -> "itself" or "token"
}

type fakeToken struct {
	until, end time.Time // end: whatever is renewed
}

type fakeLease struct {
	path, token string
	until, end  time.Time
	renewable   bool
}

// newServer listens on l, or on loopback when l is nil.
func newServer(t *testing.T, l net.Listener) *server {
	s := &server{t: t, engines: map[string]string{"secret/": "kv2", "old/": "kv1", "aws/": "issuing", "team/kv/": "kv2"},
		values: map[string]map[string]any{}, deleted: map[string]bool{}, denied: map[string]bool{},
		tokens: map[string]*fakeToken{given: {}}, leases: map[string]*fakeLease{}, wrapped: map[string]string{},
		revokedBy: map[string]string{}, ttl: time.Hour, max: 24 * time.Hour, tokenTTL: time.Hour}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if l != nil {
		_ = s.Listener.Close()
		s.Listener = l
	}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that leave, and those that do not trust us
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// caFile is what VAULT_CACERT names.
func (s *server) caFile(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// env is the environment of somebody who has signed in.
func (s *server) env(t *testing.T) map[string]string {
	return map[string]string{"VAULT_ADDR": s.URL, "VAULT_TOKEN": given, "VAULT_CACERT": s.caFile(t), "VAULT_NAMESPACE": namespace}
}

func (s *server) config(t *testing.T) Config { return Config{LookupEnv: lookup(s.env(t))} }

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func fixed(value string) func(context.Context) (keyring.Secret, error) {
	return func(context.Context) (keyring.Secret, error) { return keyring.NewSecret([]byte(value)), nil }
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body := map[string]any{}
	raw, _ := io.ReadAll(r.Body)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &body); err != nil {
			s.t.Errorf("%s %s: body is no JSON: %v", r.Method, r.URL, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latency > 0 {
		s.mu.Unlock()
		time.Sleep(s.latency)
		s.mu.Lock()
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	foreign := slices.ContainsFunc(slices.Collect(maps.Keys(r.Header)), func(name string) bool {
		return !slices.Contains([]string{"Accept-Encoding", "Content-Length", "User-Agent", "X-Vault-Request", "X-Vault-Token", "X-Vault-Namespace"}, name)
	})
	if !ok || foreign || r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != namespace || r.URL.RawQuery != "" {
		s.t.Errorf("%s %s with headers %v", r.Method, r.URL, slices.Collect(maps.Keys(r.Header)))
	}
	s.calls = append(s.calls, r.Method+" "+path)
	token := r.Header.Get("X-Vault-Token")
	switch {
	case s.hang:
		if s.started != nil {
			close(s.started)
			s.started = nil
		}
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
	case s.fail != 0: // as a careless server that repeats what it was sent
		refuse(w, s.fail, "trouble with "+string(raw)+" "+token)
	case r.Method == "GET":
		s.get(w, path, token)
	case r.Method == "PUT":
		s.put(w, path, token, body)
	default:
		s.t.Errorf("%s %s", r.Method, r.URL)
	}
}

func refuse(w http.ResponseWriter, status int, errors ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, errors...)})
}

func reply(w http.ResponseWriter, more map[string]any) {
	answer := map[string]any{"request_id": "1", "lease_id": "", "lease_duration": 0, "renewable": false,
		"data": nil, "warnings": nil, "wrap_info": nil, "auth": nil}
	maps.Copy(answer, more)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// valid reports whether token is one that has not ended, and says no otherwise.
func (s *server) valid(w http.ResponseWriter, token string) bool {
	known := s.tokens[token]
	if known == nil || !known.until.IsZero() && time.Now().After(known.until) {
		refuse(w, http.StatusForbidden, "permission denied", "invalid token "+token)
		return false
	}
	return true
}

func (s *server) get(w http.ResponseWriter, path, token string) {
	if !s.valid(w, token) {
		return
	}
	at, engine := "", ""
	asked := strings.TrimPrefix(path, "sys/internal/ui/mounts/")
	for m, e := range s.engines {
		if strings.HasPrefix(asked, m) {
			at, engine = m, e
		}
	}
	switch {
	case path == "auth/token/lookup-self":
		ttl := 0
		if t := s.tokens[token]; !t.until.IsZero() {
			ttl = int(time.Until(t.until).Seconds())
		}
		reply(w, map[string]any{"data": map[string]any{"ttl": ttl, "renewable": ttl > 0, "type": "service"}})
	case asked != path && s.silent:
		refuse(w, http.StatusForbidden, "permission denied")
	case asked != path && at == "":
		refuse(w, http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path \""+asked+"/\"")
	case asked != path:
		kind, options := "aws", map[string]any(nil)
		if version, ok := strings.CutPrefix(engine, "kv"); ok {
			kind, options = "kv", map[string]any{"version": version}
		}
		reply(w, map[string]any{"data": map[string]any{"path": at, "type": kind, "options": options}})
	case s.denied[path]:
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case engine == "kv1":
		s.plain(w, path, 2764800)
	case engine == "kv2":
		s.versioned(w, at, path)
	case engine == "issuing":
		s.issue(w, path, token)
	default:
		refuse(w, http.StatusNotFound, "no handler for route \""+path+"\"")
	}
}

func (s *server) plain(w http.ResponseWriter, path string, seconds int) {
	v, ok := s.values[path]
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	reply(w, map[string]any{"data": v, "lease_duration": seconds})
}

func (s *server) versioned(w http.ResponseWriter, at, path string) {
	rest, ok := strings.CutPrefix(path, at+"data/")
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		reply(w, map[string]any{"warnings": []string{"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation."}})
		return
	}
	meta := map[string]any{"created_time": "2026-03-04T05:06:07.123456789Z", "deletion_time": "", "destroyed": false, "version": 7, "custom_metadata": nil}
	if s.deleted[at+rest] {
		meta["deletion_time"] = "2026-04-05T06:07:08.123456789Z"
		w.WriteHeader(http.StatusNotFound)
		reply(w, map[string]any{"data": map[string]any{"data": nil, "metadata": meta}})
		return
	}
	v, ok := s.values[at+rest]
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	reply(w, map[string]any{"data": map[string]any{"data": v, "metadata": meta}})
}

// issue makes a pair that belongs together, and a lease.
func (s *server) issue(w http.ResponseWriter, path, token string) {
	if !strings.HasPrefix(path, "aws/creds/") {
		s.plain(w, path, 0)
		return
	}
	s.issued++
	id := fmt.Sprintf("%s/lease%d", path, s.issued)
	l := &fakeLease{path: path, token: token, until: time.Now().Add(s.ttl), end: time.Now().Add(s.max), renewable: s.max > s.ttl}
	s.leases[id] = l
	reply(w, map[string]any{"lease_id": id, "lease_duration": int(s.ttl.Seconds()), "renewable": l.renewable, "data": map[string]any{
		"access_key": fmt.Sprintf("AKIA%d", s.issued), "secret_key": fmt.Sprintf("key-%d-%s", s.issued, keyringtest.Sentinel), "security_token": nil,
	}})
}

func (s *server) put(w http.ResponseWriter, path, token string, body map[string]any) {
	if login := strings.HasPrefix(path, "auth/") && strings.HasSuffix(path, "/login"); login || path == "sys/wrapping/lookup" {
		if token != "" {
			s.t.Errorf("%s with a token", path)
		}
		if login {
			s.login(w, path, body)
			return
		}
		s.unwrap(w, path, fmt.Sprint(body["token"]))
		return
	}
	if path == "sys/wrapping/unwrap" {
		s.unwrap(w, path, token)
		return
	}
	if !s.valid(w, token) {
		return
	}
	switch path {
	case "auth/token/renew-self":
		t := s.tokens[token]
		t.until = earliest(time.Now().Add(s.tokenTTL), t.end)
		reply(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": secondsUntil(t.until), "renewable": true}})
	case "auth/token/revoke-self":
		if s.batch {
			refuse(w, http.StatusBadRequest, "batch tokens cannot be revoked")
			return
		}
		delete(s.tokens, token)
		for id, l := range s.leases {
			if l.token == token {
				delete(s.leases, id)
				s.revokedBy[id] = "token"
			}
		}
		w.WriteHeader(http.StatusNoContent)
	case "sys/leases/renew", "sys/leases/lookup", "sys/leases/revoke":
		s.lease(w, path, body)
	default:
		s.t.Errorf("PUT %s", path)
		refuse(w, http.StatusNotFound)
	}
}

func (s *server) login(w http.ResponseWriter, path string, body map[string]any) {
	s.logins++
	ok := path == "auth/approle/login" && body["role_id"] == roleID && body["secret_id"] == secretID ||
		path == "auth/ci/login" && body["role"] == "agents" && body["jwt"] == "jwt-"+keyringtest.Sentinel
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("invalid role or secret ID %v", body))
		return
	}
	token := fmt.Sprintf("hvs.login%d-%s", s.logins, keyringtest.Sentinel)
	s.tokens[token] = &fakeToken{until: time.Now().Add(s.tokenTTL), end: time.Now().Add(s.max)}
	reply(w, map[string]any{"auth": map[string]any{"client_token": token, "accessor": "a", "policies": []string{"default"},
		"lease_duration": int(s.tokenTTL.Seconds()), "renewable": s.max > s.tokenTTL, "token_type": "service"}})
}

// unwrap serves a wrapping token once; looking at it does not use it up.
func (s *server) unwrap(w http.ResponseWriter, path, token string) {
	from, ok := s.wrapped[token]
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "wrapping token is not valid or does not exist")
	case path == "sys/wrapping/lookup":
		reply(w, map[string]any{"data": map[string]any{"creation_path": from, "creation_ttl": 300}})
	default:
		delete(s.wrapped, token)
		reply(w, map[string]any{"data": map[string]any{"secret_id": secretID, "secret_id_accessor": "a"}})
	}
}

func (s *server) lease(w http.ResponseWriter, path string, body map[string]any) {
	id, _ := body["lease_id"].(string)
	l := s.leases[id]
	if l == nil || time.Now().After(l.until) {
		refuse(w, http.StatusBadRequest, "lease not found")
		return
	}
	switch path {
	case "sys/leases/lookup":
		reply(w, map[string]any{"data": map[string]any{"id": id, "ttl": secondsUntil(l.until)}})
	case "sys/leases/revoke":
		if body["sync"] != true {
			s.t.Error("a lease is revoked without waiting for the outcome")
		}
		if s.stuck {
			refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
			return
		}
		delete(s.leases, id)
		s.revokedBy[id] = "itself"
		w.WriteHeader(http.StatusNoContent)
	default:
		if !l.renewable {
			refuse(w, http.StatusBadRequest, "lease is not renewable")
			return
		}
		increment, _ := body["increment"].(float64)
		if increment <= 0 {
			s.t.Errorf("a renewal by %v", body["increment"])
		}
		l.until = earliest(time.Now().Add(time.Duration(increment)*time.Second), l.end)
		reply(w, map[string]any{"lease_id": id, "lease_duration": secondsUntil(l.until), "renewable": true})
	}
}

func secondsUntil(until time.Time) int { return int(time.Until(until).Seconds()) }

func earliest(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// count returns how often a call was made since the last count, which forgets all of them.
func (s *server) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if strings.HasPrefix(c, call) {
			n++
		}
	}
	s.calls = nil
	return n
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
