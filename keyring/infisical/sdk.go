package infisical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"unsafe"

	"github.com/go-resty/resty/v2"
	sdk "github.com/infisical/go-sdk"
	sdkerrors "github.com/infisical/go-sdk/packages/errors"

	"agentvault/keyring"
)

// maxAnswer bounds what a server may send: the largest value, escaped at its worst, in a
// folder of others.
const maxAnswer = 6*keyring.MaxValue + 16<<20

// client is an SDK client for the calls of one context.
type client struct {
	sdk.InfisicalClientInterface
	inner     *resty.Client
	transport *transport
}

// newClient makes a client whose calls end with ctx. That is cheap: connections belong to
// the backend, whose clients share them.
func (b *Backend) newClient(ctx context.Context, site string) (client, error) {
	manual := false
	c := sdk.NewInfisicalClient(ctx, sdk.Config{
		SiteUrl:          site,
		UserAgent:        "agentvault",
		AutoTokenRefresh: &manual, // otherwise a goroutine a client
		SilentMode:       true,
		LogWriter:        io.Discard,
	})
	inner, err := inside(c)
	if err != nil {
		return client{}, err
	}
	t := &transport{ctx: ctx, base: b.base, metadata: b.metadata}
	inner.SetTransport(t).SetRetryCount(0).SetLogger(silence{})
	return client{c, inner, t}, nil
}

// inside returns the HTTP client in the SDK's client. The SDK offers no way to give it a
// transport, a timeout or a logger; without those a dead server would hold a goroutine, and
// the client secret in it, for ever, and its complaints would be written over the child's
// screen. TestInside fails when a new SDK has moved the field.
func inside(c sdk.InfisicalClientInterface) (*resty.Client, error) {
	changed := errors.New("this version of the Infisical SDK is not the one that agentvault was made for")
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, changed
	}
	field := v.Elem().FieldByName("httpClient")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*resty.Client]() || field.IsNil() {
		return nil, changed
	}
	return *(**resty.Client)(unsafe.Pointer(field.UnsafeAddr())), nil //nolint:gosec // see above
}

// transport gives each request the context that the SDK does not know, and keeps the
// error that the SDK wraps beyond recognition.
type transport struct {
	ctx            context.Context
	base, metadata http.RoundTripper
	err            error
}

// RoundTrip implements http.RoundTripper. It refuses redirects: they would carry the
// credential in the body to wherever they point.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	way := t.base
	if host := r.URL.Hostname(); host == "169.254.169.254" || host == "metadata.google.internal" {
		way = t.metadata
	}
	resp, err := way.RoundTrip(r.WithContext(t.ctx))
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		_ = resp.Body.Close()
		err = errors.New("the server answers with a redirect; is the site URL right?")
		if to, lerr := resp.Location(); lerr == nil {
			err = fmt.Errorf("the server redirects to %.80q; is the site URL right?", to.Host)
		}
	}
	if err != nil {
		t.err = err
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// errToken says that the server did not take the access token.
var errToken = errors.New("the access token was refused")

// explain turns the SDK's error into ours, without the credential that the request held.
func (c client) explain(err error, credential keyring.Secret) error {
	if cerr := c.transport.ctx.Err(); cerr != nil {
		return cerr
	}
	var api *sdkerrors.APIError
	if !errors.As(err, &api) {
		if c.transport.err != nil {
			err = c.transport.err
		}
		var u *url.Error
		if errors.As(err, &u) { // its text repeats the whole URL
			err = u.Err
		}
		return fmt.Errorf("%s: %w", keyring.Excerpt(err.Error(), credential), keyring.ErrUnavailable)
	}
	said := fmt.Sprintf("status %d", api.StatusCode)
	if m := keyring.Excerpt(api.ErrorMessage, credential); m != "" {
		said += " (" + m + ")"
	}
	switch s := api.StatusCode; {
	case s == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w: %w", said, errToken, keyring.ErrDenied)
	case s == http.StatusForbidden:
		return fmt.Errorf("%s: %w", said, keyring.ErrDenied)
	case s == http.StatusNotFound:
		return fmt.Errorf("%s: %w", said, keyring.ErrNotFound)
	case s == http.StatusTooManyRequests, s >= 500:
		return fmt.Errorf("%s: %w", said, keyring.ErrUnavailable)
	}
	return errors.New(said)
}

// silence is a resty.Logger that says nothing.
type silence struct{}

func (silence) Errorf(string, ...any) {}
func (silence) Warnf(string, ...any)  {}
func (silence) Debugf(string, ...any) {}
