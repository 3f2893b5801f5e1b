package proxy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// What a hostile child has tried, and must not get.

// foreign is a session whose service covers another host than the upstream, and whose
// secret is known from the start.
func foreign(t *testing.T, handler http.HandlerFunc) *session {
	s := start(t, options{handler: handler, service: func(r *rule.Service) {
		h, err := rule.ParseHost("api.example.test")
		if err != nil {
			t.Fatal(err)
		}
		r.Hosts = []rule.Host{h}
	}})
	s.Know("api", s.secrets.item)
	return s
}

// A stream that is held back where it could become a secret tells whoever sends it how
// far a guess is right. A host of the child's own learns nothing: neither what it sends
// nor what it is sent ever waits.
func TestGuessesAreNotAnswered(t *testing.T) {
	guess := "QQ" + sentinel[:8]
	t.Run("answers", func(t *testing.T) {
		release := make(chan struct{})
		s := foreign(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, guess)
			w.(http.Flusher).Flush()
			<-release
		})
		defer close(release)
		resp, err := s.client(1).Get(s.upstream.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got := make([]byte, len(guess))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != guess {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("uploads", func(t *testing.T) {
		arrived := make(chan string, 1)
		s := foreign(t, func(w http.ResponseWriter, r *http.Request) {
			got := make([]byte, len(guess))
			_, err := io.ReadFull(r.Body, got)
			arrived <- fmt.Sprint(string(got), err)
			_, _ = io.Copy(io.Discard, r.Body)
		})
		in, out := io.Pipe()
		go func() { _, _ = s.client(1).Post(s.upstream.URL, "text/plain", in) }()
		_, _ = io.WriteString(out, guess)
		select {
		case got := <-arrived:
			if got != guess+"<nil>" {
				t.Errorf("%q", got)
			}
		case <-time.After(20 * time.Second):
			t.Error("the beginning of a guess was held back")
		}
		_ = out.Close()
	})
}

// A secret that can be found by asking often enough is not answered for in requests.
func TestGuessable(t *testing.T) {
	for text, want := range map[string]bool{"72839104": true, "123456789012345": true, "correcthorse": true,
		"sk-live-Zk3v9QwErTy7": false, "ghp_0123456789abcdefghij": false, sentinel: false} {
		if guessable(text) != want {
			t.Errorf("guessable(%q) = %t", text, !want)
		}
	}
}

// The placeholder in a parameter that is content would have the secret written into an
// account of the child's own.
func TestPlaceholderAsContent(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		send       []string
		change     func(*Service)
		refused    bool
	}{
		{name: "content parameter", path: "/issues?title=" + placeholder, refused: true},
		{name: "with a credential of the child's", path: "/issues?title=" + placeholder, send: []string{"Authorization", "Bearer own"}, refused: true},
		{name: "cookie", path: "/", send: []string{"Cookie", "theme=" + placeholder}, refused: true},
		{name: "some header", path: "/", send: []string{"X-Csrf-Auth-Token", placeholder}, refused: true},
		{name: "credential parameter", path: "/?access_token=" + placeholder},
		{name: "parameter of the service", path: "/?title=" + placeholder, change: func(s *Service) { s.Inject = inject.Query{Name: "title"} }},
		{name: "cookie of the service", path: "/", send: []string{"Cookie", "theme=" + placeholder}, change: func(s *Service) { s.Inject = inject.Cookie{Name: "theme"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen *http.Request
			s := start(t, options{change: tt.change, handler: func(w http.ResponseWriter, r *http.Request) { seen = r }})
			resp, body := s.get(tt.path, tt.send...)
			if tt.refused {
				if got := code(t, resp, body); got != CodePlaceholder || seen != nil {
					t.Errorf("got %s, reached the upstream: %t", got, seen != nil)
				}
				return
			}
			if resp.StatusCode != 200 || !strings.Contains(seen.URL.RawQuery+seen.Header.Get("Cookie"), sentinel) {
				t.Errorf("%s %s", resp.Status, body)
			}
		})
	}
}

// Two credentials in one request would let the child choose who sees the other.
func TestOneAccount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inject inject.Injector
		target string
		header []string
		want   string // what the upstream saw of both
	}{
		{"in the query, others in headers", inject.Bearer{}, "/?access_token=P", []string{"Authorization", "Bearer own", "Private-Token", "own"}, "/?access_token=S map[]"},
		{"the parameter twice", inject.Bearer{}, "/?access_token=own&access_token=P&a=1&Access_Token=own", nil, "/?access_token=S&a=1 map[]"},
		{"the header twice", inject.Bearer{}, "/", []string{"X-Api-Key", "own", "X-Api-Key", "P", "X_Api_Key", "own"}, "/ map[X-Api-Key:[S]]"},
		{"in the service's own header as well", inject.Header{Name: "X-Custom"}, "/", []string{"Authorization", "Bearer P", "X-Custom", "own", "x_custom", "own"}, "/ map[Authorization:[Bearer S]]"},
		{"in the service's own parameter as well", inject.Query{Name: "sig"}, "/?sig=own&b=2&SIG[]=own", []string{"Authorization", "Bearer P"}, "/?b=2 map[Authorization:[Bearer S]]"},
		{"in the service's own cookie as well", inject.Cookie{Name: "sid"}, "/", []string{"X-Api-Key", "P", "Cookie", "a=1; sid=own; b=2", "Cookie", "sid=own"}, "/ map[Cookie:[a=1; b=2] X-Api-Key:[S]]"},
		{"the cookie twice", inject.Cookie{Name: "sid"}, "/", []string{"Cookie", "sid=own; a=1; sid=P"}, "/ map[Cookie:[a=1; sid=S]]"},
		{"what is no credential stays", inject.Query{Name: "key"}, "/?key=P&q=own&keys=own", []string{"X-Custom", "own"}, "/?key=S&q=own&keys=own map[X-Custom:[own]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen string
			s := start(t, options{change: func(s *Service) { s.Inject = tt.inject }, handler: func(w http.ResponseWriter, r *http.Request) {
				for _, usual := range []string{"Accept-Encoding", "User-Agent"} {
					r.Header.Del(usual)
				}
				seen = fmt.Sprint(r.URL, " ", r.Header)
			}})
			var header []string
			for _, h := range tt.header {
				header = append(header, strings.Replace(h, "P", placeholder, strings.Count(h, "P")-strings.Count(h, "Private")))
			}
			resp, body := s.get(strings.Replace(tt.target, "P", placeholder, 1), header...)
			if want := strings.Replace(tt.want, "S", sentinel, 1); resp.StatusCode != 200 || seen != want {
				t.Errorf("%s %s: the upstream saw %s, want %s", resp.Status, body, seen, want)
			}
		})
	}
	s := start(t, options{change: func(s *Service) { s.Inject = inject.Query{Name: "key"} }, handler: func(http.ResponseWriter, *http.Request) { t.Error("reached the upstream") }})
	if resp, body := s.get("/?a=1;key=own&key=" + placeholder); code(t, resp, body) != CodeInject {
		t.Errorf("a semicolon: %s %s", resp.Status, body)
	}
}

