package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The event names the host, the client where its CONNECT or the kernel tells, and the
// variable that would make it trust the session. The kernel is asked in time from the
// second refusal on.
func TestRejectedCertificateIsTold(t *testing.T) {
	for _, tt := range []struct{ name, agent, program, client, text string }{
		{name: "names itself", agent: "curl/8.5.0", client: "curl/8.5.0", text: "CURL_CA_BUNDLE"},
		{name: "the kernel knows it", program: "node", client: "node", text: "NODE_EXTRA_CA_CERTS"},
		{name: "an interpreter", program: "python3", client: "python3", text: "REQUESTS_CA_BUNDLE"},
		{name: "nobody knows it", text: "SSL_CERT_FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options{config: func(c *Config) {
				c.Owns = func(netip.AddrPort, netip.AddrPort) (string, bool) { return tt.program, tt.program != "" }
			}})
			for range 2 {
				c := s.client(1)
				tr := c.Transport.(*http.Transport)
				tr.TLSClientConfig.RootCAs = nil
				if tt.agent != "" {
					tr.ProxyConnectHeader = http.Header{"User-Agent": {tt.agent}}
				}
				if tt.agent == "" {
					tr.ProxyConnectHeader = http.Header{"User-Agent": {""}}
				}
				if _, err := c.Get(s.upstream.URL); err == nil {
					t.Fatal("the client accepted an unknown authority")
				}
				e := s.last()
				if e.Code != CodeCertificate || e.Host != "127.0.0.1" || e.Client != tt.client || !strings.Contains(e.Reason, "127.0.0.1") || !strings.Contains(e.Reason, tt.text) {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

// A client that looks at the certificate after the handshake only closes the connection.
// One that keeps it for a while, or says something, has accepted it.
func TestClosedAtOnceIsTold(t *testing.T) {
	s := start(t, options{prepare: func(p *Proxy) { p.atOnce = time.Minute }})
	c := s.tls(s.host, "", "http/1.1")
	_ = c.NetConn().Close()
	if e := s.last(); e.Code != CodeCertificate || !strings.Contains(e.Reason, "right after the handshake") {
		t.Errorf("event %+v", e)
	}
	n := len(s.seen())
	c = s.tls(s.host, "", "http/1.1")
	resp, _ := s.request(c, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = c.Close()
	h2, _ := s.h2() // has said its preface
	_ = h2.NetConn().Close()
	if resp, _ := s.get("/"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	for _, e := range s.seen()[n:] {
		if e.Code != "" {
			t.Errorf("event %+v", e)
		}
	}
}

// The clock decides what was at once.
func TestClosedLaterIsNotTold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		told  bool
	}{{"at once", atOnce - 1, true}, {"later", atOnce, false}} {
		t.Run(tt.name, func(t *testing.T) {
			var ahead atomic.Int64 // of the clock
			begun := time.Now()
			s := start(t, options{config: func(c *Config) { c.Now = func() time.Time { return begun.Add(time.Duration(ahead.Load())) } }})
			conn, other := net.Pipe()
			defer other.Close()
			c := &tunnelConn{Conn: conn}
			s.closedAtOnce(c, newTunnel("h.test", 443, ""))
			ahead.Add(int64(tt.after))
			_ = c.Close()
			if told := len(s.seen()) > 0; told != tt.told {
				t.Errorf("told %t", told)
			}
		})
	}
}

func TestTrustHelp(t *testing.T) {
	for _, tt := range []struct{ client, goos, want string }{
		{"git/2.39.5", "linux", "GIT_SSL_CAINFO"}, {"python-requests/2.31", "linux", "what REQUESTS_CA_BUNDLE names"}, {"Java/17.0.1", "linux", "trust store"},
		{"Go-http-client/1.1", "linux", "SSL_CERT_FILE"}, {"Go-http-client/1.1", "darwin", "keychain"}, {"Deno/2.1", "linux", "DENO_CERT"}, {"cargo/1.95", "linux", "CARGO_HTTP_CAINFO"},
		{"chromium", "linux", "NSS"}, {"thing", "linux", "thing keeps certificates of its own"},
	} {
		if got := trustHelp(tt.client, tt.goos); !strings.Contains(got, tt.want) {
			t.Errorf("%s on %s: %q", tt.client, tt.goos, got)
		}
	}
}

// plainAlerts sends its alerts as OpenSSL 3.0 does when it refuses a certificate: not
// encrypted, in a handshake that already is.
type plainAlerts struct {
	net.Conn
	greeted bool
}

func (c *plainAlerts) Write(p []byte) (int, error) {
	if !c.greeted {
		c.greeted = true
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write([]byte{21, 3, 3, 0, 2, 2, 48}) // fatal, unknown_ca
	return len(p), err
}

func TestPlainAlertIsTold(t *testing.T) {
	s := start(t, options{})
	c, _ := s.connect(s.host)
	if err := tls.Client(&plainAlerts{Conn: c}, &tls.Config{ServerName: "127.0.0.1", RootCAs: x509.NewCertPool()}).Handshake(); err == nil {
		t.Fatal("the client accepted an unknown authority")
	}
	if e := s.last(); e.Code != CodeCertificate || !strings.Contains(e.Reason, "unknown certificate authority") {
		t.Errorf("event %+v", e)
	}
}
