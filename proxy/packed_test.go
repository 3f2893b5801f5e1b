package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"agentvault/proxy/event"
)

// packer is an encoder that can end a piece.
type packer interface {
	io.WriteCloser
	Flush() error
}

// packers are the encodings as servers use them.
var packers = []struct {
	name, encoding string
	pack           func(io.Writer) packer
	unpack         func(io.Reader) (io.Reader, error)
}{
	{"gzip", "gzip", func(w io.Writer) packer { z, _ := gzip.NewWriterLevel(w, 1); return z }, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"deflate", "deflate", func(w io.Writer) packer { z, _ := zlib.NewWriterLevel(w, 1); return z }, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
	{"bare deflate", "deflate", func(w io.Writer) packer { z, _ := flate.NewWriter(w, 1); return z }, func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil }},
	{"brotli", "br", func(w io.Writer) packer { return brotli.NewWriterLevel(w, 1) }, func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
	{"zstd", "zstd", func(w io.Writer) packer {
		z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		return z
	}, func(r io.Reader) (io.Reader, error) { return newZstd(r) }},
}

// noise is text that packs to half of its length, and is the same in each run.
func noise(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return hex.EncodeToString(b)[:n]
}

// piecesOf returns text in pieces of at most so many bytes, each flushed by the encoder.
func piecesOf(pack func(io.Writer) packer, text string, piece int) [][]byte {
	var pieces [][]byte
	var b bytes.Buffer
	z := pack(&b)
	for {
		n := min(piece, len(text))
		_, _ = io.WriteString(z, text[:n])
		if text = text[n:]; text == "" {
			_ = z.Close()
			return append(pieces, bytes.Clone(b.Bytes()))
		}
		_ = z.Flush()
		pieces = append(pieces, bytes.Clone(b.Bytes()))
		b.Reset()
	}
}

// Where a compressed body of a service's host holds no secret it passes as it came,
// however long it is.
func TestPackedBodyUntouched(t *testing.T) {
	for _, tt := range packers {
		for _, size := range []int{0, 1, 64 << 10, 5 << 20} {
			pieces := piecesOf(tt.pack, noise(size), 100_000)
			whole := bytes.Join(pieces, nil)
			for _, streamed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d streamed=%t", tt.name, size, streamed), func(t *testing.T) {
					s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
						h := w.Header()
						h.Set("Content-Encoding", tt.encoding)
						h.Set("Etag", `"v1"`)
						h.Set("Repr-Digest", "sha-256=:x:")
						if !streamed {
							h.Set("Content-Length", strconv.Itoa(len(whole)))
						}
						for _, p := range pieces {
							_, _ = w.Write(p)
							if streamed {
								w.(http.Flusher).Flush()
							}
						}
					}})
					for child := 1; child <= 2; child++ {
						if size > 1<<20 && streamed == (child == 1) {
							continue // that takes its time
						}
						resp, body := s.do(s.client(child), "GET", s.upstream.URL, nil, "Accept-Encoding", tt.encoding)
						h := resp.Header
						if sha256.Sum256([]byte(body)) != sha256.Sum256(whole) {
							t.Errorf("h%d: got %d bytes, want %d, or others", child, len(body), len(whole))
						}
						length := int64(len(whole))
						if streamed {
							length = -1
						}
						if h.Get("Content-Encoding") != tt.encoding || h.Get("Etag") != `"v1"` || h.Get("Repr-Digest") != "sha-256=:x:" || resp.ContentLength != length {
							t.Errorf("h%d: head %v, length %d", child, h, resp.ContentLength)
						}
						if e := s.last(); e.Verdict != event.Injected || e.Received != int64(len(whole)) {
							t.Errorf("h%d: event %+v", child, e)
						}
					}
				})
			}
		}
	}
}

// An echo in a compressed body reaches the child as the placeholder. Where so much came
// before it that some had to be passed on, the body breaks off before it, and the request
// that is repeated gets the placeholder.
func TestPackedEcho(t *testing.T) {
	for _, tt := range packers {
		for _, size := range []int{0, 64 << 10, 2 << 20} {
			for _, at := range []string{"start", "middle", "end"} {
				if size > 1<<20 && at == "middle" {
					continue // that takes its time
				}
				t.Run(fmt.Sprintf("%s %d %s", tt.name, size, at), func(t *testing.T) {
					text := noise(size)
					cut := map[string]int{"start": 0, "middle": size / 2, "end": size}[at]
					before, after := text[:cut], text[cut:]
					whole := bytes.Join(piecesOf(tt.pack, before+sentinel+after, 100_000), nil)
					s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Encoding", tt.encoding)
						w.Header().Set("Etag", `"v1"`)
						_, _ = w.Write(whole)
					}})
					if size > 3*maxHeld && at != "start" {
						s.breaksBefore(tt.unpack, before)
					}
					resp, body := s.do(s.client(1), "GET", s.upstream.URL, nil, "Accept-Encoding", tt.encoding)
					if body != before+placeholder+after {
						t.Errorf("got %d bytes, %.100q", len(body), body)
					}
					if resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Etag") != `W/"v1"` {
						t.Errorf("head %v", resp.Header)
					}
				})
			}
		}
	}
}

