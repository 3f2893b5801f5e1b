package proxy

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// Decoded bytes for each byte of the server's. Deflate cannot do more than 1,032 and
	// text seldom reaches 20; above it, a body beyond bombFree is taken for a bomb.
	bombRatio = 200
	bombFree  = 16 << 20
	// One encoding over another is what a careless gateway adds; more is nobody's.
	maxEncodings = 2
	// The window that RFC 8878 3.1.1.1.2 recommends every decoder to support.
	zstdWindow = 8 << 20
)

// endWith is a reader that only ends.
type endWith struct{ err error }

func (e endWith) Read([]byte) (int, error) { return 0, e.err }

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
	if len(names) > maxEncodings {
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
	from, ok := r.(flate.Reader)
	if !ok {
		from = bufio.NewReader(r)
	}
	two := make([]byte, 2)
	if _, err := io.ReadFull(from, two); err != nil {
		return nil, err
	}
	from = &begun{two, from}
	if two[0]&0x0f == 8 && (int(two[0])<<8|int(two[1]))%31 == 0 {
		return zlib.NewReader(from)
	}
	return flate.NewReader(from), nil
}

// begun is a reader whose first bytes have been looked at. It reads no further than it is
// asked to.
type begun struct {
	first []byte
	flate.Reader
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Reader.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}

func (b *begun) ReadByte() (byte, error) {
	if len(b.first) == 0 {
		return b.Reader.ReadByte()
	}
	c := b.first[0]
	b.first = b.first[1:]
	return c, nil
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
