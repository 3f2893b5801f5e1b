package proxy

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"agentvault/proxy/event"
)

const (
	// Decoded bytes for each byte of the server's. Deflate cannot do more than 1,032 and
	// text seldom reaches 20; above it, a body beyond bombFree is taken for a bomb.
	bombRatio = 200
	bombFree  = 16 << 20
	// The window that RFC 8878 3.1.1.1.2 recommends every decoder to support.
	zstdWindow = 8 << 20
)

// deliverEncoded is for a body that came compressed although a plain one was asked for. A
// short one is looked into as a whole: where it holds no secret it passes as it came.
func (x *exchange) deliverEncoded(w http.ResponseWriter, resp *http.Response, g *scrubbers) error {
	if resp.ContentLength < 0 || resp.ContentLength > smallBody {
		return x.deliverDecoded(w, resp, g)
	}
	packed := make([]byte, resp.ContentLength)
	n, err := io.ReadFull(resp.Body, packed)
	if err == nil {
		err = seeEnd(resp.Body, nil)
	}
	if err == nil && clean(packed, encodings(resp.Header), g) {
		x.call.event.Received = int64(n)
		w.WriteHeader(resp.StatusCode)
		if _, err := w.Write(packed); err != nil {
			return &childError{err}
		}
		return nil
	}
	if err == nil {
		err = io.EOF
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(packed[:n]), endWith{err}))
	return x.deliverDecoded(w, resp, g)
}

// clean says that a body could be unpacked and holds no secret.
func clean(packed []byte, encodings string, g *scrubbers) bool {
	wire := &counted{Reader: bytes.NewReader(packed), n: new(int64)}
	plain, err := newDecoded(encodings, wire)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, g.free.Stop(&bomb{Reader: plain, wire: wire.n}))
	return err == nil
}

// endWith is a reader that only ends.
type endWith struct{ err error }

func (e endWith) Read([]byte) (int, error) { return 0, e.err }

// deliverDecoded unpacks a body: inside it an echo cannot be seen. The child gets it plain.
func (x *exchange) deliverDecoded(w http.ResponseWriter, resp *http.Response, g *scrubbers) error {
	wire := &counted{Reader: resp.Body, n: new(int64)}
	plain, err := newDecoded(encodings(resp.Header), wire)
	if err != nil {
		a := Answer{Status: http.StatusBadGateway, Code: CodeUpstream, Message: err.Error(),
			Help: "the answer could not be searched for the session's secrets and was withheld"}
		e := &x.call.event
		e.Verdict, e.Code, e.Reason, e.Status = event.Failed, a.Code, a.Message, a.Status
		clear(w.Header())
		a.write(w)
		return nil
	}
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Md5", "Digest", "Content-Digest"} {
		h.Del(name)
	}
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h.Set("Etag", "W/"+tag) // the bytes are no longer those that the tag named
	}
	resp.ContentLength = -1
	return x.deliverStream(w, resp, &bomb{Reader: plain, wire: wire.n}, g)
}

// decoded unpacks from its first Read on: the head of an answer does not wait for the
// first byte of its body.
type decoded struct {
	names []string // the innermost first
	wire  io.Reader
	plain io.Reader
	err   error
}

func newDecoded(encodings string, wire io.Reader) (*decoded, error) {
	names := strings.Split(strings.ToLower(encodings), ",")
	if len(names) > 2 {
		return nil, fmt.Errorf("the server applied %d encodings to its answer", len(names))
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		switch names[i] {
		case "", "identity", "gzip", "x-gzip", "deflate", "br", "zstd":
		default:
			return nil, fmt.Errorf("the server encoded its answer as %q, which cannot be searched", names[i])
		}
	}
	return &decoded{names: names, wire: wire}, nil
}

func (d *decoded) Read(p []byte) (int, error) {
	if d.plain == nil && d.err == nil {
		d.open()
	}
	if d.err != nil {
		return 0, d.err
	}
	return d.plain.Read(p)
}

func (d *decoded) open() {
	r := d.wire
	for i := len(d.names) - 1; i >= 0; i-- {
		var err error
		switch d.names[i] {
		case "gzip", "x-gzip":
			r, err = gzip.NewReader(r)
		case "deflate":
			r, err = newDeflate(r)
		case "br":
			r = brotli.NewReader(r)
		case "zstd":
			r, err = newZstd(r)
		}
		if err != nil {
			d.err = fmt.Errorf("the server's answer is damaged: %w", err)
			if errors.Is(err, io.EOF) && d.names[i] == "gzip" { // no body at all, as some servers send
				d.err = io.EOF
			}
			return
		}
	}
	d.plain = r
}

func newZstd(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// newDeflate reads "deflate", which is zlib (RFC 9110 8.4.1.2) and from some servers the
// bare stream.
func newDeflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	two, err := b.Peek(2)
	if err != nil {
		return nil, err
	}
	if two[0]&0x0f == 8 && (int(two[0])<<8|int(two[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// bomb stops a body that grows out of proportion.
type bomb struct {
	io.Reader
	wire *int64
	n    int64
}

var errBomb = errors.New("the answer unpacks to an unreasonable size")

func (b *bomb) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.n += int64(n)
	if b.n > bombFree && b.n > bombRatio**b.wire {
		return 0, errBomb
	}
	return n, err
}
