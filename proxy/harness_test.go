package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/ca"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

const (
	sentinel    = "s3cret-sentinel-0123456789"
	placeholder = "avp_placeholder_of_service_api"
)

// session is a running proxy with one service "api" in front of one TLS upstream.
type session struct {
	*Proxy
	t        testing.TB
	addr     string
	upstream *httptest.Server
	host     string // of the upstream, with its port
	roots    *x509.CertPool
	secrets  *fakeSecrets

	mu     sync.Mutex
	events []event.Event
}

type options struct {
	handler   http.HandlerFunc
	raw       func(net.Conn) // serves the upstream's connections, after TLS unless plain
	protocol  string         // what a raw upstream offers by ALPN
	start     func(*httptest.Server)
	prepare   func(*Proxy) // before it serves
	trickles  bool         // small answers come slowly; otherwise each is waited for
	plain     bool         // the upstream speaks HTTP without TLS
	noHTTP2   bool
	askCert   bool // the upstream asks for a client certificate
	unmatched Policy
	change    func(*Service)
	service   func(*rule.Service)
	config    func(*Config)
}

// fakeSecrets has one value for every ref. It is asked for every request.
type fakeSecrets struct {
	mu   sync.Mutex
	item keyring.Item
	err  error

	once     sync.Once
	resolver *keyring.Resolver
}

func (f *fakeSecrets) Get(context.Context, keyring.Ref) (keyring.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.item, f.err
}

func (f *fakeSecrets) set(item keyring.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.item = item
}

func (f *fakeSecrets) Begin(ctx context.Context, refs []keyring.Ref, again bool) (keyring.Attempts, error) {
	f.once.Do(func() {
		open := func() (keyring.Backend, error) { return backend{f}, nil }
		f.resolver = keyring.NewResolver(keyring.ResolverConfig{FailureTTL: 1, TTL: func(string) time.Duration { return 1 },
			Backends: map[string]func() (keyring.Backend, error){"env": open, "keychain": open}})
	})
	return f.resolver.Begin(ctx, refs, again)
}

// backend hands out copies: a resolver wipes what it has twice.
type backend struct{ *fakeSecrets }

func (b backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	item, err := b.fakeSecrets.Get(ctx, ref)
	item.Value = keyring.NewSecret([]byte(item.Value.Reveal()))
	return item, err
}

func start(t testing.TB, o options) *session {
	t.Helper()
	if o.handler == nil {
		o.handler = func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }
	}
	s := &session{t: t, secrets: &fakeSecrets{item: keyring.Item{Value: keyring.NewSecret([]byte(sentinel))}}}
	s.upstream = httptest.NewUnstartedServer(o.handler)
	s.upstream.EnableHTTP2 = !o.noHTTP2
	if o.askCert {
		s.upstream.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	}
	if o.start != nil {
		o.start(s.upstream)
	}
	if o.plain {
		s.upstream.Start()
	} else {
		s.upstream.StartTLS()
	}
	t.Cleanup(s.upstream.Close)
	if o.raw != nil {
		s.upstream.URL = s.rawUpstream(o)
	}
	s.host = strings.TrimPrefix(strings.TrimPrefix(s.upstream.URL, "https://"), "http://")
	authority, err := ca.New("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(authority.Certificate())
	upstreamRoots := x509.NewCertPool()
	if !o.plain {
		upstreamRoots.AddCert(s.upstream.Certificate())
	}
	c := Config{
		Session: "test", Token: "token", Authority: authority, Secrets: s.secrets,
		Rules: s.newRules(o), Upstream: Upstream{Roots: upstreamRoots},
		Sink: func(e event.Event) {
			s.mu.Lock()
			s.events = append(s.events, e)
			s.mu.Unlock()
		},
	}
	if o.config != nil {
		o.config(&c)
	}
	if s.Proxy, err = New(c); err != nil {
		t.Fatal(err)
	}
	if !o.trickles {
		s.headWait, s.holdTime = 20*time.Second, 20*time.Second
	}
	if o.prepare != nil {
		o.prepare(s.Proxy)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Proxy.Close(); <-done; s.noLeak() })
	return s
}

