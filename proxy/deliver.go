package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

const (
	chunk = 32 << 10
	// A body that the server announced as this small is looked at as a whole, so that an
	// echo in it can be replaced and its length corrected.
	smallBody = 64 << 10
	// The head of a small body waits this long for the body, to leave in one packet with it.
	headWait = 5 * time.Millisecond
)

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// deliver streams an answer to the child. A body that breaks off upstream breaks off
// here too: it never looks like a whole one.
func (x *exchange) deliver(w http.ResponseWriter, resp *http.Response) {
	g := x.head(w, resp)
	var err error
	switch {
	case x.in.Method == http.MethodHead, resp.ContentLength == 0 && len(resp.Trailer) == 0:
		w.WriteHeader(resp.StatusCode)
	case g != nil && inParts(resp):
		x.withhold(w, errors.New("the server answered in several parts, which was not asked for"))
	case g != nil && encodings(resp.Header) != "":
		err = x.deliverPacked(w, resp, g)
	case 0 < resp.ContentLength && resp.ContentLength <= smallBody && (g == nil || !enveloped(resp.Header.Get("Content-Type"))):
		err = x.deliverSmall(w, resp, g)
	default:
		err = x.deliverStream(w, resp, resp.Body, g)
	}
	if err == nil && len(resp.Trailer) > 0 {
		x.keepResponse(resp.Trailer)
		for k, values := range resp.Trailer {
			if ours(k) || g.named(k) || len(values) == 0 { // one that was announced may not come
				continue
			}
			w.Header()[http.TrailerPrefix+k] = g.clean(values)
		}
	}
	x.finish(w, err)
}

// head prepares the head of the answer.
func (x *exchange) head(w http.ResponseWriter, resp *http.Response) *scrubbers {
	cleanHops(resp.Header)
	g := x.g
	h := w.Header()
	copyHeader(h, resp.Header, g)
	for _, added := range [...]string{"Content-Type", "Date"} {
		if _, ok := h[added]; !ok {
			h[added] = nil // or the server would add one
		}
	}
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusNotModified:
		// The server drops it over HTTP/1.1. Over HTTP/2 it passes, and clients wait for a body.
		delete(h, "Content-Length")
	}
	if len(resp.Trailer) > 0 {
		if x.in.ProtoMajor == 1 { // trailers need chunks
			delete(h, "Content-Length")
		}
		for k := range resp.Trailer {
			if !ours(k) && !g.named(k) {
				h["Trailer"] = append(h["Trailer"], k)
			}
		}
	}
	if x.mustClose() {
		h["Connection"] = []string{"close"}
	}
	return g
}

// mustClose says whether the child's connection can serve no other request.
func (x *exchange) mustClose() bool {
	if x.in.ProtoMajor != 1 || x.body == nil {
		return false
	}
	// net/http accepts Content-Length beside chunks and drops it; RFC 9112 6.1 wants such a
	// connection closed, and no trace is left by which to tell. All chunked ones are.
	return x.in.ContentLength < 0 || !x.body.complete(x.in.ContentLength)
}

// finish ends the call, and the connection or stream where the body did not end well.
func (x *exchange) finish(w http.ResponseWriter, err error) {
	e := &x.call.event
	e.Sent = x.body.size()
	switch {
	case x.body.leaked():
		a := leakAnswer("the body")
		e.Verdict, e.Code, e.Reason = event.Denied, a.Code, a.Message
	case err == nil:
	case errors.As(err, new(*childError)), x.in.Context().Err() != nil, x.body != nil && x.body.broke.Load():
		e.Reason = "the client went away in the middle of the answer"
	default:
		e.Verdict, e.Code, e.Reason = event.Failed, CodeUpstream, "the answer broke off: "+x.proxy.guard.mask(err.Error())
	}
	x.call.ended()
	if err != nil {
		x.body.stop(w, x.in, 0)
		if !x.in.ProtoAtLeast(1, 1) && w.Header().Get("Content-Length") == "" {
			reset(w)
		}
		panic(http.ErrAbortHandler)
	}
	x.body.stop(w, x.in, drainTime)
}

// reset ends a connection on which the end of the body is the end of the connection, so that
// it is not taken for one: without TLS's farewell, and with a reset of TCP.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if s, ok := conn.(*tls.Conn); ok {
		conn = s.NetConn()
	}
	raw := conn
	if c, ok := raw.(*tunnelConn); ok {
		raw = c.Conn
	}
	if c, ok := raw.(*boundedConn); ok {
		raw = c.Conn
	}
	if c, ok := raw.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
}

// childError is a write that failed, as opposed to a read.
type childError struct{ error }

// ours says that a header is one by which only we speak.
func ours(name string) bool { return name == headerKey }

func copyHeader(dst, src http.Header, g *scrubbers) {
	for k, values := range src {
		if !ours(k) && !g.named(k) {
			dst[k] = g.clean(values)
		}
	}
}

// deliverSmall reads the whole body, so that it leaves in one packet with its head and
// an echo in it can change its length. A server that dawdles has its head, and what
// there is of the body, sent ahead; what is found then is masked at its own length.
func (x *exchange) deliverSmall(w http.ResponseWriter, resp *http.Response, g *scrubbers) error {
	b := smallAnswers.Get().(*smallAnswer)
	b.begin(w, resp, g, x.proxy.headWait)
	err := b.read(resp.Body)
	stopped := b.timer.Stop()
	x.call.event.Received = int64(b.n)
	err = b.end(err)
	if stopped { // or the timer's goroutine may still look at it
		b.reset()
		smallAnswers.Put(b)
	}
	return err
}

