package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever can connect to the port without the token takes no place from the child: of those
// that say nothing, half a head or the wrong thing, the oldest has to go.
func TestStrangersTakeNoPlace(t *testing.T) {
	s := start(t, options{})
	kept := s.tls(s.host, "", "http/1.1")
	works := func() {
		t.Helper()
		if resp, body := s.get("/"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("%s %s", resp.Status, body)
		}
	}
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for i := range maxConns + maxStrangers {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		if _, err := io.WriteString(c, []string{"", "CONNECT a.test:443 HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"}[i%3]); err != nil {
			t.Fatal(err)
		}
		if i%3 == 2 { // 407, and the connection is kept
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 407 {
				t.Fatal(resp, err)
			}
		}
		if len(held) <= maxStrangers {
			continue
		}
		_ = held[0].SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, held[0]); isTimeout(err) {
			t.Fatalf("the oldest of %d strangers stays", len(held))
		}
		_ = held[0].Close()
		if held = held[1:]; i%500 == 0 {
			works()
		}
	}
	works()
	if resp, _ := s.request(kept, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n"); resp.StatusCode != 200 {
		t.Errorf("the child's own connection: %s", resp.Status)
	}
}

// One too many waits for as long as the oldest may still show a token, and no longer than
// until it has.
func TestStrangersHaveAMoment(t *testing.T) {
	for _, tt := range []struct {
		name      string
		meanwhile func(oldest *boundedConn)
		waits     time.Duration
		stays     bool
	}{
		{"nothing", func(*boundedConn) {}, strangerTime, false},
		{"the oldest shows its token", (*boundedConn).recognise, strangerTime / 2, true},
		{"the oldest goes away", func(c *boundedConn) { _ = c.Close() }, strangerTime / 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBounded(pipes{}, 10, 2)
				accept := func() *boundedConn {
					c, err := b.Accept()
					if err != nil {
						t.Fatal(err)
					}
					return c.(*boundedConn)
				}
				oldest, newer := accept(), accept()
				time.AfterFunc(strangerTime/2, func() { tt.meanwhile(oldest) })
				begun := time.Now()
				newest := accept()
				if waited := time.Since(begun); waited != tt.waits {
					t.Errorf("waited %s, want %s", waited, tt.waits)
				}
				for c, want := range map[*boundedConn]bool{oldest: tt.stays, newer: true, newest: true} {
					if open := c.SetDeadline(time.Time{}) == nil; open != want {
						t.Errorf("%v: open %t, want %t", c, open, want)
					}
				}
			})
		})
	}
}

// pipes is a listener to which somebody always connects.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}
