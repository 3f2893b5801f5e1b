package inject

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGCP(t *testing.T) {
	key, text := rsaKey(t)
	var srv *httptest.Server
	srv, client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		header, claims, err := verifyJWT(r.PostFormValue("assertion"), &key.PublicKey)
		if err != nil || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || header["kid"] != "k1" ||
			claims["iss"] != "svc@p.iam.gserviceaccount.com" || claims["aud"] != srv.URL+"/token" || claims["exp"].(float64)-claims["iat"].(float64) > 3600 {
			answer(w, 400, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, 200, map[string]any{"access_token": "ya29." + claims["scope"].(string) + "....", "expires_in": 3599, "token_type": "Bearer"})
	})
	file := func(kind, key string) string {
		b, _ := json.Marshal(map[string]string{"type": kind, "client_email": "svc@p.iam.gserviceaccount.com", "private_key_id": "k1", "private_key": key, "token_uri": "https://evil.test/"})
		return string(b)
	}
	g := &GCP{Scopes: []string{"s1", "s2"}, TokenURL: srv.URL + "/token", Client: client, Now: testClock}
	token, expires, err := g.Token(t.Context(), secret(file("service_account", text)))
	if err != nil || token.Reveal() != "ya29.s1 s2...." || !expires.Equal(testTime.Add(3599*time.Second)) {
		t.Errorf("got %q until %v, %v", token.Reveal(), expires, err)
	}
	for want, stored := range map[string]string{"not the key file": file("authorized_user", text), "not the key file ": "s3cret-marker", "not an RSA": file("service_account", "s3cret-marker")} {
		if _, _, err := g.Token(t.Context(), secret(stored)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) || strings.Contains(err.Error(), "s3cret-marker") {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// doer answers without a network, and remembers what it was asked.
type doer struct{ asked []string }

func (d *doer) Do(r *http.Request) (*http.Response, error) {
	d.asked = append(d.asked, r.Method+" "+r.URL.String())
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"access_token":"t","expires_in":60}`))}, nil
}

// The key file does not say where it is sent: whoever could write it would get signed
// assertions.
func TestGCPEndpointIsOurs(t *testing.T) {
	_, text := rsaKey(t)
	b, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": "e", "private_key": text, "token_uri": "https://evil.test/token",
		"auth_uri": "https://evil.test/", "universe_domain": "evil.test"})
	d := new(doer)
	if _, _, err := (&GCP{Client: d}).Token(t.Context(), secret(string(b))); err != nil || strings.Join(d.asked, " ") != "POST "+googleTokenURL {
		t.Errorf("asked %q, %v", d.asked, err)
	}
}
