package proxy

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// ParentProxy reads the proxy variables of the environment that agentvault itself was
// started in: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in both cases. The result
// fits Upstream.Proxy; it is nil where no proxy is set.
//
// A name that the hosts file gives a loopback address is reached directly: a proxy on
// another machine cannot mean this one. DNS is not asked for that, because a parent
// with a SOCKS proxy may not want its names to leave any other way.
func ParentProxy(env func(string) string) (func(*http.Request) (*url.URL, error), error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := env(n); v != "" {
				return v
			}
		}
		return ""
	}
	all := first("ALL_PROXY", "all_proxy")
	c := httpproxy.Config{
		HTTPSProxy: cmp.Or(first("HTTPS_PROXY", "https_proxy"), all),
		HTTPProxy:  cmp.Or(first("HTTP_PROXY", "http_proxy"), all),
		NoProxy:    first("NO_PROXY", "no_proxy"),
	}
	if c.HTTPSProxy == "" && c.HTTPProxy == "" {
		return nil, nil
	}
	for _, v := range []string{c.HTTPSProxy, c.HTTPProxy} {
		if err := checkProxy(v); err != nil {
			return nil, err
		}
	}
	choose := c.ProxyFunc()
	local := hostsFile()
	return func(r *http.Request) (*url.URL, error) {
		u, err := choose(r.URL)
		if u == nil || err != nil || local(r.URL.Hostname()) {
			return nil, err
		}
		return u, nil
	}, nil
}

func checkProxy(v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if (err != nil || u.Host == "") && !strings.Contains(v, "://") {
		// HOST:PORT without a scheme is common; httpproxy reads it as http://HOST:PORT.
		u, err = url.Parse("http://" + v)
	}
	if err != nil || u.Host == "" {
		return errors.New("the proxy variable of the environment holds no address (want http://HOST:PORT or socks5://HOST:PORT)")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return fmt.Errorf("the proxy variable of the environment has the unknown scheme %q (one of: http, https, socks5, socks5h)", u.Scheme)
}

// hostsFile returns whether the hosts file gives a name loopback addresses only. The
// resolver's way to DNS is cut off, which leaves it the file.
func hostsFile() func(host string) bool {
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no DNS")
	}}
	var known remembered[bool]
	return func(host string) bool {
		if local, ok := known.get(host); ok {
			return local
		}
		addrs, err := resolver.LookupNetIP(context.Background(), "ip", host)
		local := err == nil && len(addrs) > 0
		for _, a := range addrs {
			local = local && a.Unmap().IsLoopback()
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			local = ip.IsLoopback()
		}
		known.keep(host, local)
		return local
	}
}

// parent is the parent's proxy for an address, nil for none. That proxy's own address has none.
func (u Upstream) parent(scheme, address string) (*url.URL, error) {
	if u.Proxy == nil {
		return nil, nil
	}
	parent, err := u.Proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: address}})
	if err != nil || parent == nil || proxyAddress(parent) == address {
		return nil, err
	}
	return parent, nil
}

// absolute is the parent's proxy for a request that is sent to it in absolute form. To the
// others there is a tunnel, see reach.
func (u Upstream) absolute(r *http.Request) (*url.URL, error) {
	if u.Proxy == nil || r.URL.Scheme != "http" {
		return nil, nil
	}
	parent, err := u.Proxy(r)
	if err != nil || parent == nil || isSOCKS(parent) {
		return nil, err
	}
	return parent, nil
}

// reach connects to address within dialTime, through the parent's proxy where one tunnels.
func (u Upstream) reach(ctx context.Context, d *eyeballs, scheme, address string) (net.Conn, error) {
	parent, err := u.parent(scheme, address)
	switch {
	case err != nil:
		return nil, err
	case parent == nil, scheme == "http" && !isSOCKS(parent):
		return d.DialContext(ctx, "tcp", address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return dialThrough(ctx, d, u.Roots, parent, address)
}

func isSOCKS(parent *url.URL) bool { return strings.HasPrefix(parent.Scheme, "socks5") }

// proxyAddress is where the parent's proxy listens.
func proxyAddress(parent *url.URL) string {
	port := parent.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[parent.Scheme]
	}
	return net.JoinHostPort(parent.Hostname(), port)
}

// dialThrough opens a tunnel to address through the parent's proxy, whose certificate, if
// it has one, is verified by roots.
func dialThrough(ctx context.Context, d *eyeballs, roots *x509.CertPool, parent *url.URL, address string) (net.Conn, error) {
	if isSOCKS(parent) {
		socks, err := proxy.FromURL(parent, d)
		if err != nil {
			return nil, err
		}
		return socks.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	}
	c, err := d.DialContext(ctx, "tcp", proxyAddress(parent))
	if err != nil {
		return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
	}
	if parent.Scheme == "https" {
		c = tls.Client(c, &tls.Config{ServerName: parent.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12})
	}
	tunnelled, err := connectThrough(ctx, c, parent, address)
	if err != nil {
		_ = c.Close()
		if refusal := (*parentRefusal)(nil); errors.As(err, &refusal) {
			return nil, err
		}
		return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
	}
	return tunnelled, nil
}

func connectThrough(ctx context.Context, c net.Conn, parent *url.URL, address string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if u := parent.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(c); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(c)
	resp, err := http.ReadResponse(reader, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &parentRefusal{proxy: parent.Host, status: resp.Status}
	}
	t := &tunnelConn{Conn: c}
	if n := reader.Buffered(); n > 0 {
		t.ahead, _ = reader.Peek(n)
	}
	return t, c.SetDeadline(time.Time{})
}
