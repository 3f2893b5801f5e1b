package proxy

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// exchange is one request on its way to the upstream and the answer on its way back.
type exchange struct {
	proxy   *Proxy
	call    *call
	tunnel  *tunnel
	in      *http.Request // the child's; its headers are never given a secret
	service *Service      // nil for a call that no service covers
	found   []inject.Found

	secret   keyring.Secret
	injected bool
	body     *childBody  // nil for a request without one
	trailer  http.Header // filled when the body has ended
}

func (p *Proxy) newExchange(c *call, t *tunnel, r *http.Request) *exchange {
	x := &exchange{proxy: p, call: c, tunnel: t, in: r}
	x.body = newChildBody(r, p.guard.leaks(), x.bodyEnded)
	if x.body != nil && (r.ContentLength < 0 || r.Trailer != nil) {
		x.trailer = make(http.Header, len(r.Trailer))
		for k := range r.Trailer {
			x.trailer[k] = nil // announced
		}
	}
	return x
}

// bodyEnded takes over the trailer, announced or not, which the server has read by now.
func (x *exchange) bodyEnded() error {
	for k, values := range x.in.Trailer {
		x.trailer[k] = values
	}
	return x.proxy.guard.leakedTrailer(x.trailer)
}

// outgoing is the request that the upstream will see, still without the credential. Its
// target is the tunnel's, whatever the request says of itself.
func (x *exchange) outgoing() *http.Request {
	r, t := x.in, x.tunnel
	name, defaultPort := "http", 80
	if t.secure {
		name, defaultPort = "https", 443
	}
	out := &http.Request{
		Method: r.Method,
		URL: &url.URL{
			Scheme: name, Host: joinAuthority(t.host, t.port, defaultPort),
			Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header:        r.Header.Clone(),
		Host:          r.Host,
		ContentLength: r.ContentLength,
		Trailer:       x.trailer,
	}
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or the transport would name itself
	}
	if x.body != nil {
		out.Body = x.body.reader()
	}
	return out
}

