package infisical

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-resty/resty/v2"
	sdk "github.com/infisical/go-sdk"
	api "github.com/infisical/go-sdk/packages/api/auth"
	"github.com/infisical/go-sdk/packages/util"

	"agentvault/keyring"
)

// Method is how a machine identity signs in with what something else says of it.
type Method string

// The methods of an Identity. The first three present a token, the next two a credential of
// their own; the cloud that the machine runs in vouches for the others.
const (
	JWT        Method = "jwt"
	OIDC       Method = "oidc"
	Kubernetes Method = "kubernetes"
	GCPKey     Method = "gcp-iam" // the key of a service account
	LDAP       Method = "ldap"    // a user and a password
	AWS        Method = "aws"
	GCP        Method = "gcp" // the ID token of the instance's service account
	Azure      Method = "azure"
)

// Identity is a machine identity that signs in with what something else says of it.
type Identity struct {
	ID     string
	Method Method // JWT when empty
	// Token is called for each sign-in with JWT, OIDC and Kubernetes: such tokens are
	// short-lived.
	Token func(ctx context.Context) (keyring.Secret, error)
	// Key is called for each sign-in with GCPKey and LDAP: the JSON file of a service account's
	// key, or the password.
	Key func(ctx context.Context) (keyring.Secret, error)
	// User signs in with LDAP.
	User string
	// AWS is called for each sign-in with AWS.
	AWS func(ctx context.Context) (AWSIdentity, error)
	// Resource is what an Azure token is asked for; Azure's management API when empty.
	Resource string
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
	b.token = fresh
	b.held = append(b.held, fresh.value) // the old one may be in use by another get, and is wiped at the end
	return fresh.value, nil
}

func (b *Backend) signIn(ctx context.Context, site string) (token, error) {
	c, err := b.newClient(ctx, site)
	if err != nil {
		return token{}, err
	}
	got, err := b.login(ctx, c)
	if err != nil {
		return token{}, err
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

// login signs in in the way that the configuration says. It calls the functions below the
// SDK's own, which take what they miss from the environment: a credential for another server,
// an organisation.
func (b *Backend) login(ctx context.Context, c client) (sdk.MachineIdentityCredential, error) {
	if b.c.Identity == nil {
		secret, err := own(ctx, "client secret", b.c.ClientSecret)
		if err != nil {
			return sdk.MachineIdentityCredential{}, err
		}
		got, err := api.CallUniversalAuthLogin(c.inner, api.UniversalAuthLoginRequest{ClientID: b.c.ClientID, ClientSecret: secret.Reveal()})
		return got, c.refused(err, "client secret", secret)
	}
	id := *b.c.Identity
	// It becomes a part of a metadata service's URL, which the SDK does not escape.
	if err := keyring.CheckName(id.ID); err != nil {
		return sdk.MachineIdentityCredential{}, fmt.Errorf("Infisical's identity id: %w", err)
	}
	switch id.Method {
	case AWS:
		return c.loginAWS(ctx, id)
	case GCPKey:
		return c.loginGCPKey(ctx, id)
	case LDAP:
		password, err := own(ctx, "password", id.Key)
		if err != nil {
			return sdk.MachineIdentityCredential{}, err
		}
		got, err := api.CallLdapAuthLogin(c.inner, api.LdapAuthLoginRequest{IdentityID: id.ID, Username: id.User, Password: password.Reveal()})
		return got, c.refused(err, "user and password", password)
	case GCP, Azure:
		return c.loginCloud(id)
	}
	t, err := own(ctx, "identity token", id.Token)
	if err != nil {
		return sdk.MachineIdentityCredential{}, err
	}
	var got sdk.MachineIdentityCredential
	switch id.Method {
	case OIDC:
		got, err = api.CallOidcAuthLogin(c.inner, api.OidcAuthLoginRequest{IdentityID: id.ID, JWT: t.Reveal()})
	case Kubernetes:
		got, err = api.CallKubernetesAuthLogin(c.inner, api.KubernetesAuthLoginRequest{IdentityID: id.ID, JWT: t.Reveal()})
	default:
		got, err = api.CallJwtAuthLogin(c.inner, api.JwtAuthLoginRequest{IdentityID: id.ID, JWT: t.Reveal()})
	}
	return got, c.refused(err, "identity token", t)
}

// loginCloud signs in with a token that the metadata service of a cloud gives this machine.
func (c client) loginCloud(id Identity) (sdk.MachineIdentityCredential, error) {
	metadata := util.GetGCPMetadataToken
	if id.Method == Azure {
		metadata = func(inner *resty.Client, _ string) (string, error) {
			return util.GetAzureMetadataToken(inner, id.Resource, "")
		}
	}
	text, err := metadata(c.inner, id.ID)
	if err != nil {
		return sdk.MachineIdentityCredential{}, keyring.WithHint(fmt.Errorf("the metadata service of this machine: %w", c.explain(err, keyring.Secret{})),
			fmt.Sprintf("identity_method = %q works on machines of that cloud alone", id.Method))
	}
	t := keyring.NewSecret([]byte(text))
	defer t.Wipe()
	var got sdk.MachineIdentityCredential
	if id.Method == Azure {
		got, err = api.CallAzureAuthLogin(c.inner, api.AzureAuthLoginRequest{IdentityID: id.ID, JWT: text})
	} else {
		got, err = api.CallGCPAuthLogin(c.inner, api.GCPAuthLoginRequest{IdentityID: id.ID, JWT: text})
	}
	return got, c.refused(err, "service account in the cloud", t)
}

// refused says why a sign-in with a credential failed; nil stays nil.
func (c client) refused(err error, what string, credential keyring.Secret) error {
	if err == nil {
		return nil
	}
	if err = c.explain(err, credential); errors.Is(err, keyring.ErrDenied) {
		err = keyring.WithHint(err, "check the machine identity and its "+what+", and from which addresses it may be used")
	}
	return fmt.Errorf("sign in: %w", err)
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