// Most answers of an API that is no stream fit into one of these.
const smallChunk = 4 << 10

var smallAnswers = sync.Pool{New: func() any {
	b := new(smallAnswer)
	b.timer = time.AfterFunc(time.Hour, b.dawdles)
	b.timer.Stop()
	return b
}}

// smallAnswer is a body that is collected until it is whole, or late. It is used again for
// other answers, its timer too.
type smallAnswer struct {
	timer *time.Timer
	chunk [smallChunk]byte

	// What follows belongs to one answer.
	w      http.ResponseWriter
	status int
	g      *scrubbers
	room   []byte

	mu      sync.Mutex
	n       int           // collected in room
	ahead   *scrub.Writer // not nil once the head has left
	passed  int           // given to ahead
	over    bool          // the timer comes too late
	failure error         // of the child's connection
}

func (b *smallAnswer) begin(w http.ResponseWriter, resp *http.Response, g *scrubbers, wait time.Duration) {
	b.w, b.status, b.g = w, resp.StatusCode, g
	if resp.ContentLength <= smallChunk {
		b.room = b.chunk[:resp.ContentLength]
	} else {
		b.room = make([]byte, resp.ContentLength)
	}
	b.timer.Reset(wait)
}

// reset wants the timer stopped: nobody else holds b then.
func (b *smallAnswer) reset() {
	b.w, b.status, b.g, b.room = nil, 0, nil, nil
	b.n, b.ahead, b.passed, b.over, b.failure = 0, nil, 0, false, nil
}

func (b *smallAnswer) read(from io.Reader) error {
	for b.n < len(b.room) {
		n, err := from.Read(b.room[b.n:])
		b.mu.Lock()
		b.n += n
		b.pass()
		failure := b.failure
		b.mu.Unlock()
		switch {
		case failure != nil:
			return failure
		case b.n == len(b.room):
			return seeEnd(from, err)
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}

// seeEnd waits for what follows the last announced byte: HTTP/2 may still send a trailer,
// or take everything back.
func seeEnd(from io.Reader, err error) error {
	if err == nil {
		_, err = from.Read(nil)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// dawdles is called when the body has taken too long.
func (b *smallAnswer) dawdles() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ahead != nil || b.over {
		return
	}
	var fitted *scrub.Scrubber
	if b.g != nil {
		fitted = b.g.fitted
	}
	b.ahead = fitted.Writer(b.w)
	b.w.WriteHeader(b.status)
	b.pass()
}

// pass sends what was collected, once the head has left. It wants mu held.
func (b *smallAnswer) pass() {
	if b.ahead == nil || b.failure != nil {
		return
	}
	if _, err := b.ahead.Write(b.room[b.passed:b.n]); err != nil {
		b.failure = &childError{err}
		return
	}
	b.passed = b.n
	if err := http.NewResponseController(b.w).Flush(); err != nil {
		b.failure = &childError{err}
	}
}

// end sends what is left. After it no timer touches the answer.
func (b *smallAnswer) end(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.ahead != nil {
		if b.failure == nil && b.ahead.Close() != nil {
			b.failure = &childError{http.ErrAbortHandler}
		}
	} else {
		b.whole(err)
	}
	if err == nil {
		err = b.failure
	}
	if err != nil && b.failure == nil {
		_ = http.NewResponseController(b.w).Flush() // what came before the break
	}
	return err
}

func (b *smallAnswer) whole(err error) {
	body := b.room[:b.n]
	if b.g != nil && b.g.free.Find(body) {
		s := b.g.free
		if err != nil {
			s = b.g.fitted
		}
		clean, _ := s.String(string(body))
		body = []byte(clean)
		if err == nil {
			b.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	b.w.WriteHeader(b.status)
	if _, werr := b.w.Write(body); werr != nil {
		b.failure = &childError{werr}
	}
}

// deliverStream passes each piece on as it comes. The head leaves first.
func (x *exchange) deliverStream(w http.ResponseWriter, resp *http.Response, from io.Reader, g *scrubbers) error {
	body := io.Reader(&counted{from, &x.call.event.Received})
	switch {
	case g == nil:
	case enveloped(resp.Header.Get("Content-Type")):
		packed := messageEncoding(resp.Header)
		if packed != "" { // what is masked leaves unpacked
			w.Header().Del("Content-Length")
		}
		body = newEnvelopes(body, g.fitted, packed)
	case resp.ContentLength >= 0: // the length has been announced and must stay
		body = g.fitted.Reader(body)
	default:
		body = g.free.Reader(body)
	}
	flush := http.NewResponseController(w).Flush
	w.WriteHeader(resp.StatusCode)
	if err := flush(); err != nil {
		return &childError{err}
	}
	buffer := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buffer)
	for {
		n, err := body.Read(buffer[:])
		if n > 0 {
			if _, werr := w.Write(buffer[:n]); werr != nil {
				return &childError{werr}
			}
			if werr := flush(); werr != nil {
				return &childError{werr}
			}
		}
		switch {
		case err == io.EOF && resp.ContentLength < 0 && x.in.Context().Err() != nil:
			// The upstream was told that the child has gone, and had time to end its answer.
			return &childError{x.in.Context().Err()}
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

type counted struct {
	io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// encodings joins the lines of Content-Encoding; "" for a plain body.
func encodings(h http.Header) string {
	var all []string
	for _, line := range h["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && name != "identity" {
				all = append(all, name)
			}
		}
	}
	return strings.Join(all, ",")
}
