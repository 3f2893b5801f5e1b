// Package proxy stands between one child and the network. It listens on loopback,
// answers its own session alone, and puts the real credential into each request that
// a service covers.
//
// A request passes the door (door.go: who asks, and for which host), the tunnel
// (tunnel.go: TLS with a leaf of the session's CA), the pipeline (pipeline.go: identity
// and rules; credential.go: secret and injection) and the exchange (exchange.go: upstream
// and back).
//
// elazarl/goproxy keeps the door for CONNECT; inside the tunnel the standard library's
// server speaks HTTP/1.1 and HTTP/2 with the child.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elazarl/goproxy"

	"agentvault/keyring"
	"agentvault/proxy/ca"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// Policy says what becomes of a call that no service covers.
type Policy string

// The policies.
const (
	Allow Policy = "allow" // passes, without a warning
	Warn  Policy = "warn"  // passes and is shown
	Ask   Policy = "ask"   // waits for the human
	Deny  Policy = "deny"  // is refused
)

// Service is where a matched request gets its credential from.
type Service struct {
	Name   string
	Secret keyring.Ref // zero for a service without a credential
	// Others are what Inject needs beside Secret; it is an inject.Partial then. They are
	// resolved with Secret, for every request, so that they belong together.
	Others []keyring.Ref
	Inject inject.Injector
	// Always adds the credential to a request that shows none; otherwise it goes only
	// where the child presents the placeholder.
	Always bool
	// Insecure permits plain HTTP to loopback.
	Insecure bool
	// Copies permits more than one placeholder in a request, or in a WebSocket message.
	Copies bool
	// Search is where else the placeholder is looked for.
	Search inject.Search
	// Tokens exchanges the secret for what Inject then sends; nil sends the secret itself.
	Tokens Tokens
	// TokenHost is where Tokens sends the secret itself, if it does: its binding must name
	// that host too. An empty Name is none.
	TokenHost rule.Host
	// ClientCert says that the secret is a certificate and its key, which connections to
	// the upstream present. Inject is inject.None then.
	ClientCert bool
	// Refusals are further answers by which the upstream refuses the credential.
	Refusals []Refusal
	// Placeholder is what the child holds in place of the secret; may be empty.
	Placeholder string
	// Inspect looks at a value of Secret before it is sent to a host for the first time: its
	// label for the log, or why it must not be sent. Optional.
	Inspect func(value keyring.Secret, host string) (label string, err error)

	refs      []keyring.Ref // Secret and Others
	inspected *atomic.Pointer[inspection]
}

// Endpoint is how a rule.Match names a service: one service may have several, each with
// an injector of its own.
type Endpoint struct {
	Service string
	Index   int
}

// Rules are one consistent set of decisions. A Rules is never changed after it was
// given to the proxy; Swap replaces it.
type Rules struct {
	Set       *rule.Set
	Services  map[Endpoint]Service
	Unmatched Policy
	Tunnel    []rule.Host // never intercepted
	// Cover returns the TOML that would cover a call, for the agent's answer and the view.
	// operation is Event.Operation.
	Cover func(host string, port int, method, path, operation string) string

	finder *inject.Finder
	// The same as Services, for reading without a copy.
	services map[Endpoint]*Service
	masks    map[string]string // service -> what the child sees in place of the secret
}

// Secrets resolves refs; keyring.Resolver does it in the product.
type Secrets interface {
	// Begin returns what refs name, for one request; again says that the request can be
	// repeated with other values.
	Begin(ctx context.Context, refs []keyring.Ref, again bool) (keyring.Attempts, error)
}

// Leave is the human's answer to a call that was held.
type Leave struct {
	OK     bool
	Reason string // for the log, and for the agent where it is no
}

// Config is everything that a proxy needs. The zero values of the optional fields work.
type Config struct {
	Session   string
	Token     string // shown by the child as the proxy's password
	Authority *ca.Authority
	Rules     *Rules
	Secrets   Secrets
	// Sink takes every event, in order within a call. It is called on the request's path.
	Sink func(event.Event)
	// Owns says whether the kernel knows a client's socket as one of the child's process
	// tree, and names the program. Optional.
	Owns func(client, server netip.AddrPort) (program string, ok bool)
	// Ask holds a call until the human has decided, or ctx has ended; nil denies. It calls
	// held before it waits, and not where it knows the answer. Optional.
	Ask func(ctx context.Context, e event.Event, held func()) Leave
	// Own is shown the credential of the child's own in a call that no service covers,
	// before the call goes out. The value is in no event. It is called on the request's
	// path, from many goroutines. Optional.
	Own      func(e event.Event, own inject.Own)
	Upstream Upstream
	Now      func() time.Time // optional
}

