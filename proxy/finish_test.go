package proxy

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// What a child leaves under way when it ends has its event, with its own reason, by the time that
// Finish returns: a handshake that the child has refused, and a call that it has left.
func TestFinish(t *testing.T) {
	patient := func(p *Proxy) { p.finishTime = time.Minute }
	finished := func(s *session, release chan struct{}) []event.Event {
		time.AfterFunc(50*time.Millisecond, func() { close(release) }) // long after a Close would have returned
		_ = s.Finish()
		return s.seen()
	}
	t.Run("a refused handshake", func(t *testing.T) {
		release := make(chan struct{})
		s := start(t, options{prepare: patient, config: func(c *Config) {
			c.Owns = func(netip.AddrPort, netip.AddrPort) (string, bool) { <-release; return "", false }
		}})
		c := s.client(1)
		tr := c.Transport.(*http.Transport)
		tr.TLSClientConfig.RootCAs, tr.ProxyConnectHeader = nil, http.Header{"User-Agent": {""}}
		if _, err := c.Get(s.upstream.URL); err == nil {
			t.Fatal("the client accepted an unknown authority")
		}
		all := finished(s, release)
		if len(all) == 0 || all[len(all)-1].Code != CodeCertificate {
			t.Errorf("events %+v", all)
		}
	})
	t.Run("a call", func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		s := start(t, options{noHTTP2: true, prepare: patient, config: func(c *Config) {
			sink := c.Sink
			c.Sink = func(e event.Event) {
				if e.Phase == event.End {
					<-release
				}
				sink(e)
			}
		}, handler: func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-began
			cancel()
		}()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.upstream.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := s.client(1).Do(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			t.Error("an answer")
		}
		all := finished(s, release)
		if n := len(all); n != 2 || all[n-1].Phase != event.End {
			t.Errorf("events %+v", all)
		}
	})
}
