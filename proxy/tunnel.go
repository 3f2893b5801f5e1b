package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentvault/proxy/event"
)

const established = "HTTP/1.1 200 Connection Established\r\n\r\n"

type tunnelKey struct{}

// withTunnel finds the tunnel below the connection that the inner server was handed.
func withTunnel(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(*tls.Conn); ok {
		c = s.NetConn()
	}
	return context.WithValue(ctx, tunnelKey{}, c.(*tunnelConn).tunnel)
}

// leaf answers the child's handshake with the certificate of the CONNECT host. A child
// that asks for another name by SNI gets this one all the same and is told at its
// request (421), where it can read why.
func (p *Proxy) leaf(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.config.Authority.Leaf(hello.Conn.(*tunnelConn).tunnel.host)
}

// greeted is called when the child's first words have come. They tell the protocol that
// it will speak, so the upstream can be dialled at the same time.
func (p *Proxy) greeted(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	t := hello.Conn.(*tunnelConn).tunnel
	rules := p.rules.Load()
	switch rules.Unmatched {
	case Ask, Deny: // nothing may be asked of a host that will be refused, not even its name
		if !rules.Set.Covers(t.host, t.port) {
			return nil, nil
		}
	}
	p.transports.ahead(slices.Contains(hello.SupportedProtos, "h2"), net.JoinHostPort(t.host, strconv.Itoa(t.port)))
	return nil, nil
}

// intercept owns conn: it ends the child's TLS, or takes plain HTTP, and hands the
// connection to the inner server.
func (p *Proxy) intercept(conn net.Conn, t *tunnel) {
	c, ok := conn.(*tunnelConn)
	if !ok {
		c = &tunnelConn{Conn: conn}
	}
	c.tunnel = t
	if !p.track(c) {
		_ = c.Close()
		return
	}
	defer p.untrack(c)                                     // the inner server has it then
	go func() { _, _ = p.config.Authority.Leaf(t.host) }() // minted while the child reads on
	if _, err := io.WriteString(c, established); err != nil {
		_ = c.Close()
		return
	}
	first, err := c.peek(firstByteTime)
	if err != nil {
		// A client that opens tunnels ahead of need and closes them has said nothing.
		if isTimeout(err) {
			p.note(t, "CONNECT", Answer{Code: CodeNotTLS, Message: "nothing was sent through the tunnel for 30 s; a protocol in which the server speaks first cannot be intercepted",
				Help: "add the host to tunnel in agentvault.toml if the agent needs it"})
		}
		_ = c.Close()
		return
	}
	switch {
	case first == 22: // a TLS handshake record, RFC 8446 5.1
		p.handshake(c, t)
	case 'A' <= first && first <= 'Z': // an HTTP method: ws:// through a proxy is asked for like this
		if !p.inside.give(c) {
			_ = c.Close()
		}
	default:
		p.note(t, "CONNECT", Answer{Code: CodeNotTLS, Message: "neither TLS nor HTTP was spoken inside the tunnel, and it was closed",
			Help: "add the host to tunnel in agentvault.toml if the agent needs it"})
		_ = c.Close()
	}
}

// peek waits for the first byte without consuming it.
func (c *tunnelConn) peek(limit time.Duration) (byte, error) {
	if len(c.ahead) > 0 {
		return c.ahead[0], nil
	}
	_ = c.SetReadDeadline(time.Now().Add(limit))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	// A ClientHello fits; what is read here saves crypto/tls its first read.
	buffer := make([]byte, 2048)
	n, err := c.Conn.Read(buffer)
	if n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return 0, err
	}
	c.ahead = buffer[:n]
	return c.ahead[0], nil
}

func (p *Proxy) handshake(c *tunnelConn, t *tunnel) {
	t.secure = true
	s := tls.Server(c, p.tls)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		if c.alert != 0 {
			err = fmt.Errorf("remote error: %w", c.alert)
		}
		p.note(t, "CONNECT", handshakeAnswer(err, t))
		_ = s.Close()
		return
	}
	if !p.inside.give(s) {
		_ = s.Close()
	}
}

