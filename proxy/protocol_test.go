package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestTrailersBothWays(t *testing.T) {
	for _, tt := range []struct{ child, upstream int }{{1, 1}, {1, 2}, {2, 1}, {2, 2}} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("h%d to h%d announced=%t", tt.child, tt.upstream, announced), func(t *testing.T) {
				s := start(t, options{noHTTP2: tt.upstream == 1, handler: func(w http.ResponseWriter, r *http.Request) {
					if announced {
						w.Header().Set("Trailer", "X-Down")
					}
					body, _ := io.ReadAll(r.Body)
					_, _ = fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("X-Up"))
					w.(http.Flusher).Flush() // or the server would announce a length
					key := http.TrailerPrefix + "X-Down"
					if announced {
						key = "X-Down"
					}
					w.Header().Set(key, "down "+sentinel)
				}})
				r, _ := http.NewRequest("POST", s.upstream.URL, struct{ io.Reader }{strings.NewReader("body")})
				r.Trailer = http.Header{"X-Up": {"up"}}
				resp, err := s.client(tt.child).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || string(body) != "body up" {
					t.Errorf("got %q %v", body, err)
				}
				if got := resp.Trailer.Get("X-Down"); got != "down "+placeholder {
					t.Errorf("trailer %q", got)
				}
			})
		}
	}
}

// A trailer comes behind a body of an announced length too, of none at all as well: what a refused
// gRPC call looks like on many a server.
func TestTrailerBehindALength(t *testing.T) {
	for _, child := range []int{1, 2} {
		for _, text := range []string{"", "short"} {
			t.Run(fmt.Sprintf("h%d %q", child, text), func(t *testing.T) {
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Trailer", "Grpc-Status, X-Never")
					_, _ = io.WriteString(w, text) // without a flush the server announces the length
					w.Header().Set("Grpc-Status", "7")
				}})
				resp, body := s.do(s.client(child), "POST", s.upstream.URL, nil)
				if body != text || resp.Trailer.Get("Grpc-Status") != "7" {
					t.Errorf("got %q, trailer %q", body, resp.Trailer)
				}
			})
		}
	}
}

// A trailer that was not announced is sent on by the rules of HTTP/1.1 chunks.
func TestRequestTrailerUnannounced(t *testing.T) {
	s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("X-Up"))
	}})
	resp, b := s.request(s.tls(s.host, ""), "POST / HTTP/1.1\r\nHost: "+s.host+"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Up: up\r\n\r\n")
	_ = b
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "body up" || !resp.Close {
		t.Errorf("got %q, close %t", body, resp.Close)
	}
}

