package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"agentvault/proxy/scrub"
)

const (
	// A request body up to this size is kept until the answer came, so that a request can
	// be repeated with a rotated secret, or on another connection where the first turned
	// out to be closed. Larger ones stream through and are not repeated.
	maxKept = 64 << 10
	// Where a rule names an operation, this much of a body is read to tell which is asked for.
	// CloudFormation's templates, the largest forms that AWS takes, have 51,200 bytes before
	// they are escaped; a mutation of GraphQL may carry a file.
	maxTold = 1 << 20
	// What a child still sends of a body that nobody wants is read for this long, so that
	// closing the connection does not destroy the answer on its way (RFC 9112 9.6).
	drainTime = 2 * time.Second
)

var (
	errBodyGone = errors.New("the request's body cannot be sent a second time")
	errBodyOver = errors.New("the exchange is over")
)

// childBody is the body of one request of the child. It is read through readers: a
// transport may begin anew with a second one while the goroutine of its first is still
// waiting for bytes, and each gets the whole body.
type childBody struct {
	n     atomic.Int64 // read from the child
	ended atomic.Bool  // and there is no more
	leak  atomic.Bool  // it held a secret, and was stopped before it
	broke atomic.Bool  // the child's connection failed
	wrong atomic.Bool  // its framing is malformed

	mu    sync.Mutex // held while src is read
	src   io.Reader
	first func() // called before the first read; may be nil
	kept  []byte
	keep  bool
	limit int64        // of what is kept
	err   error        // what follows the last byte
	end   func() error // called once, at the end, before any reader learns of it
}

func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}

// newChildBody wants a request with a body; leaks may be nil.
func newChildBody(r *http.Request, leaks *scrub.Scrubber, end func() error) *childBody {
	return &childBody{src: leaks.Stop(r.Body), keep: r.ContentLength <= maxKept, limit: maxKept, end: end}
}

// keepMore raises the limit of what is kept of a body that has not been read.
func (b *childBody) keepMore(announced, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep, b.limit = announced <= limit, limit
}

// reader returns the body from its beginning.
func (b *childBody) reader() *bodyReader { return &bodyReader{b: b} }

type bodyReader struct {
	b      *childBody
	at     int64
	closed atomic.Bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.n.Load()
	switch {
	case r.closed.Load():
		return 0, errBodyOver
	case r.at < n && b.keep:
		c := copy(p, b.kept[r.at:])
		r.at += int64(c)
		return c, nil
	case r.at < n:
		return 0, errBodyGone
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	c, err := b.read(p)
	r.at += int64(c)
	return c, err
}

// Close implements io.Closer. It does not close the child's body: another reader may
// come, and a Read may be waiting for the child.
func (r *bodyReader) Close() error {
	r.closed.Store(true)
	return nil
}

// read wants mu held.
func (b *childBody) read(p []byte) (int, error) {
	if b.first != nil {
		b.first()
		b.first = nil
	}
	c, err := b.src.Read(p)
	if b.keep && b.n.Load()+int64(c) > b.limit {
		b.keep, b.kept = false, nil
	}
	if b.keep {
		b.kept = append(b.kept, p[:c]...)
	}
	b.n.Add(int64(c))
	if err == io.EOF && b.end != nil {
		if e := b.end(); e != nil {
			err = e
		}
	}
	switch {
	case err == nil:
	case err == io.EOF:
		b.ended.Store(true)
	case errors.Is(err, scrub.ErrFound):
		b.leak.Store(true)
	case isTimeout(err), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		b.broke.Store(true)
	default:
		b.wrong.Store(true)
	}
	b.err = err
	return c, err
}

// ahead reads as much of the body as is kept anyway. net/http learns that a client has gone
// away only when it has read its whole request, and what nobody waits for any more must
// not go out on a late yes.
func (b *childBody) ahead() {
	if b == nil {
		return
	}
	b.mu.Lock()
	keep := b.keep
	b.mu.Unlock()
	if keep {
		_, _ = io.CopyN(io.Discard, b.reader(), maxKept)
	}
}

// again returns a second reader, if the whole body was read and kept. A request without
// a body has an empty one.
func (b *childBody) again() bool {
	if b == nil {
		return true
	}
	if !b.ended.Load() {
		return false // and mu may be held for long
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keep
}

// short says of a body that has not been read whether it will be kept, as far as its
// announced length tells.
func (b *childBody) short(announced int64) bool {
	return b == nil || 0 <= announced && announced <= maxKept
}

// size is what was read of it.
func (b *childBody) size() int64 {
	if b == nil {
		return 0
	}
	return b.n.Load()
}

// leaked says that the body was stopped at a secret.
func (b *childBody) leaked() bool { return b != nil && b.leak.Load() }

// malformed says that the child's chunks are none.
func (b *childBody) malformed() bool { return b != nil && b.wrong.Load() }

// complete says that the child has sent everything.
func (b *childBody) complete(announced int64) bool {
	return b == nil || b.ended.Load() || announced >= 0 && b.n.Load() == announced
}

// stop ends all reading, the transport's own goroutine included, before the handler
// returns. Over HTTP/1 net/http reads on when the handler has returned; it gets limit
// for that.
func (b *childBody) stop(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if b == nil || b.ended.Load() || r.ProtoMajor != 1 {
		return
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // a Read that is waiting returns
	b.mu.Lock()
	if b.err == nil {
		b.err = errBodyOver
	}
	b.mu.Unlock()
	_ = c.SetReadDeadline(time.Now().Add(limit))
}
