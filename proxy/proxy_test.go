package proxy

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// echo tells what the upstream saw, without what the scrubber would hide.
func echo(header string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.Header.Get(header)
		fmt.Fprintf(w, "real=%t placeholder=%t len=%d", strings.Contains(v, sentinel), strings.Contains(v, placeholder), len(v))
	}
}

func code(t *testing.T, resp *http.Response, body string) string {
	t.Helper()
	var a struct{ Error Answer }
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%s: no JSON answer: %q", resp.Status, body)
	}
	if h := resp.Header.Get(header); h != a.Error.Code {
		t.Errorf("%s header is %q, code is %q", header, h, a.Error.Code)
	}
	if a.Error.Message == "" || a.Error.Help == "" {
		t.Errorf("answer without a message or help: %s", body)
	}
	return a.Error.Code
}

func TestInjects(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Service)
		send   []string
		look   string
		want   string
		event  event.Verdict
		auth   string
	}{
		{name: "always", look: "Authorization", want: "real=true placeholder=false", event: event.Injected},
		{name: "always, own credential replaced", send: []string{"Authorization", "Bearer mine"}, look: "Authorization", want: "real=true", event: event.Injected, auth: "bearer"},
		{name: "placeholder where it stands", send: []string{"X-Api-Key", placeholder}, look: "X-Api-Key", want: "real=true placeholder=false", event: event.Injected, auth: "placeholder"},
		{name: "placeholder inside Basic", send: []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+placeholder))}, look: "Authorization", want: "real=false placeholder=false len=46", event: event.Injected, auth: "placeholder"},
		{name: "asked, nothing shown", change: func(s *Service) { s.Always = false }, look: "Authorization", want: "real=false placeholder=false len=0", event: event.Passed},
		{name: "asked, placeholder shown", change: func(s *Service) { s.Always = false }, send: []string{"Authorization", "token " + placeholder}, look: "Authorization", want: "real=true placeholder=false", event: event.Injected, auth: "placeholder"},
		{name: "header of another name", change: func(s *Service) { s.Inject = inject.Header{Name: "X-Key", Prefix: "k "} }, look: "X-Key", want: "real=true placeholder=false", event: event.Injected},
		{name: "no credential", change: func(s *Service) { s.Secret, s.Inject = keyring.Ref{}, inject.None{} }, look: "Authorization", want: "len=0", event: event.Passed},
	} {
		for protocol := 1; protocol <= 2; protocol++ {
			t.Run(fmt.Sprintf("%s/h%d", tt.name, protocol), func(t *testing.T) {
				s := start(t, options{handler: echo(tt.look), change: tt.change})
				resp, body := s.do(s.client(protocol), "GET", s.upstream.URL+"/v1/x?q=1", nil, tt.send...)
				if resp.StatusCode != 200 || !strings.Contains(body, tt.want) {
					t.Fatalf("got %s %q, want %q", resp.Status, body, tt.want)
				}
				e := s.last()
				if e.Verdict != tt.event || e.Auth != tt.auth || e.Path != "/v1/x" || e.Status != 200 || e.Service != "api" {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

func TestRefuses(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { panic("reached the upstream") }
	for _, tt := range []struct {
		name   string
		o      options
		method string
		path   string
		send   []string
		want   string
		status int
	}{
		{name: "placeholder for an uncovered path", o: options{service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "GET", Path: "/ok/**"}} }}, path: "/no", send: []string{"X-Api-Key", placeholder}, want: CodePlaceholder, status: 403},
		{name: "placeholder twice", send: []string{"X-Api-Key", placeholder, "Authorization", "Bearer " + placeholder}, want: CodeCopies, status: 403},
		{name: "denied by rule", o: options{service: func(r *rule.Service) { r.Deny = []rule.Op{{Method: "DELETE", Path: "/**"}} }}, method: "DELETE", want: CodeDenied, status: 403},
		{name: "not in allow under deny", o: options{unmatched: Deny, service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }}, want: CodeUnmatched, status: 403},
		{name: "ask without anybody to ask", o: options{unmatched: Ask, service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }}, want: CodeUnmatched, status: 403},
		{name: "encoded dots", path: "/a/%2e%2e/b", want: CodePath, status: 400},
		{name: "bound elsewhere", o: options{config: func(c *Config) { c.Secrets.(*fakeSecrets).item.Hosts = []string{"other.example.test"} }}, want: CodeBinding, status: 403},
		{name: "not bound at all", o: options{change: func(s *Service) { s.Secret, _ = keyring.ParseRef("keychain:api") }}, want: CodeBinding, status: 403},
		{name: "secret not found", o: options{config: func(c *Config) { c.Secrets.(*fakeSecrets).err = keyring.ErrNotFound }}, want: CodeSecret, status: 502},
		{name: "secret with a line break", o: options{config: func(c *Config) {
			c.Secrets.(*fakeSecrets).item.Value = keyring.NewSecret([]byte(sentinel + "\r\nX-Evil: 1"))
		}}, want: CodeInject, status: 502},
		{name: "TRACE", method: "TRACE", want: CodeMethod, status: 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.handler = never
			s := start(t, tt.o)
			if tt.method == "" {
				tt.method = "GET"
			}
			if tt.path == "" {
				tt.path = "/v1"
			}
			resp, body := s.do(s.client(1), tt.method, s.upstream.URL+tt.path, nil, tt.send...)
			if got := code(t, resp, body); got != tt.want || resp.StatusCode != tt.status {
				t.Errorf("got %d %s, want %d %s\n%s", resp.StatusCode, got, tt.status, tt.want, body)
			}
			if strings.Contains(body, sentinel) {
				t.Error("the answer holds the secret")
			}
			if e := s.last(); e.Code != tt.want || e.Verdict != event.Denied && e.Verdict != event.Failed {
				t.Errorf("event %+v", e)
			}
		})
	}
}

