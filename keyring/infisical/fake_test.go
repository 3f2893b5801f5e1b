package infisical

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

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
	secrets map[string]string   // path + key
	imports map[string][]string // path -> paths, the last one wins
	denied  map[string]bool     // path + key: its value is hidden; path + ":": it may not be listed
	tokens  map[string]bool     // those still valid
	logins  int
	gets    int           // of single keys
	lists   int           // of folders, answered in full
	same    int           // of folders, answered with 304
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
		t: t, secrets: map[string]string{}, imports: map[string][]string{}, denied: map[string]bool{}, tokens: map[string]bool{}, expires: 7200}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/universal-auth/login", s.login)
	mux.HandleFunc("POST /api/v1/auth/{method}/login", s.vouched)
	mux.HandleFunc("GET /api/v3/secrets/raw/{key}", s.get)
	mux.HandleFunc("GET /api/v3/secrets/raw", s.list)
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
	if len(in) != 2 {
		s.t.Errorf("login with more than was asked for: %d fields", len(in))
	}
	s.welcome(w)
}

// vouched signs in a machine identity with a token of another issuer.
func (s *server) vouched(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	var in map[string]string
	err := json.NewDecoder(r.Body).Decode(&in)
	method, fields := r.PathValue("method"), 2
	ok := err == nil && in["identityId"] == clientID && in["jwt"] == method+"-"+keyringtest.Sentinel
	if method == "aws-auth" {
		ok, fields = err == nil && in["identityId"] == clientID && s.signed(in), 4
	}
	if method == "ldap-auth" {
		ok, fields = err == nil && in["identityId"] == clientID && in["username"] == "agents" && in["password"] == method+"-"+keyringtest.Sentinel, 3
	}
	if !ok || len(in) != fields {
		reply(w, http.StatusUnauthorized, "Access denied: "+in["jwt"]+in["password"])
		return
	}
	s.welcome(w)
}

// signed says whether AWS would answer a call as Infisical would make it, from the account of
// the key in awsKey. The signature is computed anew.
func (s *server) signed(in map[string]string) bool {
	body, err := base64.StdEncoding.DecodeString(in["iamRequestBody"])
	text, herr := base64.StdEncoding.DecodeString(in["iamRequestHeaders"])
	headers := map[string]string{}
	if err != nil || herr != nil || json.Unmarshal(text, &headers) != nil || in["iamHttpRequestMethod"] != "POST" ||
		string(body) != "Action=GetCallerIdentity&Version=2011-06-15" || headers["Host"] != "sts.eu-west-1.amazonaws.com" ||
		headers["X-Amz-Security-Token"] != awsKey.SessionToken {
		return false
	}
	at, err := time.Parse("20060102T150405Z", headers["X-Amz-Date"])
	if err != nil {
		return false
	}
	again, _ := http.NewRequest("POST", "https://sts.eu-west-1.amazonaws.com/", bytes.NewReader(body))
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(context.Background(), awsKey, again, hex.EncodeToString(sum[:]), "sts", "eu-west-1", at); err != nil {
		return false
	}
	return again.Header.Get("Authorization") == headers["Authorization"]
}

// awsKey is what AWS knows of the machine.
var awsKey = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "aws-" + keyringtest.Sentinel, SessionToken: "session-" + keyringtest.Sentinel}

// metadata is what a machine finds at the address of its cloud's metadata service.
func metadata(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Host == "metadata.google.internal" && r.Header.Get("Metadata-Flavor") == "Google" && q.Get("audience") == clientID &&
		r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/identity":
		fmt.Fprint(w, "gcp-auth-"+keyringtest.Sentinel)
	case r.Host == "169.254.169.254" && r.Header.Get("Metadata") == "true" && r.URL.Path == "/metadata/identity/oauth2/token" && q.Get("resource") == "api://agents":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "azure-auth-%s"}`, keyringtest.Sentinel)
	default:
		http.Error(w, "no such metadata", http.StatusNotFound)
	}
}

func (s *server) welcome(w http.ResponseWriter) {
	token := fmt.Sprintf("token-%d-%s", s.logins, keyringtest.Sentinel)
	s.tokens[token] = true
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"accessToken": token, "expiresIn": s.expires, "accessTokenMaxTTL": 43200, "tokenType": "Bearer",
	})
}

// asked checks what every question for secrets must have, and says whether to go on.
func (s *server) asked(w http.ResponseWriter, r *http.Request, more map[string]string) bool {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !s.tokens[token] {
		reply(w, http.StatusUnauthorized, "Token invalid "+token)
		return false
	}
	q := r.URL.Query()
	want := map[string]string{"workspaceId": project, "environment": "dev", "expandSecretReferences": "true", "include_imports": "true"}
	maps.Copy(want, more)
	for key, want := range want {
		if got := q.Get(key); got != want {
			s.t.Errorf("%s: %s is %q, want %q", r.URL.Path, key, got, want)
		}
	}
	return true
}

// value expands references, as the server does when it is asked to.
func (s *server) value(where string) (string, bool) {
	v, ok := s.secrets[where]
	for {
		before, rest, found := strings.Cut(v, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return v, ok
		}
		v = before + s.secrets[where[:strings.LastIndexByte(where, ':')+1]+name] + after
	}
}

// get is one key, of the folder or of those that it imports.
func (s *server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	if !s.asked(w, r, map[string]string{"type": "shared"}) {
		return
	}
	path, key := r.URL.Query().Get("secretPath"), r.PathValue("key")
	for _, at := range append([]string{path}, backwards(s.imports[path])...) {
		value, ok := s.value(at + ":" + key)
		switch {
		case s.denied[at+":"+key]:
			reply(w, http.StatusForbidden, "You are not allowed to read on secrets")
		case !ok:
			continue
		default:
			answer(w, map[string]any{"secret": secretJSON(at, key, value)})
		}
		return
	}
	reply(w, http.StatusNotFound, fmt.Sprintf("Secret with name '%s' not found", key))
}

// list is a folder and what it imports.
func (s *server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.Query().Get("secretPath")
	switch {
	case !s.asked(w, r, map[string]string{"recursive": "false"}):
		return
	case s.denied[path+":"]:
		reply(w, http.StatusForbidden, "You are not allowed to read on secrets")
		return
	case path == "/nowhere":
		reply(w, http.StatusNotFound, "Folder with path '/nowhere' in environment with slug 'dev' not found")
		return
	}
	imports := []any{}
	for _, at := range s.imports[path] {
		imports = append(imports, map[string]any{"secretPath": at, "environment": "dev", "folderId": "f", "secrets": s.folder(at)})
	}
	body := map[string]any{"secrets": s.folder(path), "imports": imports}
	text, _ := json.Marshal(body)
	sum := sha256.Sum256(text)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		s.same++
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.lists++
	answer(w, body)
}

func (s *server) folder(path string) []any {
	all := []any{}
	for _, where := range slices.Sorted(maps.Keys(s.secrets)) {
		if key, ok := strings.CutPrefix(where, path+":"); ok {
			value, _ := s.value(where)
			if s.denied[where] {
				value = hidden
			}
			all = append(all, secretJSON(path, key, value))
		}
	}
	return all
}

func backwards(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func secretJSON(path, key, value string) map[string]any {
	return map[string]any{"id": "1", "workspace": project, "environment": "dev", "version": 3, "type": "shared",
		"secretKey": key, "secretValue": value, "secretPath": path}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body)
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
