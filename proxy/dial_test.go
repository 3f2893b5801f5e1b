package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"agentvault/proxy/rule"
)

// counting is an upstream that tells of its connections when they begin and end.
func counting(began, ended chan<- bool) func(net.Conn) {
	return func(c net.Conn) {
		b := bufio.NewReader(c)
		if _, err := b.Peek(0); err != nil {
			return
		}
		if h, ok := c.(interface{ Handshake() error }); ok && h.Handshake() != nil {
			return
		}
		began <- true
		for {
			r, err := http.ReadRequest(b)
			if err != nil {
				ended <- true
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

// The upstream's connection is made during the child's handshake, and used.
func TestDialsAhead(t *testing.T) {
	began, ended := make(chan bool, 10), make(chan bool, 10)
	s := start(t, options{protocol: "http/1.1", raw: counting(began, ended)})
	c := s.tls(s.host, "", "http/1.1")
	<-began // before any request
	for range 3 {
		resp, _ := s.request(c, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	// The pool has a connection now: a further tunnel makes none.
	resp, _ := s.request(s.tls(s.host, "", "http/1.1"), "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")
	if resp.StatusCode != 200 || len(began) > 0 {
		t.Errorf("%s, and %d more connections", resp.Status, len(began))
	}
}

func TestUnusedConnectionIsClosed(t *testing.T) {
	began, ended := make(chan bool, 10), make(chan bool, 10)
	s := start(t, options{protocol: "http/1.1", raw: counting(began, ended)})
	s.tls(s.host, "", "http/1.1")
	<-began
	d := s.transports.dialers[0]
	d.mu.Lock()
	p := d.parked[s.host]
	d.mu.Unlock()
	if p == nil {
		t.Fatal("nothing is parked")
	}
	d.expire(s.host, p)
	<-ended
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.parked)+len(d.live) != 0 {
		t.Errorf("%d parked, %d live", len(d.parked), len(d.live))
	}
}

// Of a host that will be refused nothing is asked, not even a connection.
func TestNoConnectionToRefused(t *testing.T) {
	for policy, dialled := range map[Policy]bool{Deny: false, Ask: false, Warn: true, Allow: true} {
		t.Run(string(policy), func(t *testing.T) {
			began, ended := make(chan bool, 10), make(chan bool, 10)
			s := start(t, options{unmatched: policy, protocol: "http/1.1", raw: counting(began, ended),
				service: func(r *rule.Service) { r.Hosts = []rule.Host{{Name: "other.example.test"}} }})
			s.tls(s.host, "", "http/1.1")
			d := s.transports.dialers[0]
			d.mu.Lock()
			parked := d.parked[s.host] != nil
			d.mu.Unlock()
			if parked != dialled {
				t.Errorf("parked %t", parked)
			}
		})
	}
}

// A connection that could not be made ahead tells its error to the request.
func TestDialAheadFails(t *testing.T) {
	d := newTLSDialer(newDialer(Upstream{}), nil, Upstream{})
	p := &parked{done: make(chan struct{}), err: errors.New("no"), timer: time.NewTimer(time.Hour)}
	close(p.done)
	d.parked["a.test:443"] = p
	if _, err := d.DialTLS(t.Context(), "tcp", "a.test:443"); err != p.err {
		t.Errorf("got %v", err)
	}
	if len(d.parked) != 0 {
		t.Error("it stays")
	}
}

// Close leaves nothing behind, wherever a connection stands.
func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	release := make(chan bool)
	s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}})
	silent, _ := s.connect(s.host)
	half, _ := s.connect(s.host)
	_, _ = half.Write([]byte{22, 3, 1})
	idle := s.tls(s.host, "", "http/1.1")
	streaming := s.tls(s.host, "", "http/1.1")
	s.request(streaming, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")
	_ = s.Proxy.Close()
	for _, c := range []net.Conn{silent, half, idle, streaming} {
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Error("a connection stays open")
		}
		_ = c.Close()
	}
	close(release)
	s.upstream.Close()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2 { // the server loop of the harness and its waiter
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
}
