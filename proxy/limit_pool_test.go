package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/proxy/ca"
)

// The clocks and numbers of the way to the upstream, each reached and passed in a bubble
// whose network is made of pipes and whose clock moves only when nothing else does.

// piped dials pipes, whose other ends serve gets. It counts those that are open.
func piped(open *atomic.Int32, serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		c, other := net.Pipe()
		open.Add(1)
		go func() {
			serve(other)
			_ = other.Close()
			open.Add(-1)
		}()
		return c, nil
	}
}

// silent takes what it gets and says nothing.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// Of the connections that many calls have needed at once, only so many are kept, and these
// only for so long.
func TestKeptConnectionsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name               string
		hosts, calls, kept int
	}{
		{"of one host", 1, keptPerHost + 1, keptPerHost},
		{"of several hosts", keptInAll/keptPerHost + 1, keptInAll + 1, keptInAll},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int32
				release := make(chan struct{})
				pool := newTransports(Upstream{}).http1
				pool.DialContext = piped(&open, func(c net.Conn) {
					b := bufio.NewReader(c)
					for {
						if _, err := http.ReadRequest(b); err != nil {
							return
						}
						<-release
						_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				})
				for i := range tt.calls {
					go func() {
						r, _ := http.NewRequest("GET", fmt.Sprintf("http://h%d.test/", i%tt.hosts), nil)
						resp, err := pool.RoundTrip(r)
						if err != nil {
							t.Error(err)
							return
						}
						_ = resp.Body.Close()
					}()
				}
				synctest.Wait()
				if n := int(open.Load()); n != tt.calls {
					t.Fatalf("%d connections for %d calls at once", n, tt.calls)
				}
				close(release)
				synctest.Wait()
				if n := int(open.Load()); n != tt.kept {
					t.Errorf("%d connections are kept, want %d", n, tt.kept)
				}
				time.Sleep(keptFor - 1)
				synctest.Wait()
				if n := int(open.Load()); n != tt.kept {
					t.Errorf("%d connections before the end of their time, want %d", n, tt.kept)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections after their time", n)
				}
			})
		})
	}
}

// A server that does not say whether it wants the body gets it.
func TestContinueIsNotAwaitedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		var waited time.Duration
		pool := newTransports(Upstream{}).http1
		pool.DialContext = piped(&open, func(c net.Conn) {
			b := bufio.NewReader(c)
			if skipHead(b) != nil {
				return
			}
			begun := time.Now()
			_, _ = io.ReadFull(b, make([]byte, len("body")))
			waited = time.Since(begun)
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		})
		r, _ := http.NewRequest("PUT", "http://h.test/", strings.NewReader("body"))
		r.Header.Set("Expect", "100-continue")
		resp, err := pool.RoundTrip(r)
		if err != nil || resp.StatusCode != 204 || waited != continueTime {
			t.Errorf("%v %v, the body came after %s", resp, err, waited)
		}
	})
}