// rawUpstream listens with the certificate of the test server and returns its URL.
func (s *session) rawUpstream(o options) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if !o.plain {
		c := &tls.Config{Certificates: s.upstream.TLS.Certificates}
		if o.protocol != "" {
			c.NextProtos = []string{o.protocol}
		}
		l, url = tls.NewListener(l, c), "https://"+l.Addr().String()
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.t.Cleanup(func() { _ = c.Close() })
			conns.Go(func() { o.raw(c); _ = c.Close() })
		}
	})
	s.t.Cleanup(func() { _ = l.Close() })
	return url
}

func (s *session) newRules(o options) *Rules {
	s.t.Helper()
	h, err := rule.ParseHost(s.host)
	if err != nil {
		s.t.Fatal(err)
	}
	ref, err := keyring.ParseRef("env:API")
	if err != nil {
		s.t.Fatal(err)
	}
	svc := Service{Name: "api", Secret: ref, Inject: inject.Bearer{}, Always: true, Placeholder: placeholder}
	if o.change != nil {
		o.change(&svc)
	}
	rs := rule.Service{Name: "api", Hosts: []rule.Host{h}}
	if o.service != nil {
		o.service(&rs)
	}
	set, err := rule.New([]rule.Service{rs})
	if err != nil {
		s.t.Fatal(err)
	}
	return &Rules{Set: set, Services: map[Endpoint]Service{{"api", 0}: svc}, Unmatched: o.unmatched,
		Cover: func(string, int, string, string, string) string { return "[service.x]\n" }}
}

// noLeak is checked at the end of every test: no event holds the secret.
func (s *session) noLeak() {
	for _, e := range s.seen() {
		if strings.Contains(fmt.Sprintf("%+v", e), sentinel) {
			s.t.Errorf("an event holds the secret: %+v", e)
		}
	}
}

func (s *session) seen() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]event.Event(nil), s.events...)
}

// last waits for the end event of the newest call.
func (s *session) last() event.Event {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		all := s.seen()
		if n := len(all); n > 0 && all[n-1].Phase == event.End {
			return all[n-1]
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("no end event in %+v", s.seen())
	return event.Event{}
}

func (s *session) proxyURL() *url.URL {
	return &url.URL{Scheme: "http", Host: s.addr, User: url.UserPassword("agentvault", "token")}
}

// client is a child that trusts the session's CA. protocol is 1 or 2.
func (s *session) client(protocol int) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(protocol == 1)
	p.SetHTTP2(protocol == 2)
	tr := &http.Transport{Proxy: http.ProxyURL(s.proxyURL()), TLSClientConfig: &tls.Config{RootCAs: s.roots}, Protocols: p, DisableCompression: true, ExpectContinueTimeout: time.Minute}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func (s *session) get(path string, header ...string) (*http.Response, string) {
	s.t.Helper()
	return s.do(s.client(1), "GET", s.upstream.URL+path, nil, header...)
}

func (s *session) do(c *http.Client, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

// connect opens a tunnel by hand and returns the connection inside, without TLS.
func (s *session) connect(target string, ahead ...byte) (net.Conn, *http.Response) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	auth := base64.StdEncoding.EncodeToString([]byte("agentvault:token"))
	head := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic %s\r\n\r\n", target, target, auth)
	if _, err := c.Write(append([]byte(head), ahead...)); err != nil {
		s.t.Fatal(err)
	}
	b := bufio.NewReader(c)
	resp, err := http.ReadResponse(b, &http.Request{Method: "CONNECT"})
	if err != nil {
		s.t.Fatal(err)
	}
	if n := b.Buffered(); n > 0 {
		p, _ := b.Peek(n)
		return &tunnelConn{Conn: c, ahead: p}, resp
	}
	return c, resp
}

// tls opens a tunnel and does the handshake as a child would.
func (s *session) tls(target, sni string, protocols ...string) *tls.Conn {
	s.t.Helper()
	c, resp := s.connect(target)
	if resp.StatusCode != 200 {
		s.t.Fatalf("CONNECT %s: %s", target, resp.Status)
	}
	host, _, _ := net.SplitHostPort(target)
	pool := s.roots
	tc := tls.Client(c, &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: protocols, VerifyConnection: func(cs tls.ConnectionState) error {
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: host, Roots: pool})
		return err
	}})
	if err := tc.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return tc
}

// request writes a raw request into a tunnel and reads the answer's head, which may come before
// all was written, and end the writing.
func (s *session) request(c net.Conn, text string) (*http.Response, *bufio.Reader) {
	s.t.Helper()
	_, written := io.WriteString(c, text)
	b := bufio.NewReader(c)
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(errors.Join(err, written))
	}
	return resp, b
}
