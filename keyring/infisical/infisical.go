// Package infisical gets secrets from Infisical through its Go SDK, for refs
// `infisical:KEY?project=ID&env=SLUG&path=/FOLDER`.
//
// The SDK knows no contexts and no timeouts, writes to stderr, follows redirects with a
// credential in the body and does not escape keys. Here every call of it runs on a client of
// its own whose transport belongs to us (sdk.go): bounded by the context, silent, without
// redirects, over verified TLS. Keys are checked before the SDK sees them.
//
// Requests go through the proxy that agentvault's own environment names, also when that is
// the proxy of an outer agentvault session; the session's own proxy is never in that
// environment.
package infisical

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/infisical/go-sdk"

	"agentvault/keyring"
)

// DefaultSite is Infisical's own cloud in the US.
const DefaultSite = "https://app.infisical.com"

// Config says where Infisical is and who we are. Either ClientSecret (with ClientID) or
// AccessToken is set.
type Config struct {
	// SiteURL is DefaultSite when empty; plain http is taken for loopback only.
	SiteURL string
	// ClientID and ClientSecret are a machine identity with universal auth. The function
	// is called for each sign-in, so that a rotated client secret is picked up.
	ClientID     string
	ClientSecret func(ctx context.Context) (keyring.Secret, error)
	// AccessToken returns a token that somebody else obtained and renews.
	AccessToken func(ctx context.Context) (keyring.Secret, error)
	// Project and Env complete refs that name none.
	Project, Env string
	// RootCAs are the system's when nil.
	RootCAs *x509.CertPool
	// Proxy is http.ProxyFromEnvironment when nil.
	Proxy func(*http.Request) (*url.URL, error)
	// Clock is time.Now when nil.
	Clock func() time.Time
}

// Backend answers refs with the scheme infisical. It is safe for concurrent use.
type Backend struct {
	c    Config
	base *http.Transport
	gate chan struct{} // holds a token for whoever signs in, or looks at token
	token
}

// token is the access token of the last sign-in.
type token struct {
	value keyring.Secret
	until time.Time // zero: nobody knows
}

var _ keyring.Backend = (*Backend)(nil)

// New returns a backend that has connected to nothing and made no client.
func New(c Config) *Backend {
	if c.SiteURL == "" {
		c.SiteURL = DefaultSite
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Backend{
		c:    c,
		gate: make(chan struct{}, 1),
		base: &http.Transport{
			Proxy:               c.Proxy,
			TLSClientConfig:     &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     90 * time.Second, // as http.DefaultTransport
		},
	}
}

// Close closes idle connections and overwrites the access token.
func (b *Backend) Close() error {
	b.base.CloseIdleConnections()
	select {
	case b.gate <- struct{}{}:
		b.token.value.Wipe()
		b.token = token{}
		<-b.gate
	default: // somebody is signing in, and is about to be told that the session is over
	}
	return nil
}

// Get returns the secret that ref names, references and imports resolved.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	options, err := b.options(ref)
	if err != nil {
		return keyring.Item{}, err
	}
	site, err := siteURL(b.c.SiteURL)
	if err != nil {
		return keyring.Item{}, err
	}
	access, err := b.access(ctx, site, keyring.Secret{})
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := b.retrieve(ctx, site, access, options)
	if errors.Is(err, errToken) && b.c.AccessToken == nil {
		// Revoked, or used up: a sign-in before its time. Once.
		if access, err = b.access(ctx, site, access); err != nil {
			return keyring.Item{}, err
		}
		item, err = b.retrieve(ctx, site, access, options)
	}
	return item, err
}

func (b *Backend) retrieve(ctx context.Context, site string, access keyring.Secret, o sdk.RetrieveSecretOptions) (keyring.Item, error) {
	c, err := newClient(ctx, b.base, site)
	if err != nil {
		return keyring.Item{}, err
	}
	c.Auth().SetAccessToken(access.Reveal())
	got, err := c.Secrets().Retrieve(o)
	if err != nil {
		return keyring.Item{}, c.explain(err, access)
	}
	if got.SecretKey != o.SecretKey { // a web page with status 200 has none
		return keyring.Item{}, fmt.Errorf("the answer is not that secret; is the site URL right? %w", keyring.ErrUnavailable)
	}
	return keyring.Received([]byte(got.SecretValue))
}

// access returns an access token other than refused.
func (b *Backend) access(ctx context.Context, site string, refused keyring.Secret) (keyring.Secret, error) {
	switch {
	case b.c.AccessToken != nil:
		return own(ctx, "access token", b.c.AccessToken)
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
	secret, err := own(ctx, "client secret", b.c.ClientSecret)
	if err != nil {
		return token{}, err
	}
	c, err := newClient(ctx, b.base, site)
	if err != nil {
		return token{}, err
	}
	got, err := c.Auth().UniversalAuthLogin(b.c.ClientID, secret.Reveal())
	if err != nil {
		err = c.explain(err, secret)
		if errors.Is(err, keyring.ErrDenied) {
			err = keyring.WithHint(err, "check the client id and the client secret of the machine identity, and from which addresses it may be used")
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

// own gets one of our own credentials. An empty one would make the SDK look for another in
// the environment.
func own(ctx context.Context, what string, get func(context.Context) (keyring.Secret, error)) (keyring.Secret, error) {
	s, err := get(ctx)
	if err != nil {
		return keyring.Secret{}, fmt.Errorf("Infisical's %s: %w", what, err)
	}
	if s.Len() == 0 {
		return keyring.Secret{}, fmt.Errorf("Infisical's %s: %w", what, keyring.ErrEmpty)
	}
	return s, nil
}

// options checks what the SDK does not.
func (b *Backend) options(ref keyring.Ref) (sdk.RetrieveSecretOptions, error) {
	none := sdk.RetrieveSecretOptions{}
	if err := keyring.CheckName(ref.Name); err != nil {
		return none, err
	}
	for key := range ref.Params {
		switch key {
		case "project", "env", "path":
		default:
			return none, fmt.Errorf("unknown parameter %q (one of: project, env, path)", key)
		}
	}
	o := sdk.RetrieveSecretOptions{
		SecretKey: ref.Name, ProjectID: b.c.Project, Environment: b.c.Env, SecretPath: "/",
		ExpandSecretReferences: true, IncludeImports: true,
	}
	for key, into := range map[string]*string{"project": &o.ProjectID, "env": &o.Environment, "path": &o.SecretPath} {
		if v := ref.Params.Get(key); v != "" {
			*into = v
		}
	}
	switch {
	case o.ProjectID == "":
		return none, errors.New("no project: want infisical:KEY?project=ID&env=SLUG, or a project in the configuration")
	case o.Environment == "":
		return none, errors.New("no environment: want infisical:KEY?project=ID&env=SLUG, or an env in the configuration")
	case !strings.HasPrefix(o.SecretPath, "/"):
		return none, fmt.Errorf("path %q: want it to start with /", o.SecretPath)
	}
	return o, nil
}

// siteURL checks the address, to which the client secret is going to be sent.
func siteURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("site URL: want https://HOST")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return strings.TrimRight(s, "/"), nil
	}
	return "", fmt.Errorf("site URL %q: want https", u.Redacted())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