// Nobody waits for ever for a connection, whoever asked for it and wherever it is stuck.
func TestConnectingTakesItsTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		dial func(t *testing.T, stuck *eyeballs) error
		want time.Duration
	}{
		{"no answer to an address", func(t *testing.T, _ *eyeballs) error {
			_, err := newDialer(Upstream{RootsReady: make(chan struct{})}).DialContext(t.Context(), "tcp", "127.0.0.1:9")
			return err
		}, dialTime},
		{"no answer to a TLS handshake", func(t *testing.T, stuck *eyeballs) error {
			_, err := newTLSDialer(stuck, &tls.Config{}, Upstream{}).DialTLS(t.Context(), "tcp", "192.0.2.1:443")
			return err
		}, tlsTime},
		{"no answer to a client of ours", func(t *testing.T, stuck *eyeballs) error {
			c := NewClient(Upstream{})
			c.Transport.(*http.Transport).DialContext = stuck.DialContext
			resp, err := c.Get("http://192.0.2.1/")
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		}, clientTime},
		{"no answer of a parent's proxy", silentParent("http", "https"), dialTime},
		{"no handshake of a parent's proxy", silentParent("https", "https"), dialTime},
		{"no answer of a SOCKS proxy", silentParent("socks5", "https"), dialTime},
		{"no answer of a SOCKS proxy, without TLS", silentParent("socks5h", "http"), dialTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int32
				stuck := newEyeballs(&net.Dialer{})
				stuck.dial = piped(&open, silent)
				begun := time.Now()
				err := tt.dial(t, stuck)
				if took := time.Since(begun); !isTimeout(err) || took != tt.want {
					t.Errorf("%v after %s, want %s", err, took, tt.want)
				}
				synctest.Wait()
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// silentParent connects through a proxy that says nothing.
func silentParent(kind, scheme string) func(*testing.T, *eyeballs) error {
	return func(t *testing.T, stuck *eyeballs) error {
		u := Upstream{Proxy: http.ProxyURL(&url.URL{Scheme: kind, Host: "192.0.2.1:3128", User: url.UserPassword("user", "password")})}
		_, err := u.reach(t.Context(), stuck, scheme, "h.test:443")
		if a := upstreamAnswer(err, "h.test"); a.Code != CodeUpstreamProxy {
			t.Errorf("the child is told %+v", a)
		}
		return err
	}
}

// A connection that was made ahead waits for its request for parkTime.
func TestParkedConnectionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, err := ca.New("upstream", nil)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(authority.Certificate())
		var open atomic.Int32
		e := newEyeballs(&net.Dialer{})
		e.dial = piped(&open, func(c net.Conn) {
			leaf, _ := authority.Leaf("192.0.2.1")
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*leaf}})
			if err := s.Handshake(); err != nil {
				t.Error(err)
			}
			silent(s)
		})
		d := newTLSDialer(e, &tls.Config{RootCAs: roots}, Upstream{})
		d.ahead("192.0.2.1:443")
		time.Sleep(parkTime - 1)
		synctest.Wait()
		if n := open.Load(); n != 1 {
			t.Fatalf("%d connections before the end of its time", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := open.Load(); n != 0 || len(d.parked)+len(d.live) != 0 {
			t.Errorf("after its time %d connections, %d parked, %d live", n, len(d.parked), len(d.live))
		}
	})
}

// A child that opens tunnels to many hosts does not have all of them dialled ahead.
func TestParkedConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		e := newEyeballs(&net.Dialer{})
		e.dial = piped(&open, silent)
		d := newTLSDialer(e, &tls.Config{}, Upstream{})
		for i := range maxParked + 1 {
			d.ahead(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 443).String())
		}
		synctest.Wait()
		if n := open.Load(); n != maxParked || len(d.parked) != maxParked {
			t.Errorf("%d connections, %d parked, want %d", n, len(d.parked), maxParked)
		}
		d.close()
		time.Sleep(tlsTime) // they end
	})
}

// What is left of a refusal is read so far, and so long, and no further.
func TestDiscardEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name string
			from io.Reader
			took time.Duration
			read int
		}{
			{"one that goes on", &endless{frame: bytes.Repeat([]byte("x"), 1<<10), most: 10 * maxDiscard}, 0, maxDiscard},
			{"one that stops", nil, discardTime, 0},
		} {
			body := &closable{closed: make(chan struct{}), from: tt.from}
			begun := time.Now()
			discard(&http.Response{Body: body, ContentLength: -1})
			<-body.closed
			if took := time.Since(begun); took != tt.took || body.read > tt.read+chunk {
				t.Errorf("%s: closed after %s and %d bytes", tt.name, took, body.read)
			}
			synctest.Wait()
		}
	})
}

// closable is a body; without a source nothing comes of it until it is closed.
type closable struct {
	from   io.Reader
	read   int
	closed chan struct{}
}

func (c *closable) Read(p []byte) (int, error) {
	if c.from == nil {
		<-c.closed
		return 0, errors.New("closed")
	}
	n, err := c.from.Read(p)
	c.read += n
	return n, err
}

func (c *closable) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}
