package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// upgrade carries a switched connection until one side has ended. The frames of a
// WebSocket are searched for secrets in both directions; everything else, and what an
// extension encodes on a connection without a credential, passes byte for byte.
func (x *exchange) upgrade(w http.ResponseWriter, resp *http.Response) {
	e := &x.call.event
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	switch {
	case !ok, !isUpgrade(x.in.Header), !strings.EqualFold(resp.Header.Get("Upgrade"), x.in.Header.Get("Upgrade")):
		x.abort("the server switched to a protocol that was not asked for")
	case x.injected && !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket"):
		x.abort("a call with a credential was switched to a protocol that cannot be searched")
	case x.g != nil && resp.Header["Sec-Websocket-Extensions"] != nil:
		x.abort("the server uses a WebSocket extension that was not asked for, and its frames could not be searched")
	}
	child, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil { // an HTTP/2 stream; extended CONNECT is not offered, so none gets here
		x.abort(err.Error())
	}
	defer func() { _ = child.Close() }()
	if !x.proxy.track(child) {
		x.call.ended()
		return
	}
	defer x.proxy.untrack(child)
	websocket := strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") && resp.Header["Sec-Websocket-Extensions"] == nil
	g := x.g
	if err := writeSwitch(buffer.Writer, resp, g); err != nil {
		e.Reason = "the client went away before the answer"
		x.call.ended()
		return
	}
	s := &switched{child: child, upstream: upstream}
	if websocket {
		s.g = g
	}
	// What came together with the request stands in the buffer.
	x.endUpgrade(s.run(io.MultiReader(ahead(buffer.Reader), child)), s)
}

// abort ends a call whose upgrade cannot be served. The socket is closed: a 4xx is fatal
// to some clients, where a closed connection makes them fall back.
func (x *exchange) abort(why string) {
	x.call.event.Verdict, x.call.event.Code, x.call.event.Reason = event.Failed, CodeUpstream, why
	x.call.ended()
	panic(http.ErrAbortHandler)
}

func (x *exchange) endUpgrade(err error, s *switched) {
	e := &x.call.event
	e.Sent, e.Received = s.sent, s.received
	switch {
	case errors.Is(err, scrub.ErrFound):
		a := leakAnswer("a WebSocket message")
		e.Verdict, e.Code, e.Reason = event.Denied, a.Code, a.Message
	case errors.Is(err, errFrame):
		e.Verdict, e.Code, e.Reason = event.Failed, CodeUpstream, err.Error()
	}
	x.call.ended()
}

// switched is a connection that has left HTTP.
type switched struct {
	child    net.Conn
	upstream io.ReadWriteCloser
	g        *scrubbers // nil: the bytes pass as they are

	sent, received int64
}

// run copies both ways until one has ended, and returns why the child's frames, or else
// the server's, could not be passed on.
func (s *switched) run(fromChild io.Reader) error {
	up, down := &counted{fromChild, &s.sent}, &counted{s.upstream, &s.received}
	sent := make(chan error, 1)
	go func() {
		var err error
		if s.g == nil {
			_, err = io.Copy(s.upstream, up)
		} else {
			err = newFrames(s.upstream, up, stopFrames(s.g.free)).run()
		}
		_ = s.upstream.Close() // the transport's connection has no half
		sent <- err
	}()
	var err error
	if s.g == nil {
		_, err = io.Copy(s.child, down)
	} else {
		err = newFrames(s.child, down, maskFrames(s.g)).run()
	}
	_ = s.child.Close()
	if e := <-sent; errors.Is(e, scrub.ErrFound) || errors.Is(e, errFrame) {
		return e
	}
	return err
}

func writeSwitch(w *bufio.Writer, resp *http.Response, g *scrubbers) error {
	upgrade := resp.Header.Get("Upgrade")
	cleanHops(resp.Header)
	h := make(http.Header)
	copyHeader(h, resp.Header, g)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{upgrade}
	if _, err := io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\n"); err != nil {
		return err
	}
	if err := h.Write(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	return w.Flush()
}

// ahead is what the server had read behind the request's head.
func ahead(r *bufio.Reader) io.Reader {
	n := r.Buffered()
	return io.LimitReader(r, int64(n))
}
