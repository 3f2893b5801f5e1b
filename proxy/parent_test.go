package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// parentProxy is a proxy of the parent's environment. It wants "user" and "pass word".
type parentProxy struct {
	url    *url.URL
	tunnel atomic.Int32
	refuse atomic.Bool
}

func startParent(t *testing.T, scheme string) *parentProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &parentProxy{url: &url.URL{Scheme: scheme, Host: l.Addr().String(), User: url.UserPassword("user", "pass word")}}
	if scheme == "https" {
		u := httptest.NewUnstartedServer(nil)
		u.StartTLS()
		u.Close()
		l = tls.NewListener(l, &tls.Config{Certificates: u.TLS.Certificates})
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if strings.HasPrefix(scheme, "socks") {
					p.socks(c)
				} else {
					p.http(c)
				}
			}()
		}
	}()
	return p
}

func (p *parentProxy) http(c net.Conn) {
	b := bufio.NewReader(c)
	r, err := http.ReadRequest(b)
	if err != nil {
		return
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass word"))
	switch {
	case r.Header.Get("Proxy-Authorization") != want:
		_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
	case p.refuse.Load():
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden by policy\r\nContent-Length: 0\r\n\r\n")
	case r.Method == "CONNECT":
		p.carry(c, b, r.Host, "HTTP/1.1 200 OK\r\n\r\n")
	default:
		p.tunnel.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nparent")
	}
}

func (p *parentProxy) carry(c net.Conn, from io.Reader, address, ok string) {
	up, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer up.Close()
	p.tunnel.Add(1)
	_, _ = io.WriteString(c, ok)
	go func() { _, _ = io.Copy(up, from); closeWrite(up) }()
	_, _ = io.Copy(c, up)
}

// socks is RFC 1928 with the user name and password of RFC 1929.
func (p *parentProxy) socks(c net.Conn) {
	b := bufio.NewReader(c)
	take := func(n int) []byte {
		v := make([]byte, n)
		_, _ = io.ReadFull(b, v)
		return v
	}
	take(int(take(2)[1]))
	_, _ = c.Write([]byte{5, 2})
	take(1)
	user := take(int(take(1)[0]))
	pass := take(int(take(1)[0]))
	if string(user) != "user" || string(pass) != "pass word" {
		_, _ = c.Write([]byte{1, 1})
		return
	}
	_, _ = c.Write([]byte{1, 0})
	head := take(4)
	host := ""
	switch head[3] {
	case 1:
		host = net.IP(take(4)).String()
	case 3:
		host = string(take(int(take(1)[0])))
	case 4:
		host = net.IP(take(16)).String()
	}
	port := binary.BigEndian.Uint16(take(2))
	if p.refuse.Load() {
		_, _ = c.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	p.carry(c, b, net.JoinHostPort(host, strconv.Itoa(int(port))), "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
}

func TestParentProxies(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5", "socks5h"} {
		for _, blind := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s blind=%t", scheme, blind), func(t *testing.T) {
				parent := startParent(t, scheme)
				s := start(t, options{handler: echo("Authorization"), config: func(c *Config) { c.Upstream.Proxy = http.ProxyURL(parent.url) }})
				c, want := s.client(1), "real=true"
				if blind {
					r := s.rules.Load()
					h, _ := rule.ParseHost(s.host)
					s.Swap(&Rules{Set: r.Set, Services: r.Services, Tunnel: []rule.Host{h}})
					c.Transport.(*http.Transport).TLSClientConfig = s.upstream.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
					want = "real=false"
				}
				if resp, body := s.do(c, "GET", s.upstream.URL, nil); !strings.Contains(body, want) {
					t.Fatalf("%s %s", resp.Status, body)
				}
				c.CloseIdleConnections()
				s.last()
				if parent.tunnel.Load() != 1 {
					t.Errorf("%d tunnels", parent.tunnel.Load())
				}
				s.CloseIdle()
				for _, break_ := range []func(){func() { parent.refuse.Store(true) }, func() { parent.url.User = url.UserPassword("user", "wrong"); parent.refuse.Store(false) }} {
					break_()
					if blind {
						_, resp := s.connect(s.host)
						body, _ := io.ReadAll(resp.Body)
						if got := code(t, resp, string(body)); got != CodeUpstreamProxy {
							t.Errorf("got %s %s", got, body)
						}
					} else {
						resp, body := s.do(s.client(1), "GET", s.upstream.URL, nil)
						if got := code(t, resp, body); got != CodeUpstreamProxy || strings.Contains(body, "pass word") || strings.Contains(body, "wrong") {
							t.Errorf("got %s %s", got, body)
						}
					}
					if e := s.last(); e.Code != CodeUpstreamProxy || e.Verdict != event.Failed {
						t.Errorf("event %+v", e)
					}
				}
			})
		}
	}
}

