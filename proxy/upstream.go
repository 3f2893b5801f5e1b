package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// Kept connections per host. net/http's default of 2 costs a TLS handshake for two
	// of three requests at 16 connections; an agent and its sub-agents hold tens.
	keptPerHost = 128
	keptInAll   = 512
	// Servers close idle connections after 60 s (nginx: 75, ALB: 60); ours go first, so
	// that a request does not meet a connection that is just being closed.
	keptFor = 55 * time.Second
	// A name has all its addresses tried in this time.
	dialTime = 20 * time.Second
	tlsTime  = 15 * time.Second
	// An upstream that was sent "Expect: 100-continue" and says nothing gets the body.
	continueTime = time.Second
	// How often TCP asks whether a silent peer is still there.
	keepAlive = 30 * time.Second
	// A TLS record holds 16 KiB; bodies go past these buffers.
	ioBuffer = 4 << 10
	// More than any API sends; the limit of curl is 300 KiB.
	maxResponseHead = 512 << 10
)

// Upstream says how the proxy reaches the world.
type Upstream struct {
	// Roots verify upstream certificates; nil means the system's.
	Roots *x509.CertPool
	// RootsReady is closed once Roots are complete, and nothing is dialled before; nil means
	// that they are.
	RootsReady <-chan struct{}
	// Proxy returns the proxy of the parent for a request, nil for none; as in http.Transport.
	Proxy func(*http.Request) (*url.URL, error)
}

// refusedAddress is the answer of the dialer to an address that is never dialled.
type refusedAddress struct{ addr netip.Addr }

func (e *refusedAddress) Error() string {
	return fmt.Sprintf("address %s is never dialled (link-local and metadata services)", e.addr)
}

// Services that hand out the machine's own credentials to whoever can connect: AWS and
// most clouds (169.254.0.0/16 as a whole is link-local), AWS on IPv6, Alibaba, Azure.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
}

// AWS's services on the instance itself: metadata, EKS Pod Identity, DNS, time.
var awsLocal = netip.MustParsePrefix("fd00:ec2::/32")

