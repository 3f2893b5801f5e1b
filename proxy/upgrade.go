package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// The log is told this often how much has gone over a connection that is open, if it is
// more than before. A gateway's connection is open for days, and who asks what an agent
// does should not have to wait for its end.
const tellTime = time.Minute

// upgrade carries a switched connection until one side has ended. The frames of a
// WebSocket are searched for secrets in both directions; everything else, and what an
// extension encodes on a connection without a credential, passes byte for byte.
func (x *exchange) upgrade(w http.ResponseWriter, resp *http.Response) {
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	switch {
	case !ok, !isUpgrade(x.in.Header), !strings.EqualFold(resp.Header.Get("Upgrade"), x.in.Header.Get("Upgrade")):
		x.abort(w, "the server switched to a protocol that was not asked for")
	case x.injected && !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket"):
		x.abort(w, "a call with a credential was switched to a protocol that cannot be searched")
	case x.plainFrames() && resp.Header["Sec-Websocket-Extensions"] != nil:
		x.abort(w, "the server uses a WebSocket extension that was not asked for, and its frames could not be searched")
	case x.extended != nil && !x.extended.accepted(resp.Header):
		x.abort(w, "the server's answer does not belong to the WebSocket key that it was sent (RFC 6455 4.2.2)")
	}
	s := &switched{upstream: upstream, told: x.progress}
	if strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") && resp.Header["Sec-Websocket-Extensions"] == nil {
		s.g, s.edit = x.g, x.editor()
	}
	open := x.hijack
	if x.extended != nil {
		open = x.extend
	}
	child, err := open(w, resp)
	if err != nil {
		x.call.event.Reason = "the client went away before the answer"
		x.call.ended()
		return
	}
	s.child = child
	x.progress(0, 0)
	x.endUpgrade(s.run(), s)
}

// hijack takes the connection of an HTTP/1.1 child, which has been told that it is open.
func (x *exchange) hijack(w http.ResponseWriter, resp *http.Response) (io.ReadWriteCloser, error) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		x.abort(w, err.Error())
	}
	if !x.proxy.track(conn) {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	child := &hijacked{Conn: conn, proxy: x.proxy}
	// What came together with the request stands in the buffer.
	child.from = io.MultiReader(ahead(buffer.Reader), conn)
	if err := writeSwitch(buffer.Writer, resp, x.g); err != nil {
		_ = child.Close()
		return nil, err
	}
	return child, nil
}

// hijacked is the connection of a child that has left HTTP/1.1.
type hijacked struct {
	net.Conn
	from  io.Reader
	proxy *Proxy
}

func (h *hijacked) Read(p []byte) (int, error) { return h.from.Read(p) }

// CloseWrite ends what is sent to the child.
func (h *hijacked) CloseWrite() error {
	closeWrite(h.Conn)
	return nil
}

func (h *hijacked) Close() error {
	h.proxy.untrack(h.Conn)
	return h.Conn.Close()
}

// abort ends a call whose upgrade cannot be served. The socket is closed: a 4xx is fatal
// to some clients, where a closed connection makes them fall back.
func (x *exchange) abort(w http.ResponseWriter, why string) {
	x.call.event.Verdict, x.call.event.Code, x.call.event.Reason = event.Failed, CodeUpstream, why
	x.call.ended()
	x.body.stop(w, x.in, 0)
	panic(http.ErrAbortHandler)
}

// progress tells the log of an open connection: another start of the same call, with
// what has gone over it so far.
func (x *exchange) progress(sent, received int64) {
	x.open.Lock()
	defer x.open.Unlock()
	e := x.call.event
	e.Phase, e.Sent, e.Received = event.Start, sent, received
	x.proxy.config.Sink(e)
}

func (x *exchange) endUpgrade(err error, s *switched) {
	e := &x.call.event
	e.Sent, e.Received = s.sent.Load(), s.received.Load()
	var refused *frameRefusal
	switch {
	case errors.Is(err, scrub.ErrFound):
		a := leakAnswer("a WebSocket message")
		e.Verdict, e.Code, e.Reason = event.Denied, a.Code, a.Message
	case errors.As(err, &refused):
		e.Verdict, e.Code, e.Reason = refused.verdict, refused.answer.Code, refused.answer.Message
	case errors.Is(err, errFrame):
		e.Verdict, e.Code, e.Reason = event.Failed, CodeUpstream, err.Error()
	}
	x.call.ended()
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
