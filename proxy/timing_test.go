package proxy

import (
	"net/http"
	"testing"
	"time"
)

// Each part of the time is measured where it is spent, also behind a proxy of the parent's
// and on a connection that was made ahead.
func TestTiming(t *testing.T) {
	const wait, body = 30 * time.Millisecond, 20 * time.Millisecond
	parent := startParent(t, "http")
	for _, tt := range []struct {
		name string
		o    options
	}{
		{"direct", options{}},
		{"HTTP/1.1", options{noHTTP2: true}},
		{"behind a proxy", options{config: func(c *Config) {
			c.Upstream.Proxy = http.ProxyURL(parent.url)
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.handler = func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(wait)
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(body)
				_, _ = w.Write([]byte("ok"))
			}
			s := start(t, tt.o)
			c := s.client(1)
			s.do(c, "GET", s.upstream.URL+"/", nil)
			first := s.last()
			x := first.Timing
			if x == nil || x.Connect <= 0 || x.TLS <= 0 || x.Wait < wait || x.Body < body || x.Kept {
				t.Fatalf("the first call: %+v", x)
			}
			if x.Wait+x.Body > first.Duration || !x.Ahead && x.Name+x.Connect+x.TLS+x.Wait+x.Body > first.Duration {
				t.Errorf("%+v is more than the whole, %s", x, first.Duration)
			}
			if parent := tt.o.config != nil; x.Ahead == parent {
				t.Errorf("made ahead: %t, behind a proxy: %t", x.Ahead, parent)
			}
			s.do(c, "GET", s.upstream.URL+"/", nil)
			if x := s.last().Timing; x == nil || x.Connect+x.TLS+x.Name > 0 || x.Wait < wait || !x.Kept || x.Ahead {
				t.Errorf("on the same connection: %+v", x)
			}
		})
	}
}