// breaksBefore wants a body that breaks off and holds nothing behind before.
func (s *session) breaksBefore(unpack func(io.Reader) (io.Reader, error), before string) {
	s.t.Helper()
	resp, err := s.client(1).Get(s.upstream.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		s.t.Error("a clean end")
	}
	if text := allOf(unpack, body); len(text) == 0 || !strings.HasPrefix(before, text) {
		s.t.Errorf("%d bytes unpack to %d, which are no beginning of the %d before the secret", len(body), len(text), len(before))
	}
	if e := s.last(); e.Verdict != event.Failed || e.Code != CodeUpstream || !strings.Contains(e.Reason, "repeat the request") {
		s.t.Errorf("event %+v", e)
	}
}

// allOf is all that can be made of the beginning of a body.
func allOf(unpack func(io.Reader) (io.Reader, error), body []byte) string {
	r, err := unpack(bytes.NewReader(body))
	if err != nil {
		return ""
	}
	text, _ := io.ReadAll(r)
	return string(text)
}

// A compressed stream is passed on piece by piece: the server waits for each to arrive.
func TestPackedStreamFlushes(t *testing.T) {
	for _, tt := range packers {
		for _, kind := range []string{"text/event-stream; charset=utf-8", "application/json"} {
			for child := 1; child <= 2; child++ {
				t.Run(fmt.Sprintf("%s %s h%d", tt.name, kind, child), func(t *testing.T) {
					next := make(chan string)
					over := sync.OnceFunc(func() { close(next) })
					defer over()
					s := start(t, options{prepare: func(p *Proxy) { p.holdTime = time.Millisecond }, handler: func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", kind)
						w.Header().Set("Content-Encoding", tt.encoding)
						w.(http.Flusher).Flush()
						z := tt.pack(w)
						for piece := range next {
							_, _ = io.WriteString(z, piece)
							_ = z.Flush()
							w.(http.Flusher).Flush()
						}
						_ = z.Close()
					}})
					resp, err := s.client(child).Get(s.upstream.URL) // the head comes before any of the body
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = resp.Body.Close() }()
					var plain io.Reader
					buffer := make([]byte, 100)
					for i := range 5 {
						piece := fmt.Sprintf("data: %d\n\n", i)
						next <- piece
						if plain == nil {
							if plain, err = tt.unpack(resp.Body); err != nil {
								t.Fatal(err)
							}
						}
						n, err := io.ReadAtLeast(plain, buffer, len(piece))
						if err != nil || string(buffer[:n]) != piece {
							t.Fatalf("got %q %v", buffer[:n], err)
						}
					}
					over()
					if rest, err := io.ReadAll(plain); len(rest) > 0 || err != nil {
						t.Errorf("at the end: got %q %v", rest, err)
					}
				})
			}
		}
	}
}

// What is not whole, or is no encoding of anything, never looks like a whole answer, and
// nothing of it that could not be read is passed on.
func TestPackedDamage(t *testing.T) {
	text := noise(2 << 20)
	for _, tt := range packers {
		whole := bytes.Join(piecesOf(tt.pack, text, 1<<30), nil)
		damaged := bytes.Clone(whole)
		for i := range damaged[len(damaged)/2:][:64] {
			damaged[len(damaged)/2+i] ^= 0x5a
		}
		for name, body := range map[string][]byte{
			"cut":         whole[:len(whole)-20],
			"cut in half": whole[:len(whole)/2],
			"damaged":     damaged,
			"garbage":     append(bytes.Clone(whole), "and something else that is long enough to be a secret"...),
		} {
			if name == "damaged" && tt.name == "bare deflate" {
				continue // it has no checksum: this is some other text
			}
			t.Run(tt.name+" "+name, func(t *testing.T) {
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Encoding", tt.encoding)
					_, _ = w.Write(body)
				}})
				resp, err := s.client(1).Get(s.upstream.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				got, err := io.ReadAll(resp.Body)
				if err == nil || !bytes.HasPrefix(body, got) || len(got) == 0 || len(got) > len(whole) {
					t.Errorf("%d of %d bytes, %v", len(got), len(body), err)
				}
				if e := s.last(); e.Verdict != event.Failed || e.Code != CodeUpstream {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

// A secret beside the compressed text is found as well.
func TestPackedEchoBeside(t *testing.T) {
	var named bytes.Buffer
	z := gzip.NewWriter(&named)
	z.Name = sentinel
	_, _ = io.WriteString(z, "text")
	_ = z.Close()
	skipped := append([]byte{0x50, 0x2a, 0x4d, 0x18, byte(len(sentinel)), 0, 0, 0}, sentinel...)
	skipped = append(skipped, bytes.Join(piecesOf(packers[4].pack, "text", 9), nil)...)
	for _, tt := range []struct {
		encoding string
		body     []byte
	}{{"gzip", named.Bytes()}, {"zstd", skipped}} {
		s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", tt.encoding)
			_, _ = w.Write(tt.body)
		}})
		if resp, body := s.get("/"); body != "text" || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: got %q, %v", tt.encoding, body, resp.Header)
		}
	}
}
