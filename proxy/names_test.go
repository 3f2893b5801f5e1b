package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"agentvault/keyring"
	"agentvault/proxy/ca"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// fakeDNS makes the names of this test process resolve as the table says, until it ends.
func fakeDNS(t *testing.T, names map[string][]netip.Addr) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		for buffer := make([]byte, 1500); ; {
			n, from, err := pc.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			addrs, known := names[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
			if !known {
				reply.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addrs {
				head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
				switch {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if out, err := reply.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before })
}

// A service is reached under whatever its host is called: names that are no host names,
// names of one label, addresses, ports of its own; and at whichever of its addresses
// answers.
func TestNames(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	closed := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	fakeDNS(t, map[string][]netip.Addr{
		"my_host.example.test": {v4}, "intranet": {v4}, "xn--bcher-kva.example.test": {v4},
		"many.example.test":       append(closed, v4),
		"both.example.test":       append([]netip.Addr{v6}, append(closed, v4)...),
		"metadata-b.example.test": {netip.MustParseAddr("169.254.169.254")},
		"mixed.example.test":      {netip.MustParseAddr("169.254.169.254"), v4},
	})
	for _, tt := range []struct {
		name, host, canonical, listen string
		code                          string
	}{
		{name: "underscore", host: "my_host.example.test"},
		{name: "one label", host: "intranet"},
		{name: "international", host: "bücher.example.test", canonical: "xn--bcher-kva.example.test"},
		{name: "upper case, with a dot at the end", host: "MY_HOST.Example.Test.", canonical: "my_host.example.test"},
		{name: "IPv4", host: "127.0.0.1"},
		{name: "IPv6", host: "[::1]", canonical: "::1", listen: "[::1]:0"},
		{name: "several addresses", host: "many.example.test"},
		{name: "both families", host: "both.example.test"},
		{name: "IPv6 of both", host: "both.example.test", listen: "[::1]:0"},
		{name: "a metadata address", host: "metadata-b.example.test", code: CodeForbidden},
		{name: "no such name", host: "nowhere.example.test", code: CodeUpstreamName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			canonical := tt.canonical
			if canonical == "" {
				canonical = tt.host
			}
			upstream, authority := namedUpstream(t, tt.listen, canonical)
			_, port, _ := net.SplitHostPort(upstream)
			authorityOf := canonical + ":" + port
			if strings.Contains(canonical, ":") {
				authorityOf = "[" + canonical + "]:" + port
			}
			h, err := rule.ParseHost(authorityOf)
			if err != nil {
				t.Fatal(err)
			}
			set, err := rule.New([]rule.Service{{Name: "api", Hosts: []rule.Host{h}}})
			if err != nil {
				t.Fatal(err)
			}
			ref, _ := keyring.ParseRef("env:API")
			s := start(t, options{config: func(c *Config) {
				c.Upstream.Roots = x509.NewCertPool()
				c.Upstream.Roots.AddCert(authority.Certificate())
				c.Rules = &Rules{Set: set, Services: map[Endpoint]Service{{"api", 0}: {Name: "api", Secret: ref, Inject: inject.Bearer{}, Always: true}}}
			}})
			c := s.client(1)
			c.Timeout = 30 * time.Second
			resp, body := s.do(c, "GET", "https://"+tt.host+":"+port+"/", nil)
			switch {
			case tt.code != "":
				if got := code(t, resp, body); got != tt.code {
					t.Errorf("%s %s", resp.Status, body)
				}
			case resp.StatusCode != 200 || body != "Bearer ‹api› as "+authorityOf:
				t.Errorf("%s %q", resp.Status, body)
			}
		})
	}
}

// namedUpstream is a TLS server whose certificate is for one name.
func namedUpstream(t *testing.T, listen, name string) (addr string, authority *ca.Authority) {
	t.Helper()
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	authority, err := ca.New("upstream", nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Skip(err) // a machine without IPv6
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" as "+r.Host)
	}), TLSConfig: &tls.Config{Certificates: []tls.Certificate{*leaf}}}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String(), authority
}
