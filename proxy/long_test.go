package proxy

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// long is how long the exchanges of TestLong take. The ordinary run leaves them out:
//
//	go test ./proxy -run TestLong -long 1h -parallel 10 -timeout 2h
var long = flag.Duration("long", 0, "how long TestLong keeps its exchanges open")

// Nothing on the way cuts off what takes long: neither what is busy nor what is silent.
// TestNothingIsTimed shows the same by the constants.
func TestLong(t *testing.T) {
	if *long == 0 {
		t.Skip("see -long")
	}
	for child := 1; child <= 2; child++ {
		for name, exchange := range map[string]func(*testing.T, int){"upload": longUpload, "silent upload": silentUpload,
			"stream": longStream, "silent stream": silentStream, "idle WebSocket": idleWebSocket} {
			t.Run(fmt.Sprintf("h%d %s", child, name), func(t *testing.T) {
				t.Parallel()
				exchange(t, child)
			})
		}
	}
}

// patient is a client without a limit of its own.
func (s *session) patient(child int) *http.Client {
	c := s.client(child)
	c.Timeout = 0
	return c
}

// drip writes a piece a second, and returns how many.
func drip(w io.Writer, flush func()) (n int, err error) {
	for end := time.Now().Add(*long); time.Now().Before(end); n++ {
		if _, err := fmt.Fprintf(w, "data: %8d\n\n", n); err != nil {
			return n, err
		}
		flush()
		time.Sleep(time.Second)
	}
	return n, nil
}

const dripped = len("data: 00000000\n\n")

func longUpload(t *testing.T, child int) {
	upload(t, child, func(w io.Writer) { _, _ = drip(w, func() {}) })
}
func silentUpload(t *testing.T, child int) { upload(t, child, func(io.Writer) { time.Sleep(*long) }) }

func upload(t *testing.T, child int, send func(io.Writer)) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n%int64(dripped), n > 0, err)
	}})
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "data: 00000000\n\n")
		send(w)
		_ = w.Close()
	}()
	begun := time.Now()
	resp, body := s.do(s.patient(child), "PUT", s.upstream.URL, r)
	if resp.StatusCode != 200 || body != "0 true <nil>" || time.Since(begun) < *long {
		t.Errorf("after %s: %s %s", time.Since(begun), resp.Status, body)
	}
}

func longStream(t *testing.T, child int) {
	sent := make(chan int, 1)
	stream(t, child, func(w http.ResponseWriter) {
		n, _ := drip(w, w.(http.Flusher).Flush)
		sent <- n * dripped
	}, func() int { return <-sent })
}

func silentStream(t *testing.T, child int) {
	stream(t, child, func(w http.ResponseWriter) {
		time.Sleep(*long)
		_, _ = io.WriteString(w, "data: 00000000\n\n")
	}, func() int { return dripped })
}

func stream(t *testing.T, child int, send func(http.ResponseWriter), want func() int) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		send(w)
	}})
	begun := time.Now()
	resp, body := s.do(s.patient(child), "GET", s.upstream.URL, nil)
	if n := want(); resp.StatusCode != 200 || len(body) != n || time.Since(begun) < *long {
		t.Errorf("after %s: %s, %d bytes, want %d", time.Since(begun), resp.Status, len(body), n)
	}
}

func idleWebSocket(t *testing.T, child int) {
	idle(t, child, start(t, options{protocol: "http/1.1", raw: echoing}), func() { time.Sleep(*long) })
}

// echoing is an upstream whose WebSockets send back what they get.
func echoing(c net.Conn) {
	accepting("", func(_ *http.Request, c net.Conn, b *bufio.Reader) { _, _ = io.Copy(c, b) })(c)
}

// idle opens a WebSocket, over HTTP/1.1 or HTTP/2, and uses it before and after a silence.
func idle(t *testing.T, child int, s *session, silence func()) {
	t.Helper()
	var c io.ReadWriter
	if child == 1 {
		conn, _, b := s.upgrade("websocket", "")
		c = struct {
			io.Reader
			io.Writer
		}{b, conn}
	} else {
		resp, stream := s.extendedConnect("websocket")
		if resp == nil || resp.StatusCode != 200 {
			t.Fatalf("%+v", resp)
		}
		c = stream
	}
	for _, text := range []string{"here", "still there"} {
		f := wsFrame(true, 1, true, text)
		if _, err := c.Write(f); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(f))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != string(f) {
			t.Fatalf("%s: %q %v", text, got, err)
		}
		if text == "here" {
			silence()
		}
	}
}

// A WebSocket may be silent for longer than a connection may be idle: one that was opened
// later and carries nothing is closed before.
func TestIdleWebSocketOutlivesClocks(t *testing.T) {
	const short = 2 * time.Second // enough for a busy machine to begin in
	for child := 1; child <= 2; child++ {
		t.Run(fmt.Sprintf("h%d", child), func(t *testing.T) {
			t.Parallel()
			s := start(t, options{protocol: "http/1.1", raw: echoing, prepare: func(p *Proxy) {
				p.door.IdleTimeout, p.inner.IdleTimeout = short, short
				for _, pool := range p.transports.all() {
					pool.IdleConnTimeout = short
				}
			}})
			idle(t, child, s, func() {
				unused, _ := s.h2()
				_ = unused.SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := io.Copy(io.Discard, unused); isTimeout(err) {
					t.Error("no clock runs")
				}
			})
		})
	}
}
