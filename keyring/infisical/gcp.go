package infisical

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	sdk "github.com/infisical/go-sdk"
	api "github.com/infisical/go-sdk/packages/api/auth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"agentvault/keyring"
)

const (
	// iamCredentials is Google's service that signs for service accounts.
	iamCredentials = "https://iamcredentials.googleapis.com"
	cloudPlatform  = "https://www.googleapis.com/auth/cloud-platform"
)

// loginGCPKey signs in with the key of a service account: Google signs for it who it is, and
// Infisical asks Google whether it did. It does what the SDK's own function does, which would
// have the key in a file, and call Google without a context and past our transport.
func (c client) loginGCPKey(ctx context.Context, id Identity) (sdk.MachineIdentityCredential, error) {
	var none sdk.MachineIdentityCredential
	key, err := own(ctx, "service account key", id.Key)
	if err != nil {
		return none, err
	}
	text := []byte(key.Reveal())
	defer clear(text)
	account, err := google.JWTConfigFromJSON(text, cloudPlatform)
	if err != nil || account.Email == "" || keyring.CheckName(firstPart(account.Email)) != nil {
		// The parser's words may quote the key.
		return none, keyring.WithHint(fmt.Errorf("Infisical's service account key: it is not the key file of a service account: %w", keyring.ErrDenied),
			"store the whole JSON file that Google gave: agentvault secret set NAME --host SERVER <FILE")
	}
	if _, err := siteURL(account.TokenURL); err != nil {
		return none, fmt.Errorf("Infisical's service account key: token_uri: want https://HOST: %w", keyring.ErrDenied)
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: c.transport})
	access, err := account.TokenSource(ctx).Token()
	if err != nil {
		return none, c.explainGoogle(err, key)
	}
	token := keyring.NewSecret([]byte(access.AccessToken))
	signed, err := c.signJWT(ctx, account.Email, id.ID, token)
	if err != nil {
		return none, err
	}
	got, err := api.CallGCPAuthLogin(c.inner, api.GCPAuthLoginRequest{IdentityID: id.ID, JWT: signed})
	return got, c.refused(err, "service account in Google's cloud", keyring.NewSecret([]byte(signed)))
}

func firstPart(email string) string {
	name, _, _ := bytes.Cut([]byte(email), []byte("@"))
	return string(name)
}

// signJWT has Google sign that the service account wants to be the identity (method signJwt
// of the IAM Service Account Credentials API).
func (c client) signJWT(ctx context.Context, email, identity string, token keyring.Secret) (string, error) {
	payload, err := json.Marshal(map[string]string{"sub": email, "aud": identity})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]string{"payload": string(payload)})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, iamCredentials+"/v1/projects/-/serviceAccounts/"+url.PathEscape(email)+":signJwt", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return "", c.explainGoogle(err, token)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", c.explainGoogle(err, token)
	}
	var answer struct {
		SignedJWT string `json:"signedJwt"`
		Error     struct{ Status, Message string }
	}
	err = json.Unmarshal(text, &answer)
	switch {
	case resp.StatusCode == http.StatusOK && err == nil && answer.SignedJWT != "":
		return answer.SignedJWT, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500, resp.StatusCode == http.StatusOK:
		return "", fmt.Errorf("Google's IAM: status %d (%s): %w", resp.StatusCode, keyring.Excerpt(answer.Error.Message, token), keyring.ErrUnavailable)
	}
	return "", keyring.WithHint(fmt.Errorf("Google's IAM: status %d (%s): %w", resp.StatusCode, keyring.Excerpt(answer.Error.Message, token), keyring.ErrDenied),
		"enable the IAM Service Account Credentials API, and give the service account the role Service Account Token Creator on itself")
}

// explainGoogle says why Google gave no token for the key.
func (c client) explainGoogle(err error, credential keyring.Secret) error {
	if cerr := c.transport.ctx.Err(); cerr != nil {
		return cerr
	}
	var answer *oauth2.RetrieveError
	var u *url.Error
	switch {
	case errors.As(err, &answer) && answer.Response != nil:
		status := answer.Response.StatusCode
		if status >= 500 || status == http.StatusTooManyRequests {
			return fmt.Errorf("Google: status %d: %w", status, keyring.ErrUnavailable)
		}
		var said struct{ Error string } // a code; the description beside it may repeat what was sent
		_ = json.Unmarshal(answer.Body, &said)
		return keyring.WithHint(fmt.Errorf("Google: status %d (%s): %w", status, keyring.Excerpt(said.Error, credential), keyring.ErrDenied),
			"check that the key of the service account was not deleted, and the clock of this machine")
	case c.transport.err != nil:
		err = c.transport.err
	case !errors.As(err, &u): // no call was made; the parser's words may quote the key
		return fmt.Errorf("Infisical's service account key: its private key cannot be read: %w", keyring.ErrDenied)
	}
	if errors.As(err, &u) { // its text repeats the whole URL
		err = u.Err
	}
	return fmt.Errorf("Google: %s: %w", keyring.Excerpt(err.Error(), credential), keyring.ErrUnavailable)
}