// CloseIdle makes the next request dial.
func (s *session) CloseIdle() {
	for _, p := range []*http.Transport{s.transports.http1, s.transports.http2} {
		p.CloseIdleConnections()
	}
}

// A plain request goes to the parent's proxy in absolute form.
func TestParentPlain(t *testing.T) {
	parent := startParent(t, "http")
	s := start(t, options{plain: true, config: func(c *Config) { c.Upstream.Proxy = http.ProxyURL(parent.url) }, service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }})
	if _, body := s.get("/"); body != "parent" {
		t.Error(body)
	}
}

func TestParentProxyVariables(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		url  string
		want string // "" is direct
		bad  bool
	}{
		{name: "none"},
		{name: "https", env: map[string]string{"HTTPS_PROXY": "http://p.test:1"}, url: "https://a.test", want: "http://p.test:1"},
		{name: "lower case", env: map[string]string{"https_proxy": "http://p.test:1"}, url: "https://a.test", want: "http://p.test:1"},
		{name: "all", env: map[string]string{"ALL_PROXY": "socks5h://u:p@p.test:1"}, url: "https://a.test", want: "socks5h://u:p@p.test:1"},
		{name: "https wins over all", env: map[string]string{"ALL_PROXY": "socks5://q.test:1", "HTTPS_PROXY": "p.test:1"}, url: "https://a.test", want: "http://p.test:1"},
		{name: "http is another", env: map[string]string{"HTTPS_PROXY": "http://p.test:1"}, url: "http://a.test"},
		{name: "not for this host", env: map[string]string{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "b.test, .a.test"}, url: "https://x.a.test"},
		{name: "not for this port", env: map[string]string{"HTTPS_PROXY": "http://p.test:1", "no_proxy": "a.test:8443"}, url: "https://a.test:8443"},
		{name: "not for this network", env: map[string]string{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "10.0.0.0/8"}, url: "https://10.1.2.3"},
		{name: "not for any", env: map[string]string{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "*"}, url: "https://a.test"},
		{name: "localhost", env: map[string]string{"HTTPS_PROXY": "http://p.test:1"}, url: "https://localhost:8443"},
		{name: "loopback", env: map[string]string{"HTTPS_PROXY": "http://p.test:1"}, url: "https://127.0.0.1:8443"},
		{name: "loopback v6", env: map[string]string{"HTTPS_PROXY": "http://p.test:1"}, url: "https://[::1]:8443"},
		{name: "unknown scheme", env: map[string]string{"HTTPS_PROXY": "ftp://u:secret@p.test:1"}, bad: true},
		{name: "no address", env: map[string]string{"ALL_PROXY": "http://"}, bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ParentProxy(func(name string) string { return tt.env[name] })
			if tt.bad {
				if err == nil || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f == nil {
				if tt.env != nil {
					t.Error("no function")
				}
				return
			}
			u, _ := url.Parse(tt.url)
			got, err := f(&http.Request{URL: u})
			if err != nil || got == nil && tt.want != "" || got != nil && got.String() != tt.want {
				t.Errorf("got %v %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestNeverDialled(t *testing.T) {
	for addr, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "0.0.0.0": true, "::": true,
		"64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::1": true, "fd00:ec2::254": true, "100.100.100.200": true, "168.63.129.16": true, "224.0.0.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "1.1.1.1": false, "::1": false, "64:ff9b::101:101": false, "fd00::1": false,
	} {
		if got := neverDialled(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
}

// A name that points to a metadata service is refused by its address.
func TestRefusedByResolvedAddress(t *testing.T) {
	d := newDialer(Upstream{})
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		c, s := net.Pipe()
		go answerDNS(s, [4]byte{169, 254, 169, 254})
		return c, nil
	}}
	_, err := d.DialContext(context.Background(), "tcp", "harmless.example.test:80")
	var refused *refusedAddress
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if a := upstreamAnswer(err, "harmless.example.test"); a.Code != CodeForbidden || a.Status != 403 {
		t.Errorf("answer %+v", a)
	}
}

// answerDNS says of every name that it has one address.
func answerDNS(c net.Conn, ip [4]byte) {
	defer c.Close()
	for {
		var n [2]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(n[:]))
		_, _ = io.ReadFull(c, packet)
		var m dnsmessage.Message
		if m.Unpack(packet) != nil || len(m.Questions) == 0 {
			return
		}
		m.Response, m.Additionals = true, nil
		q := m.Questions[0]
		if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: ip}}}
		}
		out, _ := m.Pack()
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	}
}
