package vault

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// realEnv names the program that .ci/vault-server builds.
const realEnv = "AGENTVAULT_TEST_VAULT"

// outlives is longer than the 12 seconds that short leases and tokens are given for, and far
// from the 28 that they may be prolonged to.
const outlives = 14 * time.Second

// realServer is a Vault of a test's own.
type realServer struct {
	t                  *testing.T
	Address, CA, Token string
	caFile             string
	client             *http.Client
}

func startReal(t *testing.T) *realServer {
	t.Helper()
	program := os.Getenv(realEnv)
	if program == "" {
		t.Skip("needs a real Vault: make test-vault")
	}
	cmd := exec.Command(program)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	s := &realServer{t: t, caFile: filepath.Join(t.TempDir(), "ca.pem")}
	if err := json.NewDecoder(stdout).Decode(s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.caFile, []byte(s.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, s.config())
	if err := b.connect(); err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Transport: b.base}
	s.do("POST", "sys/mounts/old", `{"type": "kv", "options": {"version": "1"}}`)
	s.do("POST", "sys/mounts/secret", `{"type": "kv", "options": {"version": "2"}}`)
	s.do("POST", "sys/mounts/team/kv", `{"type": "kv", "options": {"version": "2"}}`)
	s.do("POST", "sys/mounts/aws", `{"type": "issuing", "config": {"default_lease_ttl": "1h", "max_lease_ttl": "24h"}}`)
	s.do("POST", "sys/mounts/short", `{"type": "issuing", "config": {"default_lease_ttl": "12s", "max_lease_ttl": "28s"}}`)
	s.do("POST", "sys/auth/approle", `{"type": "approle"}`)
	s.do("PUT", "sys/policies/acl/agents", `{"policy": "path \"*\" { capabilities = [\"read\", \"update\"] } path \"old/denied\" { capabilities = [\"deny\"] } path \"secret/data/denied\" { capabilities = [\"deny\"] } path \"team/kv/data/denied\" { capabilities = [\"deny\"] }"}`)
	s.do("POST", "auth/approle/role/agents", `{"token_policies": "agents", "token_ttl": "1h", "token_max_ttl": "24h"}`)
	s.do("POST", "auth/approle/role/short", `{"token_policies": "agents", "token_ttl": "12s", "token_max_ttl": "28s"}`)
	return s
}

// config reaches the server with its root token.
func (s *realServer) config() Config {
	return Config{Address: s.Address, CACert: s.caFile, Token: fixed(s.Token)}
}

// do makes a call as root and returns its data.
func (s *realServer) do(method, path, body string, header ...string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.Address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", s.Token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	if resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %s", method, path, resp.Status, text.Bytes())
	}
	var out map[string]any
	_ = json.Unmarshal(text.Bytes(), &out)
	return out
}

// appRole is a configuration that signs in as a role.
func (s *realServer) appRole(role string, wrapped bool) Config {
	s.t.Helper()
	id := s.do("GET", "auth/approle/role/"+role+"/role-id", "")["data"].(map[string]any)["role_id"].(string)
	path := "auth/approle/role/" + role + "/secret-id"
	var secret string
	if wrapped {
		secret = s.do("POST", path, "{}", "X-Vault-Wrap-TTL", "60s")["wrap_info"].(map[string]any)["token"].(string)
	} else {
		secret = s.do("POST", path, "{}")["data"].(map[string]any)["secret_id"].(string)
	}
	c := s.config()
	c.Token, c.AppRole = nil, &AppRole{RoleID: id, SecretID: fixed(secret), Wrapped: wrapped}
	return c
}

// live are the credentials that an engine has issued and that have not ended.
func (s *realServer) live(engine string) (keys []string) {
	data, _ := s.do("GET", engine+"/live", "")["data"].(map[string]any)
	list, _ := data["keys"].([]any)
	for _, k := range list {
		keys = append(keys, fmt.Sprint(k))
	}
	return keys
}

