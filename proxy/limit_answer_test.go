package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// A small answer that unpacks to gigabytes is withheld, and breaks off where it has begun.
func TestDecompressionBomb(t *testing.T) {
	zero := strings.Repeat("\x00", 64<<20)
	for _, tt := range packers {
		body := bytes.Join(piecesOf(tt.pack, zero, 1<<30), nil)
		for _, kind := range []string{"application/json", "text/event-stream"} {
			t.Run(tt.name+" "+kind, func(t *testing.T) {
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", kind)
					w.Header().Set("Content-Encoding", tt.encoding)
					_, _ = w.Write(body)
				}})
				resp, err := s.client(1).Get(s.upstream.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				text, err := io.ReadAll(resp.Body)
				e := s.last()
				if e.Verdict != event.Failed || e.Code != CodeUpstream || !strings.Contains(e.Reason, errBomb.Error()) {
					t.Errorf("event %+v", e)
				}
				if kind == "application/json" {
					if err != nil || code(t, resp, string(text)) != CodeUpstream {
						t.Errorf("%s, %d bytes, %v", resp.Status, len(text), err)
					}
				} else if err == nil || len(text) > len(body) {
					t.Errorf("%d of %d bytes, %v", len(text), len(body), err)
				}
			})
		}
	}
}

// Decoders get no more memory than they should need.
func TestZstdWindow(t *testing.T) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(4*zstdWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(z, noise(3<<20))
	_ = z.Flush()
	_, _ = io.WriteString(z, noise(3<<20))
	_ = z.Close()
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "zstd")
		_, _ = w.Write(b.Bytes())
	}})
	resp, err := s.client(1).Get(s.upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err == nil || len(text) > 0 {
		t.Errorf("%s, %d bytes, %v", resp.Status, len(text), err)
	}
	if e := s.last(); e.Verdict != event.Failed || !strings.Contains(e.Reason, "window") {
		t.Errorf("event %+v", e)
	}
}

// Encodings over one another are unpacked so far and no further.
func TestEncodingsAreBounded(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", strings.Repeat("gzip, ", maxEncodings)+"gzip")
		_, _ = io.WriteString(w, "whatever it is")
	}})
	if resp, body := s.get("/"); code(t, resp, body) != CodeUpstream || !strings.Contains(body, "encodings") {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// Bytes that unpack to nothing are not collected without an end.
func TestNothingProven(t *testing.T) {
	head := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	block := bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1<<10) // empty ones
	n := 0
	src := io.MultiReader(bytes.NewReader(head), readerFunc(func(p []byte) (int, error) {
		n += len(block)
		return copy(p, block), nil
	}))
	d, err := newTandem("gzip", src, (*scrub.Scrubber)(nil))
	if err != nil {
		t.Fatal(err)
	}
	d.begin = func() error { return nil }
	d.out = func(p []byte) error { return nil }
	if err := d.run(); !errors.Is(err, errUnproven) || n > 2*(maxHeld+maxUnproven) {
		t.Errorf("after %d bytes: %v", n, err)
	}
	if _, err := gzip.NewReader(bytes.NewReader(append(head, block...))); err != nil {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A server's head has an end.
func TestResponseHeadIsBounded(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		line := []byte("X-Line: " + strings.Repeat("y", 8000) + "\r\n")
		for sent := 0; sent < 100<<20; sent += len(line) {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
		t.Error("a head of 100 MiB was taken")
	}})
	if resp, body := s.get("/"); code(t, resp, body) != CodeUpstream {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// The end is where it is said to be, over HTTP/1.1 and over HTTP/2.
func TestResponseHeadLimit(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("X-Long", strings.Repeat("x", n))
		_, _ = io.WriteString(w, "ok")
	}})
	for child := 1; child <= 2; child++ {
		for n, want := range map[int]int{maxResponseHead - 4<<10: 200, maxResponseHead + 4<<10: 502} {
			resp, body := s.do(s.client(child), "GET", fmt.Sprintf("%s/?n=%d", s.upstream.URL, n), nil)
			if resp.StatusCode != want || want != 200 && code(t, resp, body) != CodeUpstream {
				t.Errorf("h%d, %d bytes: %s", child, n, resp.Status)
			}
		}
	}
}

// A tunnel through which nothing comes, and a handshake that stops, are ended and told.
func TestSilentTunnel(t *testing.T) {
	for name, tt := range map[string]struct {
		first, code string
		prepare     func(*Proxy)
	}{
		"nothing":      {"", CodeNotTLS, func(p *Proxy) { p.firstByteTime = 50 * time.Millisecond }},
		"half a hello": {"\x16\x03\x01\x02\x00\x01", CodeHandshake, func(p *Proxy) { p.handshakeTime = 50 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{prepare: tt.prepare})
			c, _ := s.connect(s.host, []byte(tt.first)...)
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.Copy(io.Discard, c); isTimeout(err) {
				t.Fatal("the tunnel stays open")
			}
			if e := s.last(); e.Code != tt.code || e.Verdict != event.Failed {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// What a head may have is bounded over HTTP/2 as over HTTP/1.1.
func TestHeadOverHTTP2IsBounded(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["X-Line"]) > maxHeaders {
			t.Error("reached the upstream")
		}
		_, _ = io.WriteString(w, "ok")
	}})
	var many []string
	for i := range maxHeaders + 1 {
		many = append(many, "X-Line", fmt.Sprint(i))
	}
	resp, body := s.do(s.client(2), "GET", s.upstream.URL, nil, many...)
	if code(t, resp, body) != CodeHeaders || resp.StatusCode != 431 {
		t.Errorf("%s %s", resp.Status, body)
	}
	r, _ := http.NewRequest("GET", s.upstream.URL, nil)
	r.Header.Set("X-Long", strings.Repeat("x", 2*maxHead))
	if resp, err := s.client(2).Do(r); err == nil {
		if _ = resp.Body.Close(); resp.StatusCode != 431 {
			t.Errorf("a long head: %s", resp.Status)
		}
	}
	s.stillServes()
}
