package inject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"agentvault/keyring"
)

// GitHubApp gets installation tokens, which live an hour, for the private key of a
// GitHub App. Put it into a Cache.
type GitHubApp struct {
	AppID          string // or the client id
	InstallationID string
	Repositories   []string          // names without the owner; nil means all of the installation
	Permissions    map[string]string // such as "contents": "read"; nil means all of the app's
	API            string            // "" means https://api.github.com; for a server of one's own https://HOST/api/v3
	Client         Doer
	Now            func() time.Time // nil: the clock
}

var _ Source = (*GitHubApp)(nil)

// Token implements Source.
func (g *GitHubApp) Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error) {
	fail := func(err error) (keyring.Secret, time.Time, error) { return keyring.Secret{}, time.Time{}, err }
	req, err := g.request(ctx, secret)
	if err != nil {
		return fail(err)
	}
	var answer struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
		Selection string    `json:"repository_selection"`
	}
	if err := exchange("github-app", g.Client, req, http.StatusCreated, &answer); err != nil {
		return fail(err)
	}
	if answer.Token == "" {
		return fail(errors.New("github-app: the answer holds no token"))
	}
	if len(g.Repositories) > 0 && answer.Selection != "selected" {
		return fail(errors.New("github-app: repositories were named, and the token is for all of them"))
	}
	return keyring.NewSecret([]byte(answer.Token)), answer.ExpiresAt, nil
}

func (g *GitHubApp) request(ctx context.Context, secret keyring.Secret) (*http.Request, error) {
	if _, err := strconv.ParseUint(g.InstallationID, 10, 64); err != nil {
		return nil, fmt.Errorf("github-app: installation id %q is not a number", g.InstallationID)
	}
	key, err := parseRSAKey(secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("github-app: %w", err)
	}
	now := clock(g.Now)
	// GitHub takes at most 10 minutes, and asks for an issue time a minute in the past
	// against clocks that differ.
	jwt, err := signJWT(key, "", map[string]any{
		"iss": g.AppID, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(),
	})
	if err != nil {
		return nil, fmt.Errorf("github-app: %w", err)
	}
	scope := map[string]any{}
	if len(g.Repositories) > 0 {
		scope["repositories"] = g.Repositories
	}
	if len(g.Permissions) > 0 {
		scope["permissions"] = g.Permissions
	}
	body, err := json.Marshal(scope)
	if err != nil {
		return nil, fmt.Errorf("github-app: %w", err)
	}
	api := g.API
	if api == "" {
		api = "https://api.github.com"
	}
	endpoint := strings.TrimSuffix(api, "/") + "/app/installations/" + g.InstallationID + "/access_tokens"
	if err := checkEndpoint("github-app", endpoint); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("github-app: API %q is not a URL", g.API)
	}
	req.Header.Set("Authorization", "Bearer "+jwt)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Github-Api-Version", "2022-11-28")
	return req, nil
}