func TestRealConformance(t *testing.T) {
	if os.Getenv(realEnv) == "" {
		t.Skip("needs a real Vault: make test-vault")
	}
	for _, engine := range []string{"old/", "secret/", "team/kv/"} {
		t.Run(engine, func(t *testing.T) {
			keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture { return realWorld(t, engine) })
		})
	}
}

func realWorld(t *testing.T, engine string) keyringtest.Fixture {
	s := startReal(t)
	b := newBackend(t, s.appRole("agents", false))
	n := 0
	write := func(name string, data map[string]string) {
		var body any = data
		path := engine + name
		if engine != "old/" {
			body, path = map[string]any{"data": data}, engine+"data/"+name
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		s.do("POST", path, string(text))
	}
	fake := "a real server cannot be made to; the fake can"
	return keyringtest.Fixture{
		Backend: b,
		Put: func(t *testing.T, value []byte) keyring.Ref {
			n++
			write(fmt.Sprintf("agents/a b/%d", n), map[string]string{"token": string(value), "other": "x"})
			return mustRef(t, fmt.Sprintf("vault:%sagents/a b/%d#token", engine, n))
		},
		Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "vault:"+engine+"absent#token") },
		Denied: func(t *testing.T) keyring.Ref {
			write("denied", map[string]string{"token": keyringtest.Sentinel})
			return mustRef(t, "vault:"+engine+"denied#token")
		},
		NoField: func(t *testing.T) (keyring.Ref, string) {
			write("some", map[string]string{"user": keyringtest.Sentinel, "pass": keyringtest.Sentinel})
			return mustRef(t, "vault:"+engine+"some#token"), `no field "token" (one of: pass, user)`
		},
		Down: func(t *testing.T) keyring.Ref {
			s.do("PUT", "sys/seal", "")
			return mustRef(t, "vault:"+engine+"some#token")
		},
		Untrusted: func(t *testing.T) keyring.Ref {
			b.c.CACert = ""
			return mustRef(t, "vault:"+engine+"some#token")
		},
		Skip: map[string]string{"slow": fake, "429": fake, "500": fake, "binary": "values are text: the API is JSON"},
	}
}

// A lease belongs to the session: its fields belong together, it is renewed while it can be,
// replaced before its end, and gone afterwards.
func TestRealLease(t *testing.T) {
	t.Parallel()
	s := startReal(t)
	b := newBackend(t, s.appRole("agents", false))
	pairOf := func(engine string) string {
		t.Helper()
		id, err := b.Get(t.Context(), mustRef(t, "vault:"+engine+"/creds/agent#access_key"))
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, b, "vault:"+engine+"/creds/agent#secret_key", "secret of "+id.Value.Reveal())
		return id.Value.Reveal()
	}
	long, first := pairOf("aws"), pairOf("short")
	if again := pairOf("aws"); again != long {
		t.Errorf("%s, then %s", long, again)
	}
	// Nobody asks, and the short one outlives what it was given for. Then it comes to the end of
	// its longest life, and another takes its place.
	time.Sleep(outlives)
	if again := pairOf("short"); again != first {
		t.Errorf("%s was not renewed: %s", first, again)
	}
	last := first
	for started := time.Now(); last == first && time.Since(started) < time.Minute; time.Sleep(200 * time.Millisecond) {
		last = pairOf("short")
	}
	if last == first {
		t.Error("not replaced in a minute")
	}
	if left := b.Release(t.Context()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if live := append(s.live("aws"), s.live("short")...); slices.Contains(live, long) || slices.Contains(live, last) {
		t.Errorf("still valid: %q", live)
	}
}

// What cannot be revoked is told, with the command that a human types.
func TestRealLeaseLeft(t *testing.T) {
	s := startReal(t)
	b := newBackend(t, s.config()) // a token of others, which is not revoked
	if _, err := b.Get(t.Context(), mustRef(t, "vault:aws/creds/stuck#access_key")); err != nil {
		t.Fatal(err)
	}
	left := b.Release(t.Context())
	if len(left) != 1 || left[0].Ref != "vault:aws/creds/stuck" || left[0].Err == nil || !strings.Contains(left[0].Command, "vault lease revoke -address="+s.Address) {
		t.Errorf("left: %+v", left)
	}
}

