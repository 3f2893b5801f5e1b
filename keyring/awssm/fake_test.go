package awssm

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring/keyringtest"
)

const (
	region    = "eu-west-1"
	keyID     = "AKIDEXAMPLE"
	secretKey = "key-" + keyringtest.Sentinel
	session   = "session-" + keyringtest.Sentinel
)

// server speaks as much of Secrets Manager's protocol as agentvault meets. It verifies every
// signature by itself, from AWS's description, and reports every request that is not as the
// documented API wants it.
type server struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	secrets map[string]map[string]secret // by name and stage
	denied  map[string]bool
	keys    map[string]string // access key id -> secret key
	session string            // the token that goes with them; "" for none
	regions []string          // of the requests, in order
	calls   int
	targets []string // of the requests, in order, without the service
	noBatch bool     // the role may not
	fail    int
	hang    bool
	started chan struct{}
}

type secret struct {
	text    string
	binary  []byte
	version string
}

func newServer(t *testing.T) *server {
	s := &server{t: t, secrets: map[string]map[string]secret{}, denied: map[string]bool{}, keys: map[string]string{keyID: secretKey}, session: session}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that leave, and those that do not trust us
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	s.environ(t)
	return s
}

// environ gives the process the environment of somebody who has signed in here, and
// nothing of the real one.
func (s *server) environ(t *testing.T) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	for name, value := range map[string]string{
		"HOME": dir, "AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_SECRETS_MANAGER": s.URL, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": session,
	} {
		t.Setenv(name, value)
	}
}

func (s *server) config() Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return Config{RootCAs: pool}
}

func (s *server) put(name, stage string, v secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets[name] == nil {
		s.secrets[name] = map[string]secret{}
	}
	s.secrets[name][stage] = v
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	s.targets = append(s.targets, target)
	if r.Method != "POST" || r.URL.String() != "/" || !ok || target != "GetSecretValue" && target != "BatchGetSecretValue" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		s.t.Errorf("%s %s, target %q, type %q", r.Method, r.URL, r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"))
	}
	switch {
	case s.hang:
		close(s.started)
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return
	case s.fail != 0: // as a careless server that repeats what it was sent
		refuse(w, s.fail, "SomethingException", r.Header.Get("X-Amz-Security-Token")+" "+r.Header.Get("Authorization")+string(body))
		return
	}
	if code, why := s.verify(r, body, "secretsmanager", "x-amz-target"); code != "" {
		refuse(w, http.StatusBadRequest, code, why)
		return
	}
	if target == "BatchGetSecretValue" {
		s.batch(w, body)
		return
	}
	s.get(w, body)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

func (s *server) get(w http.ResponseWriter, body []byte) {
	var in struct {
		ID        string `json:"SecretId"`
		Stage     string `json:"VersionStage"`
		VersionID string `json:"VersionId"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.VersionID != "" {
		s.t.Errorf("body %s: %v", body, err)
	}
	out, code, why := s.find(in.ID, in.Stage)
	if code != "" {
		refuse(w, http.StatusBadRequest, code, why)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}

// batch answers with what is there, and lists what is not.
func (s *server) batch(w http.ResponseWriter, body []byte) {
	var in struct {
		IDs []string `json:"SecretIdList"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.IDs) == 0 || len(in.IDs) > 20 {
		s.t.Errorf("body %s: %v", body, err)
	}
	if s.noBatch {
		refuse(w, http.StatusBadRequest, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:BatchGetSecretValue")
		return
	}
	values, errs := []any{}, []any{}
	for _, id := range in.IDs {
		out, code, why := s.find(id, "")
		if code != "" {
			errs = append(errs, map[string]string{"SecretId": id, "ErrorCode": code, "Message": why})
			continue
		}
		values = append(values, out)
	}
	slices.Reverse(values) // in no order
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{"SecretValues": values, "Errors": errs})
}

func (s *server) find(id, stage string) (out map[string]any, code, why string) {
	name := id
	if _, after, ok := strings.Cut(id, ":secret:"); ok {
		name = after
		if i := len(after) - len("-AbCdEf"); i > 0 && after[i:] == "-AbCdEf" {
			name = after[:i]
		}
	}
	if stage == "" {
		stage = "AWSCURRENT"
	}
	v, ok := s.secrets[name][stage]
	switch {
	case s.denied[name]:
		return nil, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:GetSecretValue on resource: " + id
	case !ok && s.secrets[name] != nil:
		return nil, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: " + stage
	case !ok:
		return nil, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
	}
	out = map[string]any{"ARN": "arn:aws:secretsmanager:" + s.regions[len(s.regions)-1] + ":123456789012:secret:" + name + "-AbCdEf", "Name": name,
		"VersionId": v.version, "VersionStages": []string{stage}, "CreatedDate": 1772600767.125}
	if v.binary != nil {
		out["SecretBinary"] = base64.StdEncoding.EncodeToString(v.binary)
	} else {
		out["SecretString"] = v.text
	}
	return out, "", ""
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([a-z]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

// verify is Signature Version 4 as AWS describes it, for a service, with more headers that
// must be signed. It returns AWS's code for what is wrong.
func (s *server) verify(r *http.Request, body []byte, service string, more ...string) (code, why string) {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || m[4] != service {
		return "IncompleteSignatureException", "Authorization is not as it should be"
	}
	id, day, at, names, signature := m[1], m[2], m[3], strings.Split(m[5], ";"), m[6]
	s.regions = append(s.regions, at)
	key, ok := s.keys[id]
	if !ok || r.Header.Get("X-Amz-Security-Token") != s.session {
		return "UnrecognizedClientException", "The security token included in the request is invalid. " + r.Header.Get("X-Amz-Security-Token")
	}
	date := r.Header.Get("X-Amz-Date")
	when, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(when).Abs() > 5*time.Minute || !strings.HasPrefix(date, day) {
		return "InvalidSignatureException", "Signature expired"
	}
	for _, must := range append(more, "host", "x-amz-date") {
		if !slices.Contains(names, must) {
			return "InvalidSignatureException", must + " is not signed"
		}
	}
	if s.session != "" && !slices.Contains(names, "x-amz-security-token") {
		return "InvalidSignatureException", "x-amz-security-token is not signed"
	}
	var headers strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	canonical := strings.Join([]string{r.Method, "/", "", headers.String(), m[5], hash(body)}, "\n")
	scope := strings.Join([]string{day, at, service, "aws4_request"}, "/")
	k := []byte("AWS4" + key)
	for _, part := range strings.Split(scope, "/") {
		k = mac(k, part)
	}
	want := hex.EncodeToString(mac(k, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hash([]byte(canonical))}, "\n")))
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return "InvalidSignatureException", "The request signature we calculated does not match the signature you provided."
	}
	return "", ""
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
