// Package vault gets secrets from HashiCorp Vault (and from what speaks its protocol, such
// as OpenBao), for refs `vault:MOUNT/PATH#FIELD`.
//
// A key-value engine of either version is read anew for each get; which version a mount has
// is asked of the server, once a mount. What another engine issues under a lease (database
// users, AWS keys) is taken once for the session: all its fields come from the same lease,
// which is renewed in the background and revoked by Release. Generating anything by a write
// is not supported.
//
// Of the environment, VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN, VAULT_CACERT and
// VAULT_CACERT_BYTES are understood. Certificates are always verified: VAULT_SKIP_VERIFY has
// no effect. A call is made once, never repeated by itself, does not follow redirects, and
// ends with its context.
package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/hashicorp/vault/api"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// Config says where Vault is and who we are. The token comes from the first of these that
// is there: Token, VAULT_TOKEN, AppRole, JWT, TokenFile.
type Config struct {
	// Address is that of the server; VAULT_ADDR when empty. Plain http is taken for loopback
	// only.
	Address string
	// Namespace is VAULT_NAMESPACE when empty.
	Namespace string
	// CACert is a PEM file whose certificates are trusted instead of the system's;
	// VAULT_CACERT when empty.
	CACert string
	// RootCAs are trusted where no CA certificate is named; the system's when nil.
	RootCAs *x509.CertPool
	// OwnLogin lets the human's own login, VAULT_TOKEN and TokenFile, be sent to Address.
	// Without it that login is used with the address in VAULT_ADDR alone, and not where
	// CACert says what that is: a file from a project could name any other.
	OwnLogin bool
	// Token returns a token that somebody else obtained. It is renewed, and not revoked.
	Token func(ctx context.Context) (keyring.Secret, error)
	// AppRole and JWT are ways to sign in; the token is ours, and revoked in the end.
	AppRole *AppRole
	JWT     *JWT
	// TokenFile is where `vault login` leaves its token: ~/.vault-token. Empty means that there
	// is no home.
	TokenFile string
	// LookupEnv reads the environment; nil is an empty one.
	LookupEnv func(string) (string, bool)
	// Proxy is http.ProxyFromEnvironment when nil.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial is a net.Dialer's DialContext when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// AppRole signs in with a role id and a secret id.
type AppRole struct {
	Mount  string // "approle" when empty
	RoleID string
	// SecretID is called for each sign-in.
	SecretID func(ctx context.Context) (keyring.Secret, error)
	// Wrapped means that SecretID returns a response-wrapping token. It is unwrapped once and
	// the secret id kept for further sign-ins.
	Wrapped bool
}

// JWT signs in with a token of an identity provider, such as that of a CI job.
type JWT struct {
	Mount string // "jwt" when empty
	Role  string
	// Token is called for each sign-in.
	Token func(ctx context.Context) (keyring.Secret, error)
}

// Backend answers refs with the scheme vault. It is safe for concurrent use.
type Backend struct {
	c      Config
	base   *http.Transport // set by connect
	ctx    context.Context // ends with Close; renewals and shared calls hang on it
	cancel context.CancelFunc
	tasks  sync.WaitGroup // renewals of tokens

	connectOnce sync.Once
	client      *api.Client
	server      string // its address, as it was checked
	connectErr  error

	logins leasing.Flights[*token]
	asks   leasing.Flights[mount]
	leases *leasing.Set[of]

	mu       sync.Mutex // guards what follows, and the times in tokens
	current  *token
	tokens   []*token         // those that we obtained, to be revoked
	secretID keyring.Secret   // the unwrapped one
	held     []keyring.Secret // every token and secret id that there was: others may be using them
	mounts   []mount
	released bool
}

var (
	_ keyring.Backend  = (*Backend)(nil)
	_ keyring.Releaser = (*Backend)(nil)
)

// New returns a backend that has read nothing and connected to nothing.
func New(c Config) *Backend {
	if c.LookupEnv == nil {
		c.LookupEnv = func(string) (string, bool) { return "", false }
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	b := &Backend{c: c}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.leases = b.newLeases()
	return b
}

// Get returns the secret that ref names. Where it has several fields, ref must name one.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if err := b.connect(); err != nil {
		return keyring.Item{}, err
	}
	t, err := b.access(ctx, nil)
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := b.read(ctx, t, ref)
	if !errors.Is(err, keyring.ErrDenied) {
		return item, err
	}
	// Vault has one answer for a policy that says no and for a token that has ended.
	switch dead, lerr := b.dead(ctx, t); {
	case lerr != nil:
		return keyring.Item{}, err
	case !dead:
		return keyring.Item{}, keyring.WithHint(err, "the policies of the token ("+t.source+") do not allow to read this path")
	}
	if t, err = b.access(ctx, t); err != nil {
		return keyring.Item{}, err
	}
	return b.read(ctx, t, ref)
}

// read gets ref with a token that may turn out to be refused.
func (b *Backend) read(ctx context.Context, t *token, ref keyring.Ref) (keyring.Item, error) {
	m, err := b.mount(ctx, t, ref.Name)
	if err != nil {
		return keyring.Item{}, err
	}
	switch m.engine {
	case kv1:
		return b.readKV1(ctx, t, ref)
	case kv2:
		return b.readKV2(ctx, t, m, ref)
	}
	item, err := b.readLease(ctx, t, ref)
	if errors.Is(err, errVersioned) {
		m = mount{path: firstSegment(ref.Name), engine: kv2}
		b.remember(m)
		return b.readKV2(ctx, t, m, ref)
	}
	return item, err
}

// Release revokes the leases of the session and the tokens that it signed in for, and returns
// what is left. Nothing can be got any more.
func (b *Backend) Release(ctx context.Context) []keyring.Leftover {
	b.mu.Lock()
	b.released = true
	b.mu.Unlock()
	b.leases.Stop(ctx)
	b.cancel()
	b.logins.Wait(ctx)
	b.asks.Wait(ctx)
	b.tasks.Wait()
	b.leases.Wait()
	return b.giveBack(ctx)
}

// Close releases what Release has not, and forgets the tokens.
func (b *Backend) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leasing.CloseTime)
	defer cancel()
	var errs []error
	for _, l := range b.Release(ctx) {
		errs = append(errs, l)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.held {
		s.Wipe()
	}
	b.current, b.tokens, b.held = nil, nil, nil
	if b.base != nil {
		b.base.CloseIdleConnections()
	}
	return errors.Join(errs...)
}
