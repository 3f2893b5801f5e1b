package proxy

import (
	"bufio"
	"io"
	"net/http"
	"sync"

	"agentvault/proxy/event"
)

// upgrade carries a switched connection, such as a WebSocket, byte for byte until both
// sides have ended. The frames themselves are not searched for echoes.
func (x *exchange) upgrade(w http.ResponseWriter, resp *http.Response) {
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	e := &x.call.event
	if !ok {
		e.Verdict, e.Reason = event.Failed, "the server switched protocols on a connection that cannot"
		x.call.ended()
		panic(http.ErrAbortHandler)
	}
	child, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil { // an HTTP/2 stream; extended CONNECT is not offered, so none gets here
		e.Verdict, e.Reason = event.Failed, err.Error()
		x.call.ended()
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = child.Close() }()
	if !x.proxy.track(child) {
		return
	}
	defer x.proxy.untrack(child)
	upgrade := resp.Header.Get("Upgrade")
	cleanHops(resp.Header)
	resp.Header.Set("Connection", "Upgrade")
	resp.Header.Set("Upgrade", upgrade)
	if err := writeSwitch(buffer.Writer, resp, x.proxy.guard.scrubbers()); err != nil {
		x.call.ended()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		// What came together with the request stands in the buffer.
		e.Sent, _ = io.Copy(upstream, io.MultiReader(ahead(buffer.Reader), child))
		_ = upstream.Close() // the transport's connection has no half
	})
	e.Received, _ = io.Copy(child, upstream)
	_ = child.Close()
	wg.Wait()
	x.call.ended()
}

func (x *exchange) finishUpgrade() { x.call.ended() }

func writeSwitch(w *bufio.Writer, resp *http.Response, g *scrubbers) error {
	h := make(http.Header)
	copyHeader(h, resp.Header, g)
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