// A token that we signed in for is renewed, replaced at the end of its longest life, and
// revoked with everything that was leased with it.
func TestRealToken(t *testing.T) {
	t.Parallel()
	s := startReal(t)
	s.do("POST", "old/a", `{"k": "v"}`)
	b := newBackend(t, s.appRole("short", false))
	used := map[string]bool{}
	use := func() {
		wantValue(t, b, "vault:old/a#k", "v")
		b.mu.Lock()
		defer b.mu.Unlock()
		used[b.current.value.Reveal()] = true
	}
	use()
	time.Sleep(outlives)
	if use(); len(used) != 1 {
		t.Error("the token was not renewed")
	}
	for started := time.Now(); len(used) < 2 && time.Since(started) < time.Minute; time.Sleep(200 * time.Millisecond) {
		use()
	}
	if len(used) < 2 {
		t.Error("the token was not replaced in a minute")
	}
	if left := b.Release(t.Context()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	c := s.config()
	for token := range used {
		c.Token = fixed(token)
		if _, err := newBackend(t, c).Get(t.Context(), mustRef(t, "vault:old/a#k")); !errors.Is(err, keyring.ErrDenied) {
			t.Errorf("a revoked token: %v", err)
		}
	}
}

// A wrapped secret id works once, and what was wrapped by others is not unwrapped.
func TestRealWrappedSecretID(t *testing.T) {
	s := startReal(t)
	s.do("POST", "old/a", `{"k": "v"}`)
	c := s.appRole("agents", true)
	b := newBackend(t, c)
	wantValue(t, b, "vault:old/a#k", "v")
	_, err := newBackend(t, c).Get(t.Context(), mustRef(t, "vault:old/a#k"))
	wantError(t, err, keyring.ErrDenied, "unwrap the secret id", "somebody else has")
	other := s.do("GET", "old/a", "", "X-Vault-Wrap-TTL", "60s")["wrap_info"].(map[string]any)["token"].(string)
	c.AppRole.SecretID = func(context.Context) (keyring.Secret, error) { return keyring.NewSecret([]byte(other)), nil }
	_, err = newBackend(t, c).Get(t.Context(), mustRef(t, "vault:old/a#k"))
	wantError(t, err, keyring.ErrDenied, `the token wraps what "old/a" issued`, "")
}

// A JWT of an issuer whose key the server knows signs in; another's does not.
func TestRealJWT(t *testing.T) {
	s := startReal(t)
	s.do("POST", "old/a", `{"k": "v"}`)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(map[string]any{"jwt_validation_pubkeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}})
	s.do("POST", "sys/auth/ci", `{"type": "jwt"}`)
	s.do("POST", "auth/ci/config", string(config))
	s.do("POST", "auth/ci/role/agents", `{"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["agents"], "token_policies": "agents", "token_ttl": "1h"}`)
	c := s.config()
	c.Token = nil
	sign := func(key *ecdsa.PrivateKey) string {
		part := func(v any) string { text, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(text) }
		text := part(map[string]any{"alg": "ES256", "typ": "JWT"}) + "." +
			part(map[string]any{"sub": "job", "aud": "agents", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()})
		hash := sha256.Sum256([]byte(text))
		r, sig, err := ecdsa.Sign(rand.Reader, key, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), sig.FillBytes(make([]byte, 32))...))
	}
	c.JWT = &JWT{Mount: "ci", Role: "agents", Token: fixed(sign(key))}
	wantValue(t, newBackend(t, c), "vault:old/a#k", "v")
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.JWT.Token = fixed(sign(other))
	_, err = newBackend(t, c).Get(t.Context(), mustRef(t, "vault:old/a#k"))
	wantError(t, err, keyring.ErrDenied, "sign in with JWT: status 400", "check the role")
}
