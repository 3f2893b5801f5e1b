package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"agentvault/keyring"
)

// maxAnswer bounds what a server may send: the largest value, escaped at its worst.
const maxAnswer = 6*keyring.MaxValue + 64<<10

// connect makes the client at the first get. It connects to nothing.
func (b *Backend) connect() error {
	b.connectOnce.Do(func() { b.connectErr = b.newClient() })
	return b.connectErr
}

func (b *Backend) newClient() error {
	server, err := address(first(b.c.Address, b.env(api.EnvVaultAddress)))
	if err != nil {
		return err
	}
	roots, err := b.roots()
	if err != nil {
		return err
	}
	b.server = server
	b.base = &http.Transport{
		Proxy:               b.c.Proxy,
		DialContext:         b.c.Dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second, // as http.DefaultTransport
	}
	client, err := api.NewClient(&api.Config{
		Address:          server,
		HttpClient:       &http.Client{Transport: guard{b.base}},
		MaxRetries:       0,
		DisableRedirects: true,
	})
	if err != nil {
		return fmt.Errorf("Vault's client: %w", err)
	}
	// NewClient takes more from the environment than we want: a token for whatever server,
	// headers, and a wish to have every answer wrapped.
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	client.ClearToken()
	if ns := b.namespace(); ns != "" {
		client.SetNamespace(ns)
	}
	b.client = client
	return nil
}

func (b *Backend) namespace() string { return first(b.c.Namespace, b.env(api.EnvVaultNamespace)) }

// as returns a client whose requests carry the token t; a zero t sends none.
func (b *Backend) as(t keyring.Secret) *api.Logical {
	return b.client.WithRequestCallbacks(func(r *api.Request) { r.ClientToken = t.Reveal() }).Logical()
}

// env reads a variable; an empty one is none.
func (b *Backend) env(name string) string {
	v, _ := b.c.LookupEnv(name)
	return v
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// roots are the certificates that the server's must lead to; nil means the system's.
func (b *Backend) roots() (*x509.CertPool, error) {
	text, from := []byte(b.env(api.EnvVaultCACertBytes)), api.EnvVaultCACertBytes
	if file := first(b.c.CACert, b.env(api.EnvVaultCACert)); file != "" && (b.c.CACert != "" || len(text) == 0) {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("Vault's CA certificate: %w", err)
		}
		from = file
	}
	if len(text) == 0 {
		return b.c.RootCAs, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("Vault's CA certificate: no PEM certificate in %s", from)
	}
	return pool, nil
}

// address checks where tokens are going to be sent.
func address(s string) (string, error) {
	if s == "" {
		return "", keyring.WithHint(fmt.Errorf("no address of a Vault server: %w", keyring.ErrUnavailable),
			"set VAULT_ADDR, or give [vault] address in the configuration")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("Vault's address: want https://HOST:PORT")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return strings.TrimRight(s, "/"), nil
	}
	return "", fmt.Errorf("Vault's address %q: want https", u.Redacted())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// guard bounds answers and refuses redirects: they would carry the token to wherever they
// point.
type guard struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		if to, lerr := resp.Location(); lerr == nil {
			return nil, fmt.Errorf("the server redirects to %.80q; is Vault's address right?", to.Host)
		}
		return nil, errors.New("the server answers with a redirect; is Vault's address right?")
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// explain turns the client's error into ours, without the credentials that the request held.
func explain(ctx context.Context, err error, credentials ...keyring.Secret) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return unreachable(err, credentials)
	}
	said := fmt.Sprintf("status %d", answer.StatusCode)
	if m := keyring.Excerpt(strings.Join(answer.Errors, "\n"), credentials...); m != "" {
		said += " (" + m + ")"
	}
	switch s := answer.StatusCode; {
	case s == http.StatusForbidden, s == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w", said, keyring.ErrDenied)
	case s == http.StatusNotFound:
		return fmt.Errorf("%s: %w", said, keyring.ErrNotFound)
	case s == http.StatusBadRequest:
		return fmt.Errorf("%s: %w", said, errRequest)
	case s == http.StatusPreconditionFailed, s == http.StatusTooManyRequests,
		s == 472, s == 473, // a standby that cannot answer
		s >= 500: // 503 is also what a sealed Vault says
		return fmt.Errorf("%s: %w", said, keyring.ErrUnavailable)
	}
	return errors.New(said)
}

// errRequest is Vault's answer to what it knows to be wrong: a bad credential in a sign-in, a
// lease that is not there.
var errRequest = errors.New("refused")

func unreachable(err error, credentials []keyring.Secret) error {
	var u *url.Error
	if errors.As(err, &u) { // its text repeats the whole URL
		err = u.Err
	}
	ours := fmt.Errorf("%s: %w", keyring.Excerpt(err.Error(), credentials...), keyring.ErrUnavailable)
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return keyring.WithHint(ours, "name the CA of the server with VAULT_CACERT or [vault] ca_cert (VAULT_SKIP_VERIFY is not obeyed)")
	}
	return ours
}
