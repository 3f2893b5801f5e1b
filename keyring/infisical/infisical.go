// Package infisical gets secrets from Infisical through its Go SDK, for refs
// `infisical:KEY?project=ID&env=SLUG&path=/FOLDER`, and fields of dynamic secrets, for refs
// `infisical:NAME#FIELD?project=SLUG&env=SLUG&path=/FOLDER&ttl=1h`.
//
// Folders are read whole: however many keys of one are asked for together, that is one
// request, and asking again is a conditional one (folder.go). Until Close the values of such
// a folder are in memory, also of keys that nobody asked for.
//
// A dynamic secret is leased once for the session: all its fields come from the same lease,
// which is renewed in the background and deleted by Release.
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
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// DefaultSite is Infisical's own cloud in the US.
const DefaultSite = "https://app.infisical.com"

// Config says where Infisical is and who we are: AccessToken, Identity, or ClientID and
// ClientSecret is set, and used in this order.
type Config struct {
	// SiteURL is DefaultSite when empty; plain http is taken for loopback only.
	SiteURL string
	// ClientID and ClientSecret are a machine identity with universal auth. The function
	// is called for each sign-in, so that a rotated client secret is picked up.
	ClientID     string
	ClientSecret func(ctx context.Context) (keyring.Secret, error)
	// Identity is a machine identity that something else vouches for.
	Identity *Identity
	// AccessToken returns a token that somebody else obtained and renews.
	AccessToken func(ctx context.Context) (keyring.Secret, error)
	// Project, Env and Path complete refs that name none; Path is / when empty.
	Project, Env, Path string
	// RootCAs are the system's when nil.
	RootCAs *x509.CertPool
	// Proxy is http.ProxyFromEnvironment when nil.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial is a net.Dialer's DialContext when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Clock is time.Now when nil.
	Clock func() time.Time
}

// Backend answers refs with the scheme infisical. It is safe for concurrent use.
type Backend struct {
	c        Config
	base     *http.Transport
	metadata *http.Transport // to the cloud that we run in: a proxy is elsewhere
	gate     chan struct{}   // holds a token for whoever signs in, or looks at token and held
	token
	held []keyring.Secret // every access token that there was

	ctx    context.Context // ends with Release; renewals and shared calls hang on it
	cancel context.CancelFunc
	leases *leasing.Set[dynamic]
	reads  leasing.Flights[*folder]

	mu       sync.Mutex // guards what follows, and what was given in folders
	folders  map[place]*folder
	retired  []*folder // replaced by others
	released bool
}

var (
	_ keyring.Backend  = (*Backend)(nil)
	_ keyring.Releaser = (*Backend)(nil)
)

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
	b := &Backend{
		c:       c,
		gate:    make(chan struct{}, 1),
		folders: map[place]*folder{},
		base: &http.Transport{
			Proxy:               c.Proxy,
			DialContext:         c.Dial,
			TLSClientConfig:     &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     90 * time.Second, // as http.DefaultTransport
		},
		metadata: &http.Transport{DialContext: c.Dial, DisableKeepAlives: true},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.leases = b.newLeases()
	return b
}

// Release deletes the leases of the session and returns what is left. Nothing can be got any
// more.
func (b *Backend) Release(ctx context.Context) []keyring.Leftover {
	b.mu.Lock()
	b.released = true
	b.mu.Unlock()
	b.leases.Stop(ctx)
	b.cancel()
	b.reads.Wait(ctx) // a connection that is being made for one is given up when nobody waits for it
	b.leases.Wait()
	return b.giveBack(ctx)
}

// Close releases what Release has not, closes idle connections and overwrites what was read
// and the access tokens.
func (b *Backend) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leasing.CloseTime)
	defer cancel()
	var errs []error
	for _, l := range b.Release(ctx) {
		errs = append(errs, l)
	}
	b.base.CloseIdleConnections()
	b.forget()
	select {
	case b.gate <- struct{}{}:
		for _, s := range b.held {
			s.Wipe()
		}
		b.token, b.held = token{}, nil
		<-b.gate
	default: // somebody is signing in, and is about to be told that the session is over
	}
	return errors.Join(errs...)
}

// Get returns the secret that ref names, references and imports resolved.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if ref.Field != "" {
		return b.getDynamic(ctx, ref)
	}
	return b.getStatic(ctx, ref)
}

// call makes a call with an access token, and once more with another where the server does
// not take the first.
func call[T any](ctx context.Context, b *Backend, do func(client, keyring.Secret) (T, error)) (T, error) {
	var none T
	site, err := siteURL(b.c.SiteURL)
	if err != nil {
		return none, err
	}
	once := func(access keyring.Secret) (T, error) {
		c, err := b.newClient(ctx, site)
		if err != nil {
			return none, err
		}
		c.Auth().SetAccessToken(access.Reveal())
		return do(c, access)
	}
	access, err := b.access(ctx, site, keyring.Secret{})
	if err != nil {
		return none, err
	}
	got, err := once(access)
	if errors.Is(err, errToken) && b.c.AccessToken == nil {
		// Revoked, or used up: a sign-in before its time. Once.
		if access, err = b.access(ctx, site, access); err != nil {
			return none, err
		}
		got, err = once(access)
	}
	return got, err
}

// checkRef checks the name and that ref has none but the legal parameters.
func checkRef(ref keyring.Ref, legal ...string) error {
	if err := keyring.CheckName(ref.Name); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(ref.Params)) {
		if !slices.Contains(legal, key) {
			return fmt.Errorf("unknown parameter %q (one of: %s)", key, strings.Join(legal, ", "))
		}
	}
	return nil
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
