package infisical

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/infisical/go-sdk"

	"agentvault/keyring"
)

// Method is how a machine identity signs in with a token that something else issued.
type Method string

// The methods of an Identity.
const (
	JWT        Method = "jwt"
	OIDC       Method = "oidc"
	Kubernetes Method = "kubernetes"
)

// Identity is a machine identity that signs in without a secret of its own: with a CI job's
// OIDC token, a JWT, or the token of a Kubernetes service account.
type Identity struct {
	ID     string
	Method Method // JWT when empty
	// Token is called for each sign-in: such tokens are short-lived.
	Token func(ctx context.Context) (keyring.Secret, error)
}

// token is the access token of the last sign-in.
type token struct {
	value keyring.Secret
	until time.Time // zero: nobody knows
}

// access returns an access token other than refused.
func (b *Backend) access(ctx context.Context, site string, refused keyring.Secret) (keyring.Secret, error) {
	switch {
	case b.c.AccessToken != nil:
		return own(ctx, "access token", b.c.AccessToken)
	case b.c.Identity != nil: // below
	case b.c.ClientSecret == nil || b.c.ClientID == "":
		return keyring.Secret{}, keyring.WithHint(fmt.Errorf("no credential for Infisical: %w", keyring.ErrDenied),
			"give [infisical] client_id and client_secret = \"keychain:...\" in the configuration")
	}
	select {
	case b.gate <- struct{}{}:
	case <-ctx.Done():
		return keyring.Secret{}, ctx.Err()
	}
	defer func() { <-b.gate }()
	t := b.token
	if t.value.Len() > 0 && !t.value.Equal(refused) && (t.until.IsZero() || b.c.Clock().Before(t.until)) {
		return t.value, nil
	}
	fresh, err := b.signIn(ctx, site)
	if err != nil {
		return keyring.Secret{}, err
	}
	b.token = fresh // the old one may be in use by another get, and is not wiped
	return fresh.value, nil
}

func (b *Backend) signIn(ctx context.Context, site string) (token, error) {
	what, get := "client secret", b.c.ClientSecret
	if b.c.Identity != nil {
		if b.c.Identity.ID == "" {
			return token{}, errors.New("Infisical's identity has no id")
		}
		what, get = "identity token", b.c.Identity.Token
	}
	credential, err := own(ctx, what, get)
	if err != nil {
		return token{}, err
	}
	c, err := newClient(ctx, b.base, site)
	if err != nil {
		return token{}, err
	}
	got, err := b.login(c.Auth(), credential.Reveal())
	if err != nil {
		err = c.explain(err, credential)
		if errors.Is(err, keyring.ErrDenied) {
			err = keyring.WithHint(err, "check the machine identity and its "+what+", and from which addresses it may be used")
		}
		return token{}, fmt.Errorf("sign in: %w", err)
	}
	if got.AccessToken == "" {
		return token{}, fmt.Errorf("sign in: the server gave no token: %w", keyring.ErrUnavailable)
	}
	t := token{value: keyring.NewSecret([]byte(got.AccessToken))}
	if got.ExpiresIn > 0 {
		// A tenth early: for clocks that differ and for a request under way.
		t.until = b.c.Clock().Add(time.Duration(got.ExpiresIn) * time.Second / 10 * 9)
	}
	return t, nil
}

// login signs in the way that the configuration says.
func (b *Backend) login(a sdk.AuthInterface, credential string) (sdk.MachineIdentityCredential, error) {
	if b.c.Identity == nil {
		return a.UniversalAuthLogin(b.c.ClientID, credential)
	}
	switch id := b.c.Identity.ID; b.c.Identity.Method {
	case OIDC:
		return a.OidcAuthLogin(id, credential)
	case Kubernetes:
		return a.KubernetesRawServiceAccountTokenLogin(id, credential)
	default:
		return a.JwtAuthLogin(id, credential)
	}
}

// own gets one of our own credentials. An empty one would make the SDK look for another in
// the environment.
func own(ctx context.Context, what string, get func(context.Context) (keyring.Secret, error)) (keyring.Secret, error) {
	if get == nil {
		return keyring.Secret{}, fmt.Errorf("Infisical's %s: %w", what, keyring.ErrNotFound)
	}
	s, err := get(ctx)
	if err != nil {
		return keyring.Secret{}, fmt.Errorf("Infisical's %s: %w", what, err)
	}
	if s.Len() == 0 {
		return keyring.Secret{}, fmt.Errorf("Infisical's %s: %w", what, keyring.ErrEmpty)
	}
	return s, nil
}
