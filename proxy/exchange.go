package proxy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// exchange is one request on its way to the upstream and the answer on its way back. What
// every request needs is a part of it: one allocation instead of many.
type exchange struct {
	proxy   *Proxy
	call    call
	tunnel  *tunnel
	in      *http.Request // the child's; its headers are never given a secret
	service *Service      // nil for a call that no service covers
	found   []inject.Found

	tries    keyring.Attempts // of a call with a credential
	rules    *Rules
	value    keyring.Secret // what is sent: the secret, or what it was exchanged for
	injected bool
	reissued bool        // the token endpoint refused a value of the secret, and was asked with another
	g        *scrubbers  // of the services that name this host; nil for none
	pool     *transports // the session's, or one with a client certificate
	body     *childBody  // nil for a request without one
	trailer  http.Header // filled when the body has ended
	extended *extended   // not nil for a WebSocket over HTTP/2
	open     sync.Mutex  // guards the call's event while its connection is switched

	clock   clockContext
	trace   httptrace.ClientTrace
	context context.Context // clock with trace, for the transport
	url     url.URL         // of the first attempt
	interim interim
}

// prepare takes over a request whose call has begun.
func (x *exchange) prepare(p *Proxy, t *tunnel, r *http.Request) {
	x.proxy, x.tunnel, x.in, x.pool = p, t, r, p.transports
	x.clock = clockContext{r.Context(), &x.call.clock}
	x.trace = httptrace.ClientTrace{GotConn: x.clock.clock.gotConn, GotFirstResponseByte: x.clock.clock.gotFirstByte, Got1xxResponse: x.relay}
	x.context = httptrace.WithClientTrace(&x.clock, &x.trace)
	if !hasBody(r) {
		return
	}
	x.body = newChildBody(r, p.guard.leaks(), x.bodyEnded)
	x.call.body = x.body
	if r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && strings.Contains(strings.ToLower(r.Header.Get("Expect")), "100-continue") {
		x.body.first = x.interim.proceed
	}
	if r.ContentLength < 0 || r.Trailer != nil {
		x.trailer = make(http.Header, len(r.Trailer))
		for k := range r.Trailer {
			x.trailer[k] = nil // announced
		}
	}
}

// beginning is the whole body, for what names the call, or why it cannot be looked at. It is
// kept all the same, and is sent as if nobody had looked. Where no rule asks for it, only a
// short one is read that is there at once: a client that waits for a 100 gets it from the
// server, not from us, and one that streams may want an answer first.
func (x *exchange) beginning() (content []byte, why string) {
	r, limit := x.in, int64(maxKept)
	if x.body == nil {
		return nil, ""
	}
	decides := x.operationsDecide()
	if decides {
		limit = maxTold
	}
	switch {
	case r.Header["Content-Encoding"] != nil:
		return nil, "its body is compressed"
	case r.ContentLength > limit:
		return nil, tooLong(limit)
	case !decides && (r.ContentLength < 0 || r.Header["Expect"] != nil):
		return nil, "its body was not waited for"
	}
	x.body.keepMore(r.ContentLength, limit)
	content, err := io.ReadAll(io.LimitReader(x.body.reader(), limit))
	switch {
	case err != nil:
		return nil, "its body cannot be read"
	case !x.body.complete(r.ContentLength):
		return nil, tooLong(limit)
	}
	return content, ""
}

// operationsDecide says that a rule for the host names operations.
func (x *exchange) operationsDecide() bool {
	t := x.tunnel
	return x.rules.Set.NamesOperations(t.host, t.port) ||
		!t.secure && t.port == 80 && x.rules.Set.NamesOperations(t.host, rule.DefaultPort) // see plainMatch
}