func TestForms(t *testing.T) {
	saw := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Saw", fmt.Sprintf("%s %s host=%s hop=%q cl=%d %q", r.Method, r.RequestURI, r.Host, r.Header["X-Hop"], r.ContentLength, r.Header["Content-Length"]))
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/empty":
			w.Header().Set("Content-Length", "0")
		case "/head":
			w.Header().Set("Content-Length", "1234")
		}
	}
	s := start(t, options{handler: saw, noHTTP2: true, start: func(u *httptest.Server) { u.Config.DisableGeneralOptionsHandler = true }})
	long := "/" + strings.Repeat("a", 60<<10)
	for _, tt := range []struct{ name, request, status, saw string }{
		{"star", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n", "200", "OPTIONS * "},
		{"star of another method", "GET * HTTP/1.1\r\nHost: HOST\r\n", "400", ""},
		{"opaque", "GET mailto:x HTTP/1.1\r\nHost: HOST\r\n", "400", ""},
		{"absolute", "GET https://HOST/p?q HTTP/1.1\r\nHost: HOST\r\n", "200", "GET /p?q host=HOST"},
		{"absolute without a path", "GET https://HOST HTTP/1.1\r\nHost: HOST\r\n", "200", "GET / "},
		{"absolute with userinfo", "GET https://u:p@HOST/p HTTP/1.1\r\nHost: HOST\r\n", "200", "GET /p "},
		{"absolute wins over Host", "GET https://other.test/p HTTP/1.1\r\nHost: HOST\r\n", "421", ""},
		{"absolute and another Host", "GET https://HOST/p HTTP/1.1\r\nHost: other.test\r\n", "200", "host=HOST"},
		{"no host", "GET / HTTP/1.1\r\n", "400", ""},
		{"two hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n", "400", ""},
		{"a hop's header", "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n", "200", "hop=[]"},
		{"not a hop's header", "GET / HTTP/1.1\r\nHost: HOST\r\nX-Hop: 1\r\n", "200", `hop=["1"]`},
		{"HEAD", "HEAD /head HTTP/1.1\r\nHost: HOST\r\n", "200", "HEAD /head"},
		{"204", "GET /204 HTTP/1.1\r\nHost: HOST\r\n", "204", "GET"},
		{"304", "GET /304 HTTP/1.1\r\nHost: HOST\r\n", "304", "GET"},
		{"empty answer", "GET /empty HTTP/1.1\r\nHost: HOST\r\n", "200", "GET"},
		{"empty body", "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n", "200", `cl=0 ["0"]`},
		{"long", "GET " + long + " HTTP/1.1\r\nHost: HOST\r\n", "200", "GET " + long},
		{"too long", "GET " + strings.Repeat(long, 4) + " HTTP/1.1\r\nHost: HOST\r\n", "431", ""},
		{"too many headers", "GET / HTTP/1.1\r\nHost: HOST\r\n" + strings.Repeat("A: b\r\n", maxHeaders+1), "431", ""},
		{"upgrade that would hide requests", "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n", "200", "GET /"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, b := s.request(s.tls(s.host, ""), strings.ReplaceAll(tt.request, "HOST", s.host)+"\r\n")
			if !strings.HasPrefix(resp.Status, tt.status) || !strings.Contains(resp.Header.Get("X-Saw"), strings.ReplaceAll(tt.saw, "HOST", s.host)) {
				t.Errorf("got %s %.300s, want %s %s", resp.Status, resp.Header.Get("X-Saw"), tt.status, tt.saw)
			}
			if resp.StatusCode < 400 {
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || b.Buffered() > 0 {
					t.Errorf("%v, and %d more bytes", err, b.Buffered())
				}
				if tt.name == "HEAD" && resp.ContentLength != 1234 {
					t.Errorf("length %d", resp.ContentLength)
				}
				if resp.Header["Content-Type"] != nil && resp.ContentLength == 0 {
					t.Errorf("a type was added: %v", resp.Header)
				}
			}
		})
	}
}

// Nothing is added to an answer.
func TestAnswerIsNotAddedTo(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nX_Under: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n<html>text</htm")
		}
	}})
	for child := 1; child <= 2; child++ {
		resp, body := s.do(s.client(child), "GET", s.upstream.URL, nil)
		if len(resp.Header) != 2 || resp.Header["X_under"] == nil || body != "<html>text</htm" {
			t.Errorf("h%d: %v %q", child, resp.Header, body)
		}
	}
}

// What says that it has no body is not given a length, for which clients of HTTP/2 would wait,
// and nobody speaks in our name.
func TestAnswerWithoutBody(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		b := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, map[string]string{
				"/head":    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n",
				"/none":    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
				"/same":    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"a\"\r\n\r\n",
				"/trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-AgentVault, X-Other\r\nX-AgentVault: a\r\n\r\n0\r\nX-AgentVault: b\r\nX-Other: c\r\n\r\n",
			}[r.URL.Path])
		}
	}})
	for child := 1; child <= 2; child++ {
		for _, tt := range []struct{ method, path, length string }{{"HEAD", "/head", "5"}, {"GET", "/none", ""}, {"GET", "/same", ""}, {"GET", "/trailer", ""}} {
			resp, body := s.do(s.client(child), tt.method, s.upstream.URL+tt.path, nil)
			if body != "" || resp.Header.Get("Content-Length") != tt.length {
				t.Errorf("h%d %s: %q %v", child, tt.path, body, resp.Header)
			}
			if resp.Header[headerKey] != nil || resp.Trailer[headerKey] != nil || tt.path == "/trailer" && resp.Trailer.Get("X-Other") != "c" {
				t.Errorf("h%d %s: %v, trailer %v", child, tt.path, resp.Header, resp.Trailer)
			}
		}
	}
}