// handshakeAnswer explains why a child did not finish the handshake; it is for the
// log and the view, the child is gone.
func handshakeAnswer(err error, t *tunnel) Answer {
	var alert tls.AlertError
	text := err.Error()
	rejected := errors.As(err, &alert) || strings.Contains(text, "remote error")
	switch {
	case rejected && (strings.Contains(text, "certificate") || strings.Contains(text, "unknown")),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "connection reset"):
		return Answer{Code: CodeCertificate, Message: fmt.Sprintf("the client did not accept the session's certificate for %s (%s)", t.host, text),
			Help: trustHelp(t.client)}
	case isTimeout(err):
		return Answer{Code: CodeHandshake, Message: fmt.Sprintf("the client did not finish its TLS handshake for %s", t.host)}
	}
	return Answer{Code: CodeHandshake, Message: fmt.Sprintf("TLS with the client failed for %s: %s", t.host, text)}
}

// trustHelp names the variable that makes a client trust the session's CA. The session
// has set them all: a client that still refuses replaced it, or reads none.
func trustHelp(client string) string {
	name := strings.ToLower(client)
	for _, v := range []struct{ in, variable string }{
		{"curl", "CURL_CA_BUNDLE"}, {"git", "GIT_SSL_CAINFO"}, {"python-requests", "REQUESTS_CA_BUNDLE"},
		{"pip", "PIP_CERT"}, {"python", "SSL_CERT_FILE"}, {"node", "NODE_EXTRA_CA_CERTS"}, {"npm", "NODE_EXTRA_CA_CERTS"},
		{"undici", "NODE_EXTRA_CA_CERTS"}, {"go-http-client", "SSL_CERT_FILE"}, {"java", "JAVA_TOOL_OPTIONS"},
		{"deno", "DENO_CERT"}, {"cargo", "CARGO_HTTP_CAINFO"}, {"wget", "WGETRC"}, {"ruby", "SSL_CERT_FILE"}, {"codex", "CODEX_CA_CERTIFICATE"},
	} {
		if strings.Contains(name, v.in) {
			return fmt.Sprintf("%s trusts what %s names; see that nothing between agentvault and it sets another value", client, v.variable)
		}
	}
	return "the client keeps certificates of its own; give it the file that SSL_CERT_FILE names, or add the host to tunnel in agentvault.toml"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// splice owns conn: it carries the bytes of a host that is never intercepted.
func (p *Proxy) splice(conn net.Conn, t *tunnel) {
	defer func() { _ = conn.Close() }()
	c := p.begin(t, "CONNECT", "tcp", "")
	c.event.Client = t.client
	upstream, err := p.dialTunnel(t)
	if err != nil {
		a := upstreamAnswer(err, t.host)
		c.answered(a, event.Failed)
		_ = a.response(nil).Write(conn)
		return
	}
	defer func() { _ = upstream.Close() }()
	if !p.track(conn) { // the session is over
		c.event.Verdict = event.Failed
		c.ended()
		return
	}
	defer p.untrack(conn)
	c.event.Verdict, c.event.Reason = event.Tunnelled, "the configuration says never to intercept this host"
	c.started()
	if _, err := io.WriteString(conn, established); err != nil {
		c.ended()
		return
	}
	c.event.Sent, c.event.Received = pipe(conn, upstream)
	c.ended()
}

// dialTunnel connects to a tunnel's host, through the parent's proxy where there is one.
func (p *Proxy) dialTunnel(t *tunnel) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	address := net.JoinHostPort(t.host, strconv.Itoa(t.port))
	if p.config.Upstream.Proxy != nil {
		parent, err := p.config.Upstream.Proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: address}})
		if err != nil {
			return nil, err
		}
		if parent != nil {
			return dialThrough(ctx, p.dialer, p.config.Upstream.Roots, parent, address)
		}
	}
	return p.dialer.DialContext(ctx, "tcp", address)
}

// pipe copies both ways until both have ended and counts what it copied.
func pipe(child, upstream net.Conn) (sent, received int64) {
	var wg sync.WaitGroup
	wg.Go(func() {
		sent, _ = io.Copy(upstream, child)
		closeWrite(upstream)
	})
	received, _ = io.Copy(child, upstream)
	closeWrite(child)
	wg.Wait()
	return sent, received
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}
