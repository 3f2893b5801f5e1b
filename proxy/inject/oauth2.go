package inject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"agentvault/keyring"
)

// The grants that OAuth2 knows.
const (
	ClientCredentials = "client_credentials" // the secret is the client's
	RefreshToken      = "refresh_token"      // the secret is the refresh token
)

// OAuth2 gets access tokens from a token endpoint (RFC 6749). Put it into a Cache.
//
// Refresh tokens are often good for one use. One that the issuer replaced is remembered
// here and handed to Rotated, so that it is stored before it is needed; exchanges of one
// OAuth2 never run side by side.
type OAuth2 struct {
	Grant    string // ClientCredentials or RefreshToken
	TokenURL string
	ClientID string
	// ClientSecret is for RefreshToken, where the client has one.
	ClientSecret keyring.Secret
	Scopes       []string
	// InBody sends the client's id and secret as form fields; else they are sent as Basic,
	// which RFC 6749 2.3.1 obliges every issuer to accept.
	InBody bool
	Client Doer
	Now    func() time.Time // nil: the clock
	// Rotated is called, in the same goroutine, with a new refresh token. It reports its
	// own errors: the access token is good in any case. May be nil.
	Rotated func(ctx context.Context, refresh keyring.Secret)

	mu         sync.Mutex
	used, next keyring.Secret // the refresh token that was given, and what replaced it
}

var _ Source = (*OAuth2)(nil)

// Token implements Source.
func (o *OAuth2) Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error) {
	fail := func(err error) (keyring.Secret, time.Time, error) { return keyring.Secret{}, time.Time{}, err }
	if err := checkEndpoint("oauth2", o.TokenURL); err != nil {
		return fail(err)
	}
	if secret.Len() == 0 {
		return fail(&problem{"oauth2: the secret is empty", "store its value again"})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	refresh := secret
	if o.next.Len() > 0 && o.used.Equal(secret) {
		refresh = o.next
	}
	req, err := o.request(ctx, secret, refresh)
	if err != nil {
		return fail(err)
	}
	var answer struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := exchange("oauth2", o.Client, req, http.StatusOK, &answer); err != nil {
		if o.Grant == RefreshToken && errors.Is(err, ErrRefused) {
			// Not for an earlier one to be tried: that was used, and issuers take the second use
			// of a refresh token for a theft.
			var r *refusal
			errors.As(err, &r)
			err = &r.problem
		}
		return fail(err)
	}
	if rotated := answer.RefreshToken; o.Grant == RefreshToken && rotated != "" && rotated != refresh.Reveal() {
		o.used, o.next = secret, keyring.NewSecret([]byte(rotated))
		if o.Rotated != nil {
			o.Rotated(ctx, o.next)
		}
	}
	if answer.AccessToken == "" {
		return fail(errors.New("oauth2: the answer holds no access_token"))
	}
	if answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "bearer") {
		return fail(fmt.Errorf("oauth2: the token is of type %q, want Bearer", slotName(answer.TokenType)))
	}
	var expires time.Time
	if answer.ExpiresIn > 0 {
		expires = clock(o.Now).Add(time.Duration(min(answer.ExpiresIn, maxLife)) * time.Second)
	}
	return keyring.NewSecret([]byte(answer.AccessToken)), expires, nil
}

// maxLife, in seconds, is ten years: more would overflow a Duration sooner or later.
const maxLife = 10 * 365 * 24 * 3600

func (o *OAuth2) request(ctx context.Context, secret, refresh keyring.Secret) (*http.Request, error) {
	form := url.Values{"grant_type": {o.Grant}}
	clientSecret := secret
	switch o.Grant {
	case ClientCredentials:
	case RefreshToken:
		form.Set("refresh_token", refresh.Reveal())
		clientSecret = o.ClientSecret
	default:
		return nil, fmt.Errorf("oauth2: unknown grant %q (one of: %s, %s)", o.Grant, ClientCredentials, RefreshToken)
	}
	if len(o.Scopes) > 0 {
		form.Set("scope", strings.Join(o.Scopes, " "))
	}
	public := clientSecret.Len() == 0
	if (o.InBody || public) && o.ClientID != "" {
		form.Set("client_id", o.ClientID)
	}
	if o.InBody && !public {
		form.Set("client_secret", clientSecret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("oauth2: token URL %q is not a URL", o.TokenURL)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !o.InBody && !public {
		// Escaped before they are joined: RFC 6749 2.3.1.
		req.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(clientSecret.Reveal()))
	}
	return req, nil
}

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}
