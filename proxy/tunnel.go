package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
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
	defer p.untrack(c) // the inner server has it then
	// Both while the child reads on.
	if http2, known := p.habits.guess(t); known {
		p.dialAhead(t, http2)
	}
	go func() { _, _ = p.config.Authority.Leaf(t.host) }()
	if _, err := io.WriteString(c, established); err != nil {
		_ = c.Close()
		return
	}
	first, err := c.peek(p.firstByteTime)
	if err != nil {
		// A client that opens tunnels ahead of need and closes them has said nothing.
		if isTimeout(err) {
			p.note(t, "CONNECT", Answer{Code: CodeNotTLS, Message: fmt.Sprintf("nothing was sent through the tunnel for %s; a protocol in which the server speaks first cannot be intercepted", p.firstByteTime),
				Help: "add the host to tunnel in agentvault.toml if the agent needs it"})
		}
		_ = c.Close()
		return
	}
	switch {
	case first == 22: // a TLS handshake record, RFC 8446 5.1
		p.handshake(c, t)
	case 'A' <= first && first <= 'Z': // an HTTP method: ws:// through a proxy is asked for like this
		p.habits.forget(t)
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
	ctx, cancel := context.WithTimeout(context.Background(), p.handshakeTime)
	defer cancel()
	p.watch(t)
	if err := s.HandshakeContext(ctx); err != nil {
		if c.alert != 0 {
			err = fmt.Errorf("remote error: %w", c.alert)
		}
		p.note(t, "CONNECT", p.distrust(err, t))
		_ = s.Close()
		return
	}
	p.closedAtOnce(c, t)
	if !p.inside.give(s) {
		_ = s.Close()
	}
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

// dialTunnel connects to a tunnel's host.
func (p *Proxy) dialTunnel(t *tunnel) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	return p.config.Upstream.reach(ctx, p.dialer, "https", net.JoinHostPort(t.host, strconv.Itoa(t.port)))
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
