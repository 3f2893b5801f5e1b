package cmd

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/ca"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// The demo's hosts. .example is reserved (RFC 2606): no such name is ever looked up,
// and none of them leaves this machine.
const (
	demoAPI       = "api.shop.example"
	demoTelemetry = "telemetry.example"
	demoVariable  = "SHOP_API_KEY"
)

func newDemoCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "watch a built-in agent call a built-in API; nothing to set up, nothing leaves this machine",
		Flags: []cli.Flag{
			uiFlag(),
			&cli.DurationFlag{Name: "pace", Value: 700 * time.Millisecond, Usage: "`TIME` between two calls of the agent"},
		},
		Action: func(c *cli.Context) error {
			if err := noWords(c); err != nil {
				return err
			}
			if err := checkUI(c.String("ui")); err != nil {
				return err
			}
			return demo(c.Context, env, c.String("ui"), c.Duration("pace"))
		},
		Subcommands: []*cli.Command{{
			Name: "agent", Hidden: true,
			Flags:  []cli.Flag{&cli.DurationFlag{Name: "pace"}},
			Action: func(c *cli.Context) error { return demoAgent(c.Context, env, c.Duration("pace")) },
		}},
	}
}

func demo(ctx context.Context, env Env, ui string, pace time.Duration) error {
	self, err := executable()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	w, err := newDemoWorld()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer w.close()
	compiled, err := demoConfig()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	fmt.Fprintf(env.Stderr, "agentvault: the demo's API key is made up for this run; the agent will be given a placeholder for it\n\n")
	return run(ctx, env, sessionOptions{
		argv: []string{self, "demo", "agent", "--pace", pace.String()}, ui: ui, passphraseFD: noFD,
		configText: compiled, upstream: w.upstream,
		secrets: w.resolver,
	}, nil)
}

// demoConfig is what agentvault.toml would say.
func demoConfig() (*config.Compiled, error) {
	host, err := rule.ParseHost(demoAPI)
	if err != nil {
		return nil, err
	}
	allow, err := parseOps("GET /**", "POST /v1/orders")
	if err != nil {
		return nil, err
	}
	secret, err := keyring.ParseRef("keychain:shop")
	if err != nil {
		return nil, err
	}
	r := rule.Service{Name: "shop", Hosts: []rule.Host{host}, Allow: allow}
	set, err := rule.New([]rule.Service{r})
	if err != nil {
		return nil, err
	}
	return &config.Compiled{Rules: set, Unmatched: string(proxy.Warn), Refs: []keyring.Ref{secret},
		Services: []config.CompiledService{{Name: "shop", Secret: secret, Env: []string{demoVariable}, Shape: "shop_live_{A-Za-z0-9:24}",
			Endpoints: []config.Endpoint{{Rule: r, Inject: inject.Bearer{}, Always: true}}}}}, nil
}

// demoWorld is the network of the demo: an API over TLS on loopback, reached through a
// proxy of its own that leads every name to it.
type demoWorld struct {
	key      keyring.Secret
	api      *http.Server
	door     net.Listener
	upstream proxy.Upstream
}

// resolver is one whose keychain holds the demo's secret and no other.
func (w *demoWorld) resolver() (*keyring.Resolver, error) {
	return keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
		"keychain": func() (keyring.Backend, error) { return w, nil },
	}}), nil
}

// Get implements keyring.Backend: the demo's only secret.
func (w *demoWorld) Get(context.Context, keyring.Ref) (keyring.Item, error) {
	return keyring.Item{Value: w.key, Hosts: []string{demoAPI}, Set: time.Now()}, nil
}

func newDemoWorld() (*demoWorld, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	w := &demoWorld{key: keyring.NewSecret([]byte("shop_live_" + hex.EncodeToString(random)))}
	authority, err := ca.New("demo API", nil)
	if err != nil {
		return nil, err
	}
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if w.door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		_ = api.Close()
		return nil, err
	}
	w.api = &http.Server{Handler: http.HandlerFunc(w.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = w.api.Serve(tls.NewListener(api, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return authority.Leaf(h.ServerName)
		}}))
	}()
	go w.lead(api.Addr().String())
	w.upstream.Roots = x509.NewCertPool()
	w.upstream.Roots.AddCert(authority.Certificate())
	door := &url.URL{Scheme: "http", Host: w.door.Addr().String()}
	w.upstream.Proxy = func(*http.Request) (*url.URL, error) { return door, nil }
	return w, nil
}

func (w *demoWorld) close() {
	_ = w.door.Close()
	_ = w.api.Close()
}

// lead answers each CONNECT with a way to the API.
func (w *demoWorld) lead(api string) {
	for {
		c, err := w.door.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			u, err := net.Dial("tcp", api)
			if err != nil {
				return
			}
			defer func() { _ = u.Close() }()
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(u, r); _ = u.Close() }()
			_, _ = io.Copy(c, u)
		}()
	}
}

// serve is the shop: it answers to its key alone.
func (w *demoWorld) serve(rw http.ResponseWriter, r *http.Request) {
	reply := func(status int, v any) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_ = json.NewEncoder(rw).Encode(v)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Host == demoTelemetry:
		reply(http.StatusNoContent, nil)
	case !keyring.NewSecret([]byte(key)).Equal(w.key):
		reply(http.StatusUnauthorized, map[string]string{"error": "no valid API key"})
	case r.Method == http.MethodPost:
		reply(http.StatusCreated, map[string]any{"order": 1042, "item": 7})
	case r.URL.Path == "/v1/whoami":
		// An API that repeats the key it was sent: what the agent reads is the placeholder.
		reply(http.StatusOK, map[string]string{"account": "demo", "key": key})
	default:
		reply(http.StatusOK, map[string]any{"item": 7, "name": "teapot", "stock": 3})
	}
}
