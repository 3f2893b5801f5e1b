package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"agentvault/keyring"
)

// One proxied request with everything on: identity, rules, injection, search of the
// answer, events. Client and upstream are loops without allocations, so what -benchmem
// shows is the proxy's.
func BenchmarkRequest(b *testing.B) { benchmarkRequest(b, func(*session) {}) }

// The same while somebody looks: the headers are kept as well.
func BenchmarkRequestWatched(b *testing.B) {
	benchmarkRequest(b, func(s *session) { b.Cleanup(s.Watch()) })
}

func benchmarkRequest(b *testing.B, prepare func(*session)) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
	s := start(b, options{protocol: "http/1.1", raw: func(c net.Conn) {
		in := bufio.NewReader(c)
		for skipHead(in) == nil {
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}, config: func(c *Config) {
		c.Sink = nil
		secrets := c.Secrets.(*fakeSecrets)
		open := func() (keyring.Backend, error) { return backend{secrets}, nil }
		c.Secrets = keyring.NewResolver(keyring.ResolverConfig{TTL: func(string) time.Duration { return time.Hour }, // warm, as in a session
			Backends: map[string]func() (keyring.Backend, error){"env": open}})
	}})
	prepare(s)
	c := s.tls(s.host, "", "http/1.1")
	in := bufio.NewReader(c)
	get := []byte("GET /v1/messages HTTP/1.1\r\nHost: " + s.host + "\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nX-Api-Key: " + placeholder + "\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(get); err != nil {
			b.Fatal(err)
		}
		if err := skipHead(in); err != nil {
			b.Fatal(err)
		}
		if _, err := in.Discard(11); err != nil {
			b.Fatal(err)
		}
	}
}

// skipHead reads a head, of a request or of an answer.
func skipHead(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil || len(line) == 2 {
			return err
		}
	}
}

// Bodies are searched on their way, in both directions.
func BenchmarkDownload(b *testing.B) {
	const size = 8 << 20
	text := bytes.Repeat([]byte(`{"role":"assistant","content":"the quick brown fox"} `), size/53+1)[:size]
	s := start(b, options{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(text)
	}, config: func(c *Config) { c.Sink = nil }})
	c := s.client(1)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Get(s.upstream.URL)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
			b.Fatal(n, err)
		}
		_ = resp.Body.Close()
	}
}

// What a watcher costs each call: the headers of a real request and its answer are taken down.
func BenchmarkKeepHeads(b *testing.B) {
	p := new(Proxy)
	b.Cleanup(p.Watch())
	in := http.Header{"Accept": {"application/json"}, "Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"a,b,c"}, "Content-Type": {"application/json"},
		"Content-Length": {"12345"}, "User-Agent": {"claude-cli/2.1.0 (external, cli)"}, "X-Api-Key": {placeholder}, "X-Stainless-Lang": {"js"}, "X-Stainless-Os": {"Linux"}, "Accept-Encoding": {"gzip, br"}}
	out := &http.Request{Header: in.Clone()}
	answer := http.Header{"Date": {"Sun, 22 Nov 2026 10:00:00 GMT"}, "Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache"}, "Request-Id": {"req_0123456789"}, "Server": {"cloudflare"},
		"Set-Cookie": {"__cf=0123456789; path=/; HttpOnly"}, "Cf-Ray": {"0123456789-AMS"}, "Strict-Transport-Security": {"max-age=31536000"}}
	x := &exchange{proxy: p, call: call{proxy: p}, in: &http.Request{Header: in}, service: &Service{Name: "anthropic"}, injected: true}
	b.ReportAllocs()
	for b.Loop() {
		x.call.event.Call++
		x.keepRequest(out)
		x.keepResponse(answer)
	}
}