func TestOverridesAreRefused(t *testing.T) {
	for _, tt := range []struct{ path, header, value string }{
		{"/", "X-HTTP-Method-Override", "DELETE"}, {"/", "X-Original-URL", "/admin"}, {"/?a=1&_method=DELETE", "X-Other", "1"},
	} {
		s := start(t, options{handler: func(http.ResponseWriter, *http.Request) { t.Error("reached the upstream") }})
		resp, body := s.get(tt.path, tt.header, tt.value)
		if got := code(t, resp, body); got != CodeMethod || resp.StatusCode != 405 {
			t.Errorf("%s %s: got %s %s", tt.path, tt.header, resp.Status, got)
		}
	}
}

// A status that net/http cannot write must not end the process.
func TestOddStatus(t *testing.T) {
	for _, status := range []string{"042 Odd", "000 Nothing", "199 Nearly"} {
		s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 10\r\n\r\nab")
			time.Sleep(50 * time.Millisecond)
		}})
		resp, body := s.get("/")
		if got := code(t, resp, body); got != CodeUpstream {
			t.Errorf("%s: got %s", status, got)
		}
	}
}

// An echo that another call stored comes back through a call that nothing was injected
// into, compressed as the child asked for.
func TestStoredEchoIsMasked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "stored: "+sentinel)
	_ = z.Close()
	s := start(t, options{service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/store"}} },
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Encoding"] = []string{"identity", "gzip"}
			w.Header().Set("X-AgentVault", "forged")
			_, _ = w.Write(packed.Bytes())
		}})
	s.Know("api", keyring.Item{Value: keyring.NewSecret([]byte(sentinel))})
	resp, body := s.get("/read", "Accept-Encoding", "gzip")
	if s.last().Verdict != event.Uncovered || body != "stored: "+placeholder {
		t.Errorf("got %q, event %+v", body, s.last())
	}
	if resp.Header.Get(header) != "" {
		t.Errorf("head %v", resp.Header)
	}
}

// localhost is two addresses, and the child may listen on the other one.
func TestPlainLocalhostIsOneAddress(t *testing.T) {
	if got := newTunnel("localhost", 8080, "").http; got != "127.0.0.1:8080" {
		t.Errorf("plain HTTP to localhost connects to %s", got)
	}
	if !neverDialled(netip.MustParseAddr("fd00:ec2::23")) {
		t.Error("EKS Pod Identity is dialled")
	}
}
