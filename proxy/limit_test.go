package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What reaches the upstream is exactly one request with one framing, or nothing.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name, head, body string
		refused          bool
	}{
		{"length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + hidden, false},
		{"chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 40\r\n", "0\r\n\r\n" + hidden, false},
		{"two lengths", "Content-Length: 0\r\nContent-Length: 35\r\n", hidden, true},
		{"length list", "Content-Length: 0, 35\r\n", hidden, true},
		{"signed length", "Content-Length: +0\r\n", hidden, true},
		{"folded length", "Content-Length:\r\n 0\r\n", hidden, false},
		{"two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", hidden, true},
		{"coding list", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n" + hidden, true},
		{"unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + hidden, true},
		{"space before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n" + hidden, true},
		{"tab before the colon", "Content-Length\t: 35\r\n", hidden, true},
		{"line folding", "X-A: 1\r\n Transfer-Encoding: chunked\r\n", hidden, false},
		{"bare CR", "X-A: 1\rTransfer-Encoding: chunked\r\n", hidden, true},
		{"NUL", "X-A: 1\x00\r\n", hidden, true},
		{"no colon", "Transfer-Encoding chunked\r\n", hidden, true},
		{"chunk of a strange size", "Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n" + hidden, false},
		{"chunk with a bare LF", "Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n" + hidden, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var wire bytes.Buffer
			s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
				b := bufio.NewReader(io.TeeReader(c, lockedWriter{&mu, &wire}))
				for {
					r, err := http.ReadRequest(b)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}})
			c := s.tls(s.host, "")
			_, _ = io.WriteString(c, "POST /first HTTP/1.1\r\nHost: "+s.host+"\r\n"+tt.head+"\r\n"+tt.body)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			mu.Lock()
			defer mu.Unlock()
			sent := wire.String()
			if strings.HasPrefix(tt.name, "chunk ") {
				if resp.StatusCode != 400 || strings.Contains(sent, "/hidden") {
					t.Errorf("%s, and the upstream got %q", resp.Status, sent)
				}
				return
			}
			if tt.refused != (sent == "") || tt.refused != (resp.StatusCode >= 400 && resp.Header.Get(header) == "") {
				t.Errorf("%s, and the upstream got %q", resp.Status, sent)
			}
			first, _, _ := strings.Cut(sent, "/hidden") // a request of its own, which has been through the rules
			if strings.Count(strings.ToLower(first), "\r\ntransfer-encoding:")+strings.Count(strings.ToLower(first), "\r\ncontent-length:") > 1 {
				t.Errorf("two framings: %q", sent)
			}
			if n := strings.Count(sent, "Bearer "+sentinel); n != strings.Count(sent, " HTTP/1.1\r\n") {
				t.Errorf("%d requests of ours in %q", n, sent)
			}
		})
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// h2 opens a connection of raw frames.
func (s *session) h2() (*tls.Conn, *http2.Framer) {
	s.t.Helper()
	c := s.tls(s.host, "", "h2")
	_, _ = io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	return c, f
}

func (s *session) stillServes() {
	s.t.Helper()
	for protocol := 1; protocol <= 2; protocol++ {
		if resp, body := s.do(s.client(protocol), "GET", s.upstream.URL, nil); resp.StatusCode != 200 || body != "ok" {
			s.t.Errorf("afterwards: %s %s", resp.Status, body)
		}
	}
}

func h2Head(host string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", "/"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

func TestStreamsAreBounded(t *testing.T) {
	s := start(t, options{})
	_, f := s.h2()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok {
			if n, ok := settings.Value(http2.SettingMaxConcurrentStreams); !ok || n != maxStreams {
				t.Errorf("%d streams, want %d", n, maxStreams)
			}
			return
		}
	}
}

func TestRapidReset(t *testing.T) {
	s := start(t, options{})
	c, f := s.h2()
	go func() { _, _ = io.Copy(io.Discard, c) }()
	for id := uint32(1); id < 10000; id += 2 {
		if f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h2Head(s.host), EndHeaders: true, EndStream: true}) != nil {
			break
		}
		if f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	_ = c.Close()
	s.stillServes()
}

