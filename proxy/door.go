package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/elazarl/goproxy"
)

// client is what is known of one connection to the door. The kernel is asked at most
// once for each.
type client struct {
	conn    net.Conn
	known   bool // a request of it was let in; its requests come one after another
	once    sync.Once
	owned   bool
	program string
}

type clientKey struct{}

func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, &client{conn: c})
}

// recognise is called for each request that was let in.
func (c *client) recognise() {
	if b, ok := c.conn.(*boundedConn); ok && !c.known {
		b.recognise()
	}
	c.known = true
}

// enter is the handler of the listener: it lets the session's own child in, and sorts
// CONNECT, absolute-form and everything else.
func (p *Proxy) enter(w http.ResponseWriter, r *http.Request) {
	p.active.Add(1)
	defer p.active.Add(-1)
	c := r.Context().Value(clientKey{}).(*client)
	if !p.admits(c, r) {
		Answer{Status: http.StatusProxyAuthRequired, Code: CodeAuth,
			Message: "this proxy serves one agentvault session and the request did not come from it",
			Help:    "use the HTTPS_PROXY that the session's environment holds, user name and password included"}.write(w)
		return
	}
	c.recognise()
	switch {
	case r.Method == http.MethodConnect:
		p.goproxy.ServeHTTP(aheadWriter{w}, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		p.plain(w, r)
	case r.URL.Scheme == "https":
		Answer{Status: http.StatusBadRequest, Code: CodeTLSStripping,
			Message: "an https:// request came to the proxy in absolute form, which would send it here unencrypted",
			Help:    "the client must open a tunnel with CONNECT; set HTTPS_PROXY for it, not only ALL_PROXY"}.write(w)
	default:
		Answer{Status: http.StatusBadRequest, Code: CodeNotProxy,
			Message: "this is a proxy: it expects CONNECT HOST:PORT, or an absolute http:// address",
			Help:    "address the server itself and let HTTP_PROXY and HTTPS_PROXY lead here"}.write(w)
	}
}

// admits decides whether a request is the session's own: it shows the token, or the
// kernel says that its socket belongs to the child's process tree.
func (p *Proxy) admits(c *client, r *http.Request) bool {
	if password, ok := proxyPassword(r.Header); ok &&
		subtle.ConstantTimeCompare([]byte(password), []byte(p.config.Token)) == 1 {
		return true
	}
	p.identify(c)
	return c.owned
}

func (p *Proxy) identify(c *client) {
	c.once.Do(func() {
		if p.config.Owns == nil {
			return
		}
		remote, err1 := netip.ParseAddrPort(c.conn.RemoteAddr().String())
		local, err2 := netip.ParseAddrPort(c.conn.LocalAddr().String())
		if err1 == nil && err2 == nil {
			c.program, c.owned = p.config.Owns(remote, local)
		}
	})
}

// proxyPassword reads the password of Proxy-Authorization. httplib2 writes the scheme
// in lower case.
func proxyPassword(h http.Header) (string, bool) {
	scheme, value, ok := strings.Cut(h.Get("Proxy-Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		return "", false
	}
	_, password, ok := strings.Cut(string(raw), ":")
	return password, ok
}

// plain takes an absolute-form http:// request: each carries its own target.
func (p *Proxy) plain(w http.ResponseWriter, r *http.Request) {
	host, port, err := splitAuthority(r.URL.Host, 80)
	if err != nil {
		badHost(err).write(w)
		return
	}
	if s := p.guard.leaks(); s != nil && holds(s, r.URL.Host) {
		a := leakAnswer("the host name")
		p.note(newTunnel(p.guard.mask(host), port, ""), r.Method, a)
		a.write(w)
		return
	}
	p.handle(w, r, newTunnel(host, port, program(r)), nil)
}

func badHost(err error) Answer {
	return Answer{Status: http.StatusBadRequest, Code: CodeBadHost, Message: err.Error(),
		Help: "a proxy request names a host, and a port where it is not the default"}
}

// newGoproxy makes the CONNECT side. Nothing of goproxy's own dialling, signing or
// logging is left in it: they default from the environment and from a public key.
func newGoproxy(p *Proxy, quiet *log.Logger) *goproxy.ProxyHttpServer {
	g := goproxy.NewProxyHttpServer()
	g.Logger = quiet
	g.Tr = p.transports.http1
	g.CertStore = nil
	g.ConnectDial = func(network, addr string) (net.Conn, error) {
		return nil, fmt.Errorf("dial %s %s: agentvault dials by itself", network, addr)
	}
	g.OnRequest().HandleConnectFunc(func(_ string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		return p.connect(ctx)
	})
	return g
}

// connect decides what a CONNECT becomes.
func (p *Proxy) connect(ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
	r := ctx.Req
	authority := r.RequestURI // what net/url makes of it may have dropped a user, a path or an escape
	reject := func(a Answer) (*goproxy.ConnectAction, string) {
		ctx.Resp = a.response(r)
		return &goproxy.ConnectAction{Action: goproxy.ConnectReject}, authority
	}
	host, port, err := splitAuthority(authority, 443)
	if err != nil {
		return reject(badHost(err))
	}
	c := r.Context().Value(clientKey{}).(*client)
	t := newTunnel(host, port, program(r))
	if t.peer = c; t.client == "" {
		t.client = c.program
	}
	if s := p.guard.leaks(); s != nil && holds(s, authority) {
		a := leakAnswer("the host name")
		t.host = p.guard.mask(host)
		p.note(t, "CONNECT", a)
		return reject(a)
	}
	if a, refused := refusedHost(host); refused {
		p.note(t, "CONNECT", a)
		return reject(a)
	}
	t.allowed = true
	hijack := p.intercept
	for _, h := range p.rules.Load().Tunnel {
		if h.Match(host, port) {
			hijack = p.splice
		}
	}
	return &goproxy.ConnectAction{
		Action: goproxy.ConnectHijack,
		Hijack: func(_ *http.Request, conn net.Conn, _ *goproxy.ProxyCtx) { hijack(conn, t) },
	}, authority
}

// Names by which clouds reach their metadata services.
var metadataNames = map[string]bool{"metadata.google.internal": true, "metadata.goog": true, "metadata": true, "instance-data": true, "instance-data.ec2.internal": true}

// refusedHost knows the targets that need no look-up to be refused. The dialer decides
// for all others, by address; behind a parent's proxy only this is left.
func refusedHost(host string) (Answer, bool) {
	ip, err := netip.ParseAddr(host)
	if (err == nil && neverDialled(ip)) || metadataNames[host] {
		return Answer{Status: http.StatusForbidden, Code: CodeForbidden,
			Message: fmt.Sprintf("%s is never dialled (link-local and metadata services)", host),
			Help:    "metadata services hand out the machine's own credentials; agentvault never connects to them"}, true
	}
	return Answer{}, false
}

// program is the first word of the User-Agent, the way most clients name themselves.
// Browsers all begin with the same one and name themselves further on.
func program(r *http.Request) string {
	agent := r.UserAgent()
	if strings.HasPrefix(agent, "Mozilla/") {
		for _, browser := range [...]string{"Edg/", "HeadlessChrome/", "Chrome/", "Firefox/"} {
			if i := strings.Index(agent, browser); i >= 0 {
				agent = agent[i:]
				break
			}
		}
	}
	if i := strings.IndexAny(agent, " (;,"); i >= 0 {
		agent = agent[:i]
	}
	if len(agent) > 64 {
		agent = agent[:64]
	}
	return agent
}
