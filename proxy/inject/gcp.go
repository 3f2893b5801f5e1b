package inject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"agentvault/keyring"
)

// GCP gets access tokens for a service account; the secret is its JSON key file. Put it
// into a Cache.
type GCP struct {
	Scopes []string // nil means https://www.googleapis.com/auth/cloud-platform
	// TokenURL is where the key is exchanged; "" means Google's own, whatever the file says.
	TokenURL string
	Client   Doer
	Now      func() time.Time // nil: the clock
}

const (
	googleTokenURL = "https://oauth2.googleapis.com/token"
	googleScope    = "https://www.googleapis.com/auth/cloud-platform"
)

var _ Source = (*GCP)(nil)

// Token implements Source.
func (g *GCP) Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error) {
	fail := func(err error) (keyring.Secret, time.Time, error) { return keyring.Secret{}, time.Time{}, err }
	req, err := g.request(ctx, secret)
	if err != nil {
		return fail(err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := exchange("gcp", g.Client, req, http.StatusOK, &answer); err != nil {
		return fail(err)
	}
	if answer.AccessToken == "" {
		return fail(errors.New("gcp: the answer holds no access_token"))
	}
	// Google pads tokens with dots, which are part of them.
	life := time.Duration(min(max(answer.ExpiresIn, 0), maxLife)) * time.Second
	return keyring.NewSecret([]byte(answer.AccessToken)), clock(g.Now).Add(life), nil
}

func (g *GCP) request(ctx context.Context, secret keyring.Secret) (*http.Request, error) {
	var file struct {
		Type         string `json:"type"`
		ClientEmail  string `json:"client_email"`
		PrivateKeyID string `json:"private_key_id"`
		PrivateKey   string `json:"private_key"`
	}
	if json.Unmarshal([]byte(secret.Reveal()), &file) != nil || file.Type != "service_account" || file.ClientEmail == "" {
		return nil, &problem{"gcp: the secret is not the key file of a service account", "store the whole JSON file"}
	}
	key, err := parseRSAKey(file.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("gcp: %w", err)
	}
	endpoint := g.TokenURL
	if endpoint == "" {
		endpoint = googleTokenURL
	}
	if err := checkEndpoint("gcp", endpoint); err != nil {
		return nil, err
	}
	scopes := g.Scopes
	if len(scopes) == 0 {
		scopes = []string{googleScope}
	}
	now := clock(g.Now)
	assertion, err := signJWT(key, file.PrivateKeyID, map[string]any{
		"iss": file.ClientEmail, "scope": strings.Join(scopes, " "), "aud": endpoint,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), // an hour is the most that Google takes
	})
	if err != nil {
		return nil, fmt.Errorf("gcp: %w", err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("gcp: token URL %q is not a URL", endpoint)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