func TestContinuationFlood(t *testing.T) {
	s := start(t, options{})
	c, f := s.h2()
	go func() { _, _ = io.Copy(io.Discard, c) }()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h2Head(s.host)})
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 8000), Sensitive: true})
	var err error
	sent := 0
	for ; err == nil && sent < 100<<20; sent += block.Len() {
		err = f.WriteContinuation(1, false, block.Bytes())
	}
	if err == nil {
		t.Errorf("%d bytes of headers were taken", sent)
	}
	s.stillServes()
}

// A client that does not finish its head is cut off, and so is one that stays idle.
func TestSlowAndIdle(t *testing.T) {
	const soon = 3 * time.Second // enough for a busy machine to begin in
	s := start(t, options{prepare: func(p *Proxy) {
		p.door.ReadHeaderTimeout, p.inner.ReadHeaderTimeout, p.inner.IdleTimeout = soon, soon, soon
	}})
	for name, open := range map[string]func() net.Conn{
		"slow head at the door": func() net.Conn {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "CONNECT a.test:443 HTTP/1.1\r\nHost:")
			return c
		},
		"slow head inside": func() net.Conn {
			c := s.tls(s.host, "")
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
			return c
		},
		"idle": func() net.Conn {
			c := s.tls(s.host, "")
			resp, _ := s.request(c, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")
			_, _ = io.Copy(io.Discard, resp.Body)
			return c
		},
		"idle h2": func() net.Conn { c, _ := s.h2(); return c },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open()
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.Copy(io.Discard, c); isTimeout(err) {
				t.Error("the connection stays open")
			}
		})
	}
}

func TestServerLimits(t *testing.T) {
	s := newServer(nil, nil)
	if s.ReadHeaderTimeout != headTime || s.IdleTimeout != idleTime || s.MaxHeaderBytes != maxHead || s.ReadTimeout != 0 || s.WriteTimeout != 0 {
		t.Errorf("%+v: a long upload or a stream has no limit, the rest has", s)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBounded(l, 2, 1)
	accepted := make(chan *boundedConn, 10)
	ended := make(chan error)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c.(*boundedConn)
		}
	}()
	dial := func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	var known [2]*boundedConn
	for i := range known {
		dial()
		known[i] = <-accepted
		known[i].recognise()
	}
	dial()
	stranger := <-accepted
	dial()
	select {
	case <-accepted:
		t.Fatal("a fourth connection was accepted")
	case <-time.After(20 * time.Millisecond):
	}
	_ = known[0].Close()
	_ = known[0].Close() // counts once
	newest := <-accepted
	if _, err := stranger.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the older of two strangers: %v", err)
	}
	newest.recognise()
	dial()
	<-accepted // in the place of the first
	if err := newest.SetDeadline(time.Now()); err != nil {
		t.Errorf("one that is no stranger any more: %v", err)
	}
	_ = b.Close()
	if err := <-ended; err == nil {
		t.Error("Accept goes on after Close")
	}
}

// Whatever comes in at the door, nobody panics and no secret leaves for a host that is
// not its own.
func FuzzDoor(f *testing.F) {
	auth := "Proxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n"
	for _, seed := range []string{
		"GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n" + auth + "\r\n",
		"GET http://HOST/ HTTP/1.1\r\nHost: other\r\nX-Api-Key: " + placeholder + "\r\n" + auth + "\r\n",
		"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n" + auth + "\r\nGET /p HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n" + auth + "\r\nPOST /p HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"CONNECT HOST HTTP/1.1\r\n" + auth + "\r\n\x16\x03\x01\x00\x05hello",
		"CONNECT HOST HTTP/1.1\r\n" + auth + "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n" + auth + "\r\n",
	} {
		f.Add([]byte(seed))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	var wire bytes.Buffer
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				_, _ = io.Copy(lockedWriter{&mu, &wire}, c)
				_ = c.Close()
			}()
		}
	}()
	f.Fuzz(func(t *testing.T, in []byte) {
		s := start(t, options{plain: true}) // its service is another host than l's
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(bytes.ReplaceAll(in, []byte("HOST"), []byte(l.Addr().String())))
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
		mu.Lock()
		defer mu.Unlock()
		if bytes.Contains(wire.Bytes(), []byte(sentinel)) {
			t.Fatalf("%q sent the secret: %q", in, wire.Bytes())
		}
		wire.Reset()
	})
}
