package proxy

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// tunnel is what is known of one client connection once its CONNECT was accepted. But for
// searched it never changes after it was made: several HTTP/2 streams read it at once.
type tunnel struct {
	host   string // of the CONNECT line: lower case, no trailing dot, no brackets
	port   int
	secure bool    // the child speaks TLS inside
	client string  // the program, where the kernel or its CONNECT told
	peer   *client // who to ask the kernel about; may be nil

	// The host with its port, as URLs of https and http write it.
	https, http string
	allowed     bool // refusedHost was asked already

	used     atomic.Bool              // a request has come
	searched atomic.Pointer[searched] // what its answers are searched for
}

// searched remembers what was found for a tunnel, and from which state of the session.
type searched struct {
	rules *Rules
	known *known
	g     *scrubbers
}

// searchFor returns what the answers of a tunnel's host are searched for, nil where no
// secret is known of a service that names it.
func (p *Proxy) searchFor(t *tunnel) *scrubbers {
	rules, known := p.rules.Load(), p.guard.known.Load()
	if s := t.searched.Load(); s != nil && s.rules == rules && s.known == known {
		return s.g
	}
	g := p.guard.of(rules.Set.Services(t.host, t.port))
	t.searched.Store(&searched{rules, known, g})
	return g
}

func newTunnel(host string, port int, client string) *tunnel {
	return &tunnel{host: host, port: port, client: client, https: joinAuthority(host, port, 443), http: joinAuthority(plainHost(host), port, 80)}
}

// plainHost is the host that plain HTTP connects to. Nothing says there who answers, and
// localhost is two addresses: the child may listen on the one that the service does not.
func plainHost(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return host
}

// authority is how the host stands in a URL, and its scheme.
func (t *tunnel) authority() (scheme, authority string) {
	if t.secure {
		return "https", t.https
	}
	return "http", t.http
}

// tunnelConn carries its tunnel through crypto/tls and net/http to the handler. Its
// bytes begin with what the door had read ahead.
type tunnelConn struct {
	net.Conn
	ahead  []byte
	tunnel *tunnel
	alert  tls.AlertError // the plain alert that came last, 0 for none; see keepAlert

	// For closedAtOnce.
	last   int         // what the last Read of the handshake brought
	silent atomic.Bool // nothing has come since
	closed func()
	once   sync.Once
}

func (c *tunnelConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		n, err := c.Conn.Read(p)
		c.keepAlert(p[:n])
		if c.silent.Load() {
			c.silent.Store(n == 0)
		} else {
			c.last = n
		}
		return n, err
	}
	n := copy(p, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil
	}
	return n, nil
}

// keepAlert remembers an alert that is not encrypted. OpenSSL (seen with 3.0) refuses our
// certificate before it has changed to the keys of the handshake, and crypto/tls, which has,
// can say no more of those bytes than "bad record MAC".
func (c *tunnelConn) keepAlert(p []byte) {
	const length = 7 // type, version (2), length (2), level, description: RFC 8446 5.1 and 6
	if len(p) < length {
		return
	}
	p = p[len(p)-length:]
	if p[0] == 21 && p[1] == 3 && p[3] == 0 && p[4] == 2 {
		c.alert = tls.AlertError(p[6])
	}
}

// Close implements net.Conn.
func (c *tunnelConn) Close() error {
	if c.silent.Load() {
		c.once.Do(c.closed)
	}
	return c.Conn.Close()
}

// CloseWrite lets crypto/tls and the splicer end one direction.
func (c *tunnelConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// aheadWriter keeps what net/http had read behind the CONNECT head. goproxy drops the
// buffer that Hijack returns, and a client that sends its ClientHello together with
// the CONNECT would lose it.
type aheadWriter struct{ http.ResponseWriter }

func (w aheadWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &tunnelConn{Conn: conn}
	if n := buffer.Reader.Buffered(); n > 0 {
		peeked, _ := buffer.Reader.Peek(n)
		c.ahead = append([]byte(nil), peeked...)
	}
	return c, buffer, nil
}

// handoff is a net.Listener whose connections were accepted elsewhere.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff(addr net.Addr) *handoff {
	return &handoff{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands c to the server that accepts here; it reports false once that has closed.
func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handoff) Addr() net.Addr { return h.addr }