// neverDialled decides by the resolved address: a name can point anywhere.
func neverDialled(ip netip.Addr) bool {
	ip = ip.WithZone("").Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsMulticast() || ip.IsUnspecified() {
		return true
	}
	if awsLocal.Contains(ip) {
		return true
	}
	for _, m := range metadata {
		if ip == m {
			return true
		}
	}
	// 64:ff9b::/96 (RFC 6052) and 2002::/16 (RFC 3056) carry an IPv4 address inside.
	if b := ip.As16(); ip.Is6() {
		switch {
		case [4]byte(b[:4]) == [4]byte{0, 0x64, 0xff, 0x9b}:
			return neverDialled(netip.AddrFrom4([4]byte(b[12:])))
		case b[0] == 0x20 && b[1] == 0x02:
			return neverDialled(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	return false
}

// newDialer makes the dialer that every connection to the world goes through: none is made
// to an address that is never dialled, or before there are roots to verify it with.
func newDialer(u Upstream) *eyeballs {
	return newEyeballs(&net.Dialer{
		Timeout:   dialTime,
		KeepAlive: keepAlive,
		ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			if u.RootsReady != nil {
				select {
				case <-u.RootsReady:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("dial %q: %w", address, err)
			}
			if neverDialled(ap.Addr()) {
				return &refusedAddress{ap.Addr()}
			}
			return nil
		},
	})
}

// transports are the pools of one session. A request takes the pool of the protocol
// that the child itself speaks: HTTP/2 costs throughput for small requests, and an
// upgrade exists in HTTP/1.1 alone.
type transports struct {
	dialers []*dialer        // in the order of the pools
	only2   remembered[bool] // hosts with ports, whose servers refused to speak HTTP/1.1
	http1   *http.Transport
	http2   *http.Transport // offers both, takes what the upstream chooses
	grpc    *http.Transport // HTTP/2 or nothing: gRPC over HTTP/1.1 loses its trailers
	h2c     *http.Transport // HTTP/2 without TLS, for a child that speaks it
}

// newTransports makes pools whose connections present the given certificates.
func newTransports(u Upstream, present ...tls.Certificate) *transports {
	t := new(transports)
	base := newDialer(u)
	pool := func(verify func(tls.ConnectionState) error, offer ...string) *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(slices.Contains(offer, "http/1.1"))
		protocols.SetHTTP2(slices.Contains(offer, "h2"))
		protocols.SetUnencryptedHTTP2(len(offer) == 0)
		config := &tls.Config{RootCAs: u.Roots, MinVersion: tls.VersionTLS12, NextProtos: offer, VerifyConnection: verify, Certificates: present,
			ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		d := newTLSDialer(base, config, u)
		t.dialers = append(t.dialers, d)
		return &http.Transport{
			Proxy:                  u.absolute,
			DialContext:            d.DialPlain,
			DialTLSContext:         d.DialTLS,
			MaxIdleConns:           keptInAll,
			MaxIdleConnsPerHost:    keptPerHost,
			IdleConnTimeout:        keptFor,
			ExpectContinueTimeout:  continueTime,
			MaxResponseHeaderBytes: maxResponseHead,
			DisableCompression:     true, // what the child asked for is what it gets
			Protocols:              protocols,
			WriteBufferSize:        ioBuffer,
			ReadBufferSize:         ioBuffer,
		}
	}
	// HTTP/1.1 is offered by name, or a server of HTTP/2 alone could not say so.
	t.http1 = pool(nil, "http/1.1")
	t.http2 = pool(nil, "h2", "http/1.1")
	t.grpc = pool(needHTTP2, "h2")
	t.h2c = pool(nil)
	return t
}

// ahead makes a connection for a tunnel whose child speaks HTTP/2 or HTTP/1.1.
func (t *transports) ahead(http2 bool, address string) {
	if http2 {
		t.dialers[1].ahead(address)
	} else if _, ok := t.only2.get(address); !ok {
		t.dialers[0].ahead(address)
	}
}

// clientTime bounds an exchange with a token endpoint, its body included.
const clientTime = 30 * time.Second

// NewClient is a client that reaches the world as the proxy does: verified TLS, the
// parent's proxy, never a metadata service. It follows no redirect: what it sends is
// meant for one host.
func NewClient(u Upstream) *http.Client {
	return &http.Client{Transport: newTransports(u).http2, Timeout: clientTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (t *transports) close() {
	for _, pool := range t.all() {
		pool.CloseIdleConnections()
	}
	for _, d := range t.dialers {
		d.close()
	}
}

func (t *transports) all() []*http.Transport {
	return []*http.Transport{t.http1, t.http2, t.grpc, t.h2c}
}

// choose picks the pool for a request of the child.
func (t *transports) choose(r *http.Request) *http.Transport {
	switch {
	case isUpgrade(r.Header): // of an HTTP/2 child too
		return t.http1
	case r.ProtoMajor == 2 && r.TLS == nil:
		return t.h2c
	case isGRPC(r):
		return t.grpc
	case r.ProtoMajor == 2:
		return t.http2
	}
	return t.http1
}

// roundTrip sends out in the pool that suits the child's request in.
func (t *transports) roundTrip(out, in *http.Request) (*http.Response, error) {
	pool := t.choose(in)
	if pool == t.http1 && !isUpgrade(in.Header) {
		if _, ok := t.only2.get(out.URL.Host); ok {
			pool = t.http2
		}
	}
	resp, err := pool.RoundTrip(out)
	if err != nil && pool == t.http1 && refusesProtocol(err) {
		t.only2.keep(out.URL.Host, true)
		if !isUpgrade(in.Header) {
			return again(t.http2, out) // the handshake failed: nothing was sent
		}
	}
	return resp, err
}

// again sends a request whose body a transport has already closed.
func again(pool *http.Transport, out *http.Request) (*http.Response, error) {
	if out.GetBody != nil {
		body, err := out.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	return pool.RoundTrip(out)
}

// upstreamAnswer turns the error of a round trip into words: which step failed, and
// what to check. Errors of the standard library hold addresses, never header values.
func upstreamAnswer(err error, host string) Answer {
	a := Answer{Status: http.StatusBadGateway, Code: CodeUpstream, Message: fmt.Sprintf("%s: %v", host, rootCause(err)),
		Help: "the request may or may not have been carried out; check before you repeat it"}
	var (
		refused  *refusedAddress
		parent   *parentRefusal
		dns      *net.DNSError
		op       *net.OpError
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		tlsError = errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
	)
	switch {
	case errors.Is(err, errNoHTTP2), refusesProtocol(err):
		a.Code, a.Help = CodeUpstreamTLS, "gRPC needs a server that offers HTTP/2; check the host and the port"
		a.Message = fmt.Sprintf("%s: %v", host, errNoHTTP2)
	case errors.As(err, &refused):
		a.Code, a.Status, a.Help = CodeForbidden, http.StatusForbidden, "metadata services hand out the machine's own credentials; agentvault never connects to them"
	case errors.As(err, &parent), errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks")):
		a.Code, a.Help = CodeUpstreamProxy, "the proxy that HTTPS_PROXY or ALL_PROXY named when agentvault started did not serve; start it, or unset the variable and run again"
	case errors.As(err, &dns):
		a.Code, a.Help = CodeUpstreamName, "the name does not resolve on this machine; check its spelling, the network and DNS"
	case tlsError:
		a.Code, a.Help = CodeUpstreamTLS, "the server's certificate or TLS was not accepted and the request was not sent; a private authority belongs into SSL_CERT_FILE before agentvault starts"
	case errors.As(err, &op) && op.Op == "dial":
		a.Code, a.Help = CodeUpstreamDial, "nothing answers at this address and port; check that the server runs and can be reached from this machine"
	}
	return a
}

// parentRefusal is a parent's proxy that answered a CONNECT with anything but 200.
type parentRefusal struct {
	proxy  string
	status string
}

func (e *parentRefusal) Error() string { return fmt.Sprintf("proxy %s answered %s", e.proxy, e.status) }

func rootCause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