// gRPC is HTTP/2 from end to end, or nothing.
func TestGRPC(t *testing.T) {
	call := func(s *session) (*http.Response, string) {
		r, _ := http.NewRequest("POST", s.upstream.URL+"/pkg.Service/Method", struct{ io.Reader }{strings.NewReader("\x00\x00\x00\x00\x02hi")})
		r.Header.Set("Content-Type", "application/grpc+proto")
		r.Header.Set("Te", "trailers")
		resp, err := s.client(2).Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		return resp, string(body)
	}
	t.Run("served", func(t *testing.T) {
		s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "application/grpc+proto")
			_, _ = fmt.Fprintf(w, "%s %q %s", r.Proto, body, r.Header.Get("Te"))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}})
		resp, body := call(s)
		if body != `HTTP/2.0 "\x00\x00\x00\x00\x02hi" trailers` || resp.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s %q %v", resp.Status, body, resp.Trailer)
		}
	})
	for name, offers := range map[string]string{"only HTTP/1.1": "http/1.1", "no ALPN at all": ""} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{protocol: offers, raw: func(c net.Conn) {
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					t.Errorf("a request came through: %s %s", r.Method, r.URL)
				}
			}})
			resp, body := call(s)
			if text := resp.Header.Get("Grpc-Message"); resp.Header.Get(header) != CodeUpstreamTLS || resp.Header.Get("Grpc-Status") != "14" || !strings.Contains(text, "HTTP/2") || body != "" {
				t.Errorf("got %v %q", resp.Header, body)
			}
		})
	}
}

// Each leg speaks its own protocol, and a body survives the discovery of what the
// upstream speaks.
func TestLegs(t *testing.T) {
	for _, tt := range []struct {
		child    int
		upstream string
	}{{1, "http/1.1"}, {2, "http/1.1"}, {1, "h2"}, {2, "h2"}, {1, "h2 only"}} {
		t.Run(fmt.Sprintf("h%d to %s", tt.child, tt.upstream), func(t *testing.T) {
			var refused atomic.Int32
			s := start(t, options{noHTTP2: tt.upstream == "http/1.1", handler: func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprintf(w, "%s %d", r.Proto, len(body))
			}, start: func(u *httptest.Server) {
				if tt.upstream == "h2 only" {
					u.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
						if slices.Contains(hello.SupportedProtos, "h2") {
							return nil, nil
						}
						refused.Add(1)
						// Go's server would answer HTTP/1.1 with h2 as its only protocol.
						return &tls.Config{Certificates: u.TLS.Certificates, NextProtos: []string{"other"}}, nil
					}}
				}
			}})
			want := "HTTP/1.1 100000"
			if tt.child == 2 && tt.upstream == "h2" || tt.upstream == "h2 only" {
				want = "HTTP/2.0 100000"
			}
			for range 2 {
				resp, body := s.do(s.client(tt.child), "POST", s.upstream.URL, strings.NewReader(strings.Repeat("x", 100000)))
				if body != want {
					t.Errorf("got %s %s, want %s", resp.Status, body, want)
				}
			}
			if n := refused.Load(); n > 1 {
				t.Errorf("%d handshakes for HTTP/1.1, after the first had been refused", n)
			}
		})
	}
}

// gRPC without TLS comes through CONNECT as HTTP/2 with prior knowledge.
func TestPlainHTTP2(t *testing.T) {
	s := start(t, options{plain: true, change: func(s *Service) { s.Insecure = true }, handler: func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %t", r.Proto, strings.Contains(r.Header.Get("Authorization"), sentinel))
	}, start: func(u *httptest.Server) {
		u.Config.Protocols = new(http.Protocols)
		u.Config.Protocols.SetUnencryptedHTTP2(true)
	}})
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p, DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		c, _ := s.connect(addr)
		return c, nil
	}}
	defer tr.CloseIdleConnections()
	_, body := s.do(&http.Client{Transport: tr}, "POST", s.upstream.URL, strings.NewReader("x"), "Content-Type", "application/grpc")
	if body != "HTTP/2.0 true" {
		t.Error(body)
	}
}

// The authority of HTTP/2 is held to the connection as well, and Host beside it is not sent.
func TestHTTP2Authority(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }})
	r, _ := http.NewRequest("GET", s.upstream.URL, nil)
	r.Host = "other.test"
	resp, err := s.client(2).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if got := code(t, resp, string(body)); got != CodeMisdirected {
		t.Errorf("got %s", got)
	}
}
