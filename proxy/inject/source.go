package inject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"agentvault/keyring"
)

// Source exchanges a stored secret for a short-lived token, which an Injector then
// sends. The time is the token's end; zero where the issuer does not say. Errors hold
// neither of the two.
type Source interface {
	Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error)
}

// ErrRefused says that the token endpoint did not take the secret: another value of it may be
// taken.
var ErrRefused = errors.New("the token endpoint refused the secret")

// refusal is ErrRefused in the endpoint's own words.
type refusal struct{ problem }

func (refusal) Is(target error) bool { return target == ErrRefused }

// Doer is what a Source calls its token endpoint through: the proxy's own client, whose
// TLS is verified. It should not follow redirects.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

const (
	// tokenMargin is how long before its end a token is exchanged anew: clocks differ,
	// and a request that leaves now may be checked after minutes of uploading.
	tokenMargin = 5 * time.Minute
	// unknownLife is for issuers that do not say how long a token lives.
	unknownLife = 5 * time.Minute
	// tokenTimeout bounds one exchange, for which requests of the child wait.
	tokenTimeout = 30 * time.Second
	// maxTokenAnswer is far above any token; GitHub's with all permissions has 4 KiB.
	maxTokenAnswer = 256 << 10
)

// Cache keeps the token of a Source until shortly before its end: 5 minutes, or half its
// life if that is shorter. Callers that come while a token is fetched wait for the same
// fetch, which goes on when one of them gives up. It is safe for concurrent use.
type Cache struct {
	src Source
	now func() time.Time

	mu     sync.Mutex
	kept   *fetch // the last that succeeded
	flight *fetch // under way
}

type fetch struct {
	secret keyring.Secret
	done   chan struct{}
	// Written before done is closed.
	token          keyring.Secret
	issued         time.Time
	expires, renew time.Time
	err            error
}

var _ Source = (*Cache)(nil)

// NewCache returns an empty Cache. now may be nil for the clock.
func NewCache(src Source, now func() time.Time) *Cache {
	if now == nil {
		now = time.Now
	}
	return &Cache{src: src, now: now}
}

// Token implements Source. Another secret than before is exchanged at once.
func (c *Cache) Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error) {
	c.mu.Lock()
	if k := c.kept; k != nil && k.secret.Equal(secret) && c.now().Before(k.renew) {
		c.mu.Unlock()
		return k.token, k.expires, nil
	}
	f := c.flight
	if f == nil || !f.secret.Equal(secret) {
		f = &fetch{secret: secret, done: make(chan struct{})}
		c.flight = f
		go c.run(context.WithoutCancel(ctx), f)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.expires, f.err
	case <-ctx.Done():
		return keyring.Secret{}, time.Time{}, ctx.Err()
	}
}

// dropAge is how old a token has to be before a refusal makes it worth another exchange. A
// service that refuses a fresh token refuses the next one too, and an agent that goes on
// asking would have its issuer asked as often; refresh tokens are used up by it.
const dropAge = time.Minute

// Drop forgets the token, for when a service refuses it before its end. A token that was
// only just issued is kept.
func (c *Cache) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil && c.now().Sub(c.kept.issued) >= dropAge {
		c.kept = nil
	}
}

func (c *Cache) run(ctx context.Context, f *fetch) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	f.token, f.expires, f.err = c.src.Token(ctx, f.secret)
	now := c.now()
	life := unknownLife
	if !f.expires.IsZero() {
		life = f.expires.Sub(now)
		life = max(life-tokenMargin, life/2)
	}
	f.issued, f.renew = now, now.Add(life)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == f {
		c.flight = nil
		if f.err == nil {
			c.kept = f
		}
	}
	close(f.done)
}

// checkEndpoint: a secret goes to a token endpoint over TLS, or to this machine.
func checkEndpoint(where, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%s: token URL %q is not a URL", where, endpoint)
	}
	ip, ipErr := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || ipErr == nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return fmt.Errorf("%s: token URL %q is not https", where, endpoint)
	}
	return nil
}

// exchange sends req and decodes a JSON answer of status want into out.
func exchange(where string, client Doer, req *http.Request, want int, out any) error {
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: the answer of %s broke off: %w", where, req.URL.Host, err)
	case len(body) > maxTokenAnswer:
		return fmt.Errorf("%s: %s answered more than %d bytes", where, req.URL.Host, maxTokenAnswer)
	case resp.StatusCode != want:
		return refusedBy(where, req.URL.Host, resp.StatusCode, body)
	case json.Unmarshal(body, out) != nil:
		return fmt.Errorf("%s: %s answered %d without JSON", where, req.URL.Host, resp.StatusCode)
	}
	return nil
}

// refusedBy quotes only the error code of RFC 6749 5.2, which is a word: descriptions
// are known to echo what was sent.
func refusedBy(where, host string, status int, body []byte) error {
	var answer struct{ Error string }
	_ = json.Unmarshal(body, &answer)
	code := ""
	if answer.Error != "" && len(answer.Error) <= 40 && strings.Trim(answer.Error, "abcdefghijklmnopqrstuvwxyz_") == "" {
		code = " " + answer.Error
	}
	text := fmt.Sprintf("%s: %s answered %d%s", where, host, status, code)
	if status == http.StatusUnauthorized || code == " invalid_grant" || code == " invalid_client" {
		return &refusal{problem{text, "the stored secret is wrong, was revoked, or has been used up: store it again"}}
	}
	return &problem{text, ""}
}
