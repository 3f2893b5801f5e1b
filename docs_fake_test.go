//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What the servers of the page about secrets hold and take. Each value says where it is
// from, so that one in the wrong place is seen.
const (
	pageMachine  = "s3cret-client-secret-of-infisical"
	pageJWT      = "s3cret-jwt-of-a-job"
	pageSecretID = "s3cret-id-of-vault"
	pageLogin    = "s3cret-token-of-vault-login"
)

// pageServers are the hosts of the page: Infisical, Google, Vault and AWS with as much of
// their protocols as one call needs, and APIs that say hello. The backends' own tests have
// fakes that verify all they receive.
type pageServers struct {
	mux *http.ServeMux

	mu    sync.Mutex
	seen  strings.Builder
	stuck bool // leases of Vault cannot be revoked
}

func newPageServers() *pageServers {
	s := &pageServers{mux: http.NewServeMux()}
	const infisical, vault = "app.infisical.com/api", "vault.acme.test/v1/"
	s.mux.HandleFunc("POST "+infisical+"/v1/auth/{method}/login", s.infisicalLogin)
	s.mux.HandleFunc("GET "+infisical+"/v3/secrets/raw", s.infisicalFolder)
	s.mux.HandleFunc(infisical+"/v1/dynamic-secrets/leases/", s.infisicalLease)
	s.mux.HandleFunc("POST "+infisical+"/v1/dynamic-secrets/leases", s.infisicalLease)
	s.mux.HandleFunc("POST oauth2.googleapis.com/token", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"access_token": "s3cret-token-of-google", "expires_in": 3599, "token_type": "Bearer"})
	})
	s.mux.HandleFunc("POST iamcredentials.googleapis.com/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"keyId": "1", "signedJwt": pageJWT})
	})
	s.mux.HandleFunc(vault, s.vault)
	s.mux.HandleFunc("POST secretsmanager.eu-west-1.amazonaws.com/", s.aws)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello from "+r.Host) })
	return s
}

// ServeHTTP keeps what came, headers and all.
func (s *pageServers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fmt.Fprintf(&s.seen, "%s %s%s\n", r.Method, r.Host, r.RequestURI)
	for name, values := range r.Header {
		fmt.Fprintf(&s.seen, "%s: %s\n", name, strings.Join(values, ", "))
	}
	s.mu.Unlock()
	r.Host, _, _ = strings.Cut(r.Host, ":")
	s.mux.ServeHTTP(w, r)
}

func (s *pageServers) saw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *pageServers) infisicalLogin(w http.ResponseWriter, r *http.Request) {
	var in struct{ ClientID, ClientSecret, IdentityID, JWT string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	const id = "00000000-0000-0000-0000-000000000000"
	if in.ClientID == id && in.ClientSecret == pageMachine || in.IdentityID == id && in.JWT == pageJWT {
		answer(w, map[string]any{"accessToken": "s3cret-access", "expiresIn": 3600, "accessTokenMaxTTL": 3600, "tokenType": "Bearer"})
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
	answer(w, map[string]any{"statusCode": 401, "message": "Invalid credentials", "error": "Unauthorized"})
}

// infisicalFolder has, in each folder, the keys of the page.
func (s *pageServers) infisicalFolder(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if p := q.Get("workspaceId"); p != "ID" && p != "11111111-1111-1111-1111-111111111111" || q.Get("environment") != "dev" || r.Header.Get("Authorization") != "Bearer s3cret-access" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var secrets []map[string]string
	for _, key := range []string{"GITHUB_TOKEN", "BILLING_KEY"} {
		secrets = append(secrets, map[string]string{"secretKey": key, "secretValue": "s3cret-infisical-" + key + "-in" + strings.ReplaceAll(q.Get("secretPath"), "/", "-")})
	}
	answer(w, map[string]any{"secrets": secrets, "imports": []any{}})
}

func (s *pageServers) infisicalLease(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]any{"lease": map[string]any{"id": "lease-1", "version": 1, "externalEntityId": "e", "expireAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)},
		"dynamicSecret": map[string]string{"id": "d", "name": "orders-db"}, "data": map[string]string{"DB_PASSWORD": "s3cret-infisical-lease"}})
}

func (s *pageServers) vault(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	token := r.Header.Get("X-Vault-Token")
	auth := map[string]any{"auth": map[string]any{"client_token": "s3cret-token-of-a-role", "lease_duration": 3600, "renewable": true}}
	switch {
	case path == "auth/approle/login" && in["role_id"] == "4c5d..." && in["secret_id"] == pageSecretID,
		path == "auth/jwt/login" && in["role"] == "agents" && in["jwt"] == pageJWT:
		answer(w, auth)
	case token != "s3cret-token-of-a-role" && token != pageLogin:
		w.WriteHeader(http.StatusForbidden)
		answer(w, map[string]any{"errors": []string{"permission denied"}})
	case path == "auth/token/lookup-self":
		answer(w, map[string]any{"data": map[string]any{"ttl": 0, "renewable": false}})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/secret/"):
		answer(w, map[string]any{"data": map[string]any{"path": "secret/", "type": "kv", "options": map[string]any{"version": "2"}}})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/aws/"):
		answer(w, map[string]any{"data": map[string]any{"path": "aws/", "type": "aws"}})
	case path == "secret/data/agents/billing":
		answer(w, map[string]any{"data": map[string]any{"data": map[string]any{"api_key": "s3cret-vault-billing"}, "metadata": map[string]any{"version": 1}}})
	case path == "aws/creds/agent":
		answer(w, map[string]any{"lease_id": "aws/creds/agent/8S1k", "lease_duration": 3600, "renewable": true,
			"data": map[string]any{"access_key": "AKIAPAGE", "secret_key": "s3cret-key-of-a-lease"}})
	case path == "sys/leases/revoke" && s.stuck:
		w.WriteHeader(http.StatusForbidden)
		answer(w, map[string]any{"errors": []string{"permission denied"}})
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *pageServers) aws(w http.ResponseWriter, r *http.Request) {
	var in struct{ SecretID string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || in.SecretID != "prod/stripe" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/secretsmanager/aws4_request") {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"__type": "ResourceNotFoundException"})
		return
	}
	answer(w, map[string]any{"ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/stripe-AbCdEf", "Name": "prod/stripe", "VersionId": "v1",
		"SecretString": `{"api_key": "sk_test_51s3cret` + strings.Repeat("a", 91) + `"}`})
}