// run sends out and streams the answer to w.
func (x *exchange) run(w http.ResponseWriter, out *http.Request) {
	if x.body != nil && x.in.ProtoMajor == 1 {
		// Answers may come before the request's body has been read.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x.call.started()
	resp, err := x.send(w, out)
	if err != nil {
		x.failed(w, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	resp = x.retry(w, resp)
	x.call.event.Status = resp.StatusCode
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.upgrade(w, resp)
		return
	}
	x.deliver(w, resp)
}

// send makes one attempt.
func (x *exchange) send(w http.ResponseWriter, out *http.Request) (*http.Response, error) {
	if x.injected {
		// An echo can be found in a plain body without holding it back, and a body that holds
		// none passes as the server made it.
		out.Header["Accept-Encoding"] = []string{"identity"}
		// So can one in the frames of a WebSocket, unless they are compressed.
		delete(out.Header, "Sec-Websocket-Extensions")
	}
	if first, ok := out.Body.(*bodyReader); ok { // an injector may have put another in its place
		out.GetBody = func() (io.ReadCloser, error) { return first.b.reader(), nil }
	}
	i := &interim{x: x, w: w}
	defer i.stop()
	out = out.WithContext(httptrace.WithClientTrace(x.in.Context(), x.call.clock.trace(i.relay)))
	return x.proxy.transports.roundTrip(out, x.in)
}

// interim relays 1xx answers. The transport calls it from a goroutine of its own, which
// may be late.
type interim struct {
	x *exchange
	w http.ResponseWriter

	mu   sync.Mutex
	over bool
}

func (i *interim) relay(code int, h http.Header) error {
	// 101 is an answer. 100 is told by the server itself, when the transport reads the body.
	if code == http.StatusSwitchingProtocols || code == http.StatusContinue {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || i.x.in.ProtoMajor == 1 && i.x.in.ProtoMinor == 0 {
		return nil
	}
	cleanHops(h)
	copyHeader(i.w.Header(), h, i.x.proxy.guard.scrubbers())
	i.w.WriteHeader(code)
	clear(i.w.Header())
	return nil
}

func (i *interim) stop() {
	i.mu.Lock()
	i.over = true
	i.mu.Unlock()
}

// retry answers a 401 or 403 to an injected call: the secret is asked for again, past
// the cache, and if it has changed the request is repeated, once. The child sees the
// second answer. With an unchanged secret the upstream is not asked twice.
func (x *exchange) retry(w http.ResponseWriter, first *http.Response) *http.Response {
	if !x.injected || first.StatusCode != http.StatusUnauthorized && first.StatusCode != http.StatusForbidden {
		return first
	}
	if !x.body.again() || isUpgrade(x.in.Header) {
		return first
	}
	item, _, err := x.proxy.config.Secrets.Refresh(x.in.Context(), x.service.Secret)
	if err != nil || item.Value.Equal(x.secret) {
		return first
	}
	before := x.call.event
	again := x.outgoing()
	if a, _ := x.put(again, item); a.Code != "" {
		x.call.event = before
		return first
	}
	second, err := x.send(w, again)
	if err != nil {
		return first
	}
	_ = first.Body.Close()
	x.call.event.Reason = "the secret had changed; the request was repeated with the new one"
	return second
}

// failed answers a request that did not get through. A child that went away gets, and
// is told, nothing.
func (x *exchange) failed(w http.ResponseWriter, err error) {
	e := &x.call.event
	e.Sent = x.body.size()
	switch {
	case x.body.leaked():
		x.body.stop(w, x.in, drainTime)
		x.call.refuse(w, x.in, leakAnswer("the body"), event.Denied)
		return
	case x.in.Context().Err() != nil, x.body != nil && x.body.broke.Load():
		e.Verdict, e.Reason = event.Failed, "the client went away before the answer"
		x.body.stop(w, x.in, 0)
		x.call.ended()
		panic(http.ErrAbortHandler)
	case x.body.malformed():
		x.body.stop(w, x.in, drainTime)
		w.Header()["Connection"] = []string{"close"}
		x.call.refuse(w, x.in, Answer{Status: http.StatusBadRequest, Code: CodeBody,
			Message: "the request's body is malformed", Help: "its chunks do not follow RFC 9112 7.1; the upstream got no whole request"}, event.Denied)
		return
	}
	a := upstreamAnswer(err, x.tunnel.host)
	a.Message = x.proxy.guard.mask(a.Message)
	if x.service != nil {
		a.Service = x.service.Name
	}
	x.body.stop(w, x.in, drainTime)
	x.call.refuse(w, x.in, a, event.Failed)
}

// Headers that mean one connection only (RFC 9110 7.6.1), and those between a client
// and its proxy. Deno sends Proxy-Authorization inside the tunnel as well.
var hops = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// cleanHops removes what must not be forwarded, and keeps an upgrade and gRPC's "TE:
// trailers".
func cleanHops(h http.Header) {
	upgrade, trailers := "", false
	if isUpgrade(h) {
		upgrade = h.Get("Upgrade")
	}
	for _, v := range h["Te"] {
		trailers = trailers || strings.Contains(strings.ToLower(v), "trailers")
	}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hops {
		delete(h, name)
	}
	if upgrade != "" {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{upgrade}
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
}

// isUpgrade reports a request for another protocol on this connection. Those that would
// carry further HTTP requests past the rules (h2c, TLS inside) are taken for plain ones.
func isUpgrade(h http.Header) bool {
	names := h["Upgrade"]
	if len(names) != 1 {
		return false
	}
	for _, never := range []string{"h2c", "h2", "http", "tls"} {
		if name, _, _ := strings.Cut(strings.ToLower(names[0]), "/"); strings.Contains(","+strings.ReplaceAll(name, " ", "")+",", ","+never+",") {
			return false
		}
	}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "upgrade") {
				return true
			}
		}
	}
	return false
}
