package infisical

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// identity is a configuration that signs in with a method.
func identity(s *server, m Method) Config {
	s.secrets["/:KEY"] = "v"
	c := s.config()
	c.ClientID, c.ClientSecret = "", nil
	c.Identity = &Identity{ID: clientID, Method: m, Resource: "api://agents",
		AWS: func(context.Context) (AWSIdentity, error) { return AWSIdentity{awsKey, "eu-west-1"}, nil }}
	path := map[Method]string{OIDC: "oidc", Kubernetes: "kubernetes"}[m]
	c.Identity.Token = fixed(first(path, "jwt") + "-auth-" + keyringtest.Sentinel)
	return c
}

// A machine identity signs in with what something else says of it, once for all.
func TestIdentity(t *testing.T) {
	t.Setenv("INFISICAL_AUTH_ORGANIZATION_SLUG", "elsewhere") // is for others
	cloud := httptest.NewServer(http.HandlerFunc(metadata))
	defer cloud.Close()
	for _, m := range []Method{"", JWT, OIDC, Kubernetes, AWS, GCP, Azure} {
		t.Run(string(m), func(t *testing.T) {
			s := newServer(t)
			c := identity(s, m)
			// The metadata service is next door: a proxy is not asked about it.
			c.Proxy = func(r *http.Request) (*url.URL, error) {
				if r.URL.Hostname() != "127.0.0.1" {
					t.Errorf("the proxy was asked for %s", r.URL.Host)
				}
				return nil, nil
			}
			c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasSuffix(address, ":80") {
					address = cloud.Listener.Addr().String()
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			b := New(c)
			defer b.Close()
			for range 2 {
				if item, err := b.Get(t.Context(), mustRef(t, "infisical:KEY")); err != nil || item.Value.Reveal() != "v" {
					t.Fatalf("Get: %v", err)
				}
			}
			if s.logins != 1 {
				t.Errorf("%d sign-ins, want 1", s.logins)
			}
		})
	}
}

// What can go wrong with an identity is told in terms of it, and tells nothing else.
func TestWrongIdentity(t *testing.T) {
	cloud := httptest.NewServer(http.HandlerFunc(metadata))
	defer cloud.Close()
	away := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	for _, c := range []struct {
		name   string
		method Method
		change func(*Config)
		want   error
		hint   string
	}{
		{"wrong token", JWT, func(c *Config) { c.Identity.Token = fixed("wrong-" + keyringtest.Sentinel) }, keyring.ErrDenied, "check the machine identity and its identity token"},
		{"empty token", OIDC, func(c *Config) { c.Identity.Token = fixed("") }, keyring.ErrEmpty, ""},
		{"no token", Kubernetes, func(c *Config) { c.Identity.Token = nil }, keyring.ErrNotFound, ""},
		{"locked", JWT, func(c *Config) {
			c.Identity.Token = func(context.Context) (keyring.Secret, error) { return keyring.Secret{}, keyring.ErrLocked }
		}, keyring.ErrLocked, ""},
		{"no AWS credentials", AWS, func(c *Config) {
			c.Identity.AWS = func(context.Context) (AWSIdentity, error) { return AWSIdentity{}, keyring.ErrDenied }
		}, keyring.ErrDenied, ""},
		{"no AWS", AWS, func(c *Config) { c.Identity.AWS = nil }, keyring.ErrNotFound, ""},
		{"another's AWS credentials", AWS, func(c *Config) {
			other := awsKey
			other.SecretAccessKey = "other-" + keyringtest.Sentinel
			c.Identity.AWS = func(context.Context) (AWSIdentity, error) { return AWSIdentity{other, "eu-west-1"}, nil }
		}, keyring.ErrDenied, "role or user in AWS"},
		{"not in that cloud", GCP, func(c *Config) { c.Dial = away }, keyring.ErrUnavailable, `identity_method = "gcp" works on machines of that cloud alone`},
		{"no such metadata", Azure, func(c *Config) {
			c.Identity.Resource = ""
			c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, cloud.Listener.Addr().String())
			}
		}, keyring.ErrUnavailable, "azure"},
		{"an id that is more", GCP, func(c *Config) { c.Identity.ID = "x&format=other" }, nil, ""},
		{"no id", JWT, func(c *Config) { c.Identity.ID = "" }, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := identity(newServer(t), c.method)
			c.change(&config)
			b := New(config)
			defer b.Close()
			_, err := b.Get(t.Context(), mustRef(t, "infisical:KEY"))
			var h interface{ Hint() string }
			switch {
			case err == nil || c.want != nil && !errors.Is(err, c.want) || strings.Contains(err.Error(), keyringtest.Sentinel):
				t.Errorf("error %v, want %v", err, c.want)
			case c.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint)):
				t.Errorf("error %v without a hint at %q", err, c.hint)
			}
		})
	}
}