// Proxy serves one session.
type Proxy struct {
	config Config
	rules  atomic.Pointer[Rules]
	calls  atomic.Uint64
	active atomic.Int64 // handlers of both servers: requests and tunnels under way
	now    func() time.Time

	// See the constants: tests have all the time that they need, or none.
	headWait, holdTime, firstByteTime, handshakeTime, atOnce, finishTime time.Duration

	echoing remembered[bool] // hosts that had a secret far inside a compressed answer

	transports *transports
	certified  certified
	habits     habits
	dialer     *eyeballs
	guard      guard
	heads      heads
	goproxy    *goproxy.ProxyHttpServer
	door       *http.Server
	inner      *http.Server
	inside     *handoff
	tls        *tls.Config
	distrusted atomic.Bool // a client of this session has refused our certificate

	mu      sync.Mutex
	tunnels map[net.Conn]struct{} // blind tunnels, which no server knows
	closed  bool
}

// New prepares a proxy; Serve starts it.
func New(c Config) (*Proxy, error) {
	switch {
	case c.Token == "":
		return nil, errors.New("proxy: no session token")
	case c.Authority == nil:
		return nil, errors.New("proxy: no authority")
	}
	if c.Sink == nil {
		c.Sink = func(event.Event) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Proxy{config: c, now: c.Now, headWait: headWait, holdTime: holdTime, firstByteTime: firstByteTime, handshakeTime: handshakeTime, atOnce: atOnce, finishTime: finishTime,
		tunnels: make(map[net.Conn]struct{}), habits: habits{of: make(map[habit]bool)}}
	p.transports = newTransports(c.Upstream)
	p.certified.upstream = c.Upstream
	p.dialer = newDialer(c.Upstream)
	p.Swap(c.Rules)
	quiet := log.New(io.Discard, "", 0) // net/http reports clients' mistakes here; events tell them better
	p.tls = &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		// The key exchange against future quantum computers costs more than all else in a
		// handshake, for bytes that never leave the machine. It is kept on the way upstream.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		// One config for all connections: its session tickets work across them.
		GetCertificate:     p.leaf,
		GetConfigForClient: p.greeted,
	}
	p.door = newServer(http.HandlerFunc(p.enter), quiet)
	p.door.ConnContext = withClient
	p.inner = newServer(http.HandlerFunc(p.serve), quiet)
	p.inner.TLSConfig = p.tls
	p.inner.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS, inside a tunnel
	p.inner.ConnContext = withTunnel
	p.goproxy = newGoproxy(p, quiet)
	return p, nil
}

// Swap replaces the rules; calls that have begun keep theirs. nil stands for no service
// and unmatched = "warn".
func (p *Proxy) Swap(r *Rules) {
	if r == nil {
		set, _ := rule.New(nil)
		r = &Rules{Set: set, Unmatched: Warn}
	}
	next := *r
	placeholders := make(map[string]string)
	next.masks = make(map[string]string)
	for _, s := range r.Services {
		next.masks[s.Name] = "‹" + s.Name + "›"
		if s.Placeholder != "" {
			placeholders[s.Placeholder] = s.Name
			next.masks[s.Name] = s.Placeholder
		}
	}
	next.services = make(map[Endpoint]*Service, len(r.Services))
	for e, s := range r.Services {
		s.refs, s.inspected = append([]keyring.Ref{s.Secret}, s.Others...), new(atomic.Pointer[inspection])
		next.services[e] = &s
	}
	next.finder = inject.NewFinder(placeholders)
	p.rules.Store(&next)
}

// Serve accepts the child's connections from l until Close. It always returns an error
// that is not nil; after Close it is http.ErrServerClosed.
func (p *Proxy) Serve(l net.Listener) error {
	inside := newHandoff(l.Addr())
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return http.ErrServerClosed
	}
	p.inside = inside
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.inner.Serve(inside)
	}()
	err := p.door.Serve(newBounded(l, maxConns, maxStrangers))
	_ = inside.Close()
	<-done
	return err
}

// Close ends the listener and every connection, and waits for nothing. Calls that were
// under way end with an event each.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	inside := p.inside
	for c := range p.tunnels {
		_ = c.Close()
	}
	p.mu.Unlock()
	err := p.door.Close()
	if inside != nil {
		_ = inside.Close()
	}
	if e := p.inner.Close(); err == nil {
		err = e
	}
	p.transports.close()
	p.certified.close()
	return err
}

// finishTime is how long Finish waits for what is under way, twice. What a child leaves behind
// ends within a millisecond on an idle machine; what takes longer belongs to a program that
// outlives the session.
const finishTime = 250 * time.Millisecond

// Finish is Close behind a child that has ended. What it left under way is given the time to end
// by itself, and then to be ended, so that each call and each refused handshake has its event,
// with the reason that is its own, before Finish returns.
func (p *Proxy) Finish() error {
	p.settle()
	err := p.Close()
	p.settle()
	return err
}

func (p *Proxy) settle() {
	for end := time.Now().Add(p.finishTime); p.active.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// track remembers a blind tunnel for Close; it reports false once the proxy has closed.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.tunnels[c] = struct{}{}
	return true
}

func (p *Proxy) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tunnels, c)
}