func TestUncoveredPasses(t *testing.T) {
	s := start(t, options{handler: echo("Authorization"), service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }})
	resp, body := s.get("/secret-free", "Authorization", "Bearer own-key-of-the-child")
	if resp.StatusCode != 200 || !strings.Contains(body, "real=false") {
		t.Fatalf("%s %s", resp.Status, body)
	}
	if e := s.last(); e.Verdict != event.Uncovered || e.Auth != "bearer" || e.Secret != "" {
		t.Errorf("event %+v", e)
	}
}

func TestOneIdentity(t *testing.T) {
	s := start(t, options{})
	for _, tt := range []struct{ name, sni, host string }{
		{"other Host", "", "other.example.test"},
		{"other SNI", "other.example.test", ""},
		{"other port", "", "127.0.0.1:1"},
		{"absolute form inside the tunnel", "", "abs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.tls(s.host, tt.sni)
			host, target := tt.host, "/"
			if host == "" {
				host = s.host
			}
			if host == "abs" {
				host, target = s.host, "https://other.example.test/"
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if got := code(t, resp, string(body)); got != CodeMisdirected || resp.StatusCode != 421 {
				t.Errorf("got %s %s", resp.Status, got)
			}
		})
	}
}

func TestDoor(t *testing.T) {
	s := start(t, options{config: func(c *Config) {
		c.Owns = func(client, server netip.AddrPort) (string, bool) { return "", false }
	}})
	for _, tt := range []struct {
		name, request, want string
		status              int
	}{
		{"no token", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", CodeAuth, 407},
		{"wrong token", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Basic YTpi\r\n\r\n", CodeAuth, 407},
		{"not for a proxy", "GET / HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeNotProxy, 400},
		{"https in absolute form", "GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeTLSStripping, 400},
		{"bad host", "CONNECT 0x7f.1:443 HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeBadHost, 400},
		{"metadata by address", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeForbidden, 403},
		{"metadata in absolute form", "GET http://169.254.169.254/latest/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeForbidden, 403},
		{"metadata by name", "CONNECT metadata.google.internal:80 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", CodeForbidden, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, tt.request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if got := code(t, resp, string(body)); got != tt.want || resp.StatusCode != tt.status {
				t.Errorf("got %s %s, want %d %s", resp.Status, got, tt.status, tt.want)
			}
			if tt.status == 407 && resp.Header.Get("Proxy-Authenticate") == "" {
				t.Error("407 without Proxy-Authenticate")
			}
		})
	}
}

// A client that cannot send a token is let in where the kernel vouches for it.
func TestKernelVouches(t *testing.T) {
	s := start(t, options{config: func(c *Config) {
		c.Owns = func(client, server netip.AddrPort) (string, bool) {
			return "java", client.IsValid() && server.IsValid()
		}
	}})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", s.host, s.host)
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
}

func TestPlainHTTP(t *testing.T) {
	for _, tt := range []struct {
		name     string
		insecure bool
		want     string
	}{{"refused", false, CodeInsecure}, {"loopback that says so", true, "real=true"}} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options{plain: true, handler: echo("Authorization"), change: func(s *Service) { s.Insecure = tt.insecure }})
			_, body := s.get("/")
			if !strings.Contains(body, tt.want) {
				t.Errorf("got %q, want %q", body, tt.want)
			}
		})
	}
}

func TestTunnelIsBlind(t *testing.T) {
	s := start(t, options{})
	r := s.rules.Load()
	h, _ := rule.ParseHost(s.host)
	s.Swap(&Rules{Set: r.Set, Services: r.Services, Tunnel: []rule.Host{h}})
	c := s.client(1)
	c.Transport.(*http.Transport).TLSClientConfig = s.upstream.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	_, body := s.do(c, "GET", s.upstream.URL, nil)
	if body != "ok" {
		t.Fatal(body)
	}
	c.CloseIdleConnections()
	if e := s.last(); e.Verdict != event.Tunnelled || e.Method != "CONNECT" || e.Received == 0 {
		t.Errorf("event %+v", e)
	}
}

func TestNotTLSIsRefusedAndLogged(t *testing.T) {
	s := start(t, options{})
	c, _ := s.connect(s.host)
	_, _ = c.Write([]byte{0, 1, 2, 3})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want a closed connection", err)
	}
	if e := s.last(); e.Code != CodeNotTLS || e.Verdict != event.Failed {
		t.Errorf("event %+v", e)
	}
}

func TestUpstreamFailures(t *testing.T) {
	s := start(t, options{})
	// A connection has the port: nobody listens there, and nobody else can.
	taken, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct{ name, url, want string }{
		{"nothing listens", "https://" + taken.LocalAddr().String() + "/", CodeUpstreamDial},
		{"no such name", "https://no-such-name.invalid/", CodeUpstreamName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := s.do(s.client(1), "GET", tt.url, nil)
			if got := code(t, resp, body); got != tt.want {
				t.Errorf("got %s: %s", got, body)
			}
		})
	}
	t.Run("certificate", func(t *testing.T) {
		s := start(t, options{config: func(c *Config) { c.Upstream.Roots = s.roots }})
		resp, body := s.get("/")
		if got := code(t, resp, body); got != CodeUpstreamTLS {
			t.Errorf("got %s: %s", got, body)
		}
	})
}
