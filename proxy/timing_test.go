package proxy

import (
	"io"
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
			headSeen := make(chan struct{}, 1)
			tt.o.handler = func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(wait)
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
				<-headSeen // or a slow reader sees both at once
				time.Sleep(body)
				_, _ = w.Write([]byte("ok"))
			}
			s := start(t, tt.o)
			c := s.client(1)
			get := func() {
				t.Helper()
				resp, err := c.Get(s.upstream.URL + "/")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				headSeen <- struct{}{}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Fatal(err)
				}
			}
			get()
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
			get()
			if x := s.last().Timing; x == nil || x.Connect+x.TLS+x.Name > 0 || x.Wait < wait || !x.Kept || x.Ahead {
				t.Errorf("on the same connection: %+v", x)
			}
		})
	}
}