func tooLong(limit int64) string {
	return fmt.Sprintf("its body is longer than %d KiB", limit>>10)
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
	name, authority := t.authority()
	// A copy of the child's request, in which everything is set anew that is not the same.
	out := r.WithContext(x.context)
	out.URL = &x.url
	if x.url.Host != "" { // the first attempt's, which a transport may still read
		out.URL = new(url.URL)
	}
	*out.URL = url.URL{
		Scheme: name, Host: authority,
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
	}
	out.Host = authority // the same name, in the spelling that the rules saw
	// The lists of lines are shared: who changes one makes a new one.
	out.Header = maps.Clone(r.Header)
	out.Body, out.GetBody, out.Trailer, out.TransferEncoding = nil, nil, x.trailer, nil
	out.Close, out.RequestURI, out.TLS, out.Response = false, "", nil, nil
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or the transport would name itself
	}
	if severalRanges(r.Header) && len(x.proxy.rules.Load().Set.Services(t.host, t.port)) > 0 {
		delete(out.Header, "Range")
		delete(out.Header, "If-Range")
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
	x.keepRequest(out)
	x.call.started()
	resp, err := x.send(w, out)
	if err != nil {
		x.failed(w, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	resp = x.retry(w, resp)
	if resp.StatusCode != http.StatusSwitchingProtocols && (resp.StatusCode < 200 || resp.StatusCode > 999) {
		x.failed(w, fmt.Errorf("the server answered with the status %d, which there is not", resp.StatusCode))
		return
	}
	x.call.event.Status = resp.StatusCode
	x.keepResponse(resp.Header)
	if x.extended != nil && resp.StatusCode >= 200 && resp.StatusCode < 300 {
		x.abort(w, "the server did not switch protocols, and a 2xx would tell the client that it had")
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.upgrade(w, resp)
		return
	}
	x.deliver(w, resp)
}

// identity is a line that every request shares and nobody changes.
var identity = []string{"identity"}

// send makes one attempt.
func (x *exchange) send(w http.ResponseWriter, out *http.Request) (*http.Response, error) {
	x.g = x.proxy.searchFor(x.tunnel)
	if x.g != nil {
		// An echo can be found in a plain body without holding it back, and a body that holds
		// none passes as the server made it.
		out.Header["Accept-Encoding"] = identity
		for _, name := range messageEncodings {
			if out.Header[name] != nil {
				out.Header[name] = identity
			}
		}
	}
	if x.plainFrames() {
		delete(out.Header, "Sec-Websocket-Extensions")
	}
	if first, ok := out.Body.(*bodyReader); ok { // an injector may have put another in its place
		out.GetBody = func() (io.ReadCloser, error) { return first.b.reader(), nil }
	}
	x.interim.begin(w)
	defer x.interim.stop()
	return x.pool.roundTrip(out, x.in)
}

// What gRPC and Connect call the encodings of their messages.
var messageEncodings = [...]string{"Grpc-Accept-Encoding", "Connect-Accept-Encoding"}

// plainFrames says that the frames of a WebSocket are looked into, which cannot be done
// where an extension compresses them.
func (x *exchange) plainFrames() bool { return x.g != nil || x.searchesFrames() }

// interim is where 1xx answers go. The transport relays them from a goroutine of its
// own, which may be late.
type interim struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil when it is too late
}

func (i *interim) begin(w http.ResponseWriter) {
	i.mu.Lock()
	i.w = w
	i.mu.Unlock()
}

func (i *interim) stop() { i.begin(nil) }

// proceed tells the child to send its body, where other interim answers may go out: the server
// would do it at the first read without a thought for them, and write into the middle of one.
func (i *interim) proceed() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.w != nil {
		i.w.WriteHeader(http.StatusContinue)
	}
}

// relay passes a 1xx answer on.
func (x *exchange) relay(code int, lines textproto.MIMEHeader) error {
	// 101 is an answer. 100 is told when the transport reads the body.
	if code == http.StatusSwitchingProtocols || code == http.StatusContinue {
		return nil
	}
	x.interim.mu.Lock()
	defer x.interim.mu.Unlock()
	w, h := x.interim.w, http.Header(lines)
	if w == nil || x.in.ProtoMajor == 1 && x.in.ProtoMinor == 0 {
		return nil
	}
	cleanHops(h)
	copyHeader(w.Header(), h, x.g)
	w.WriteHeader(code)
	clear(w.Header())
	return nil
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
