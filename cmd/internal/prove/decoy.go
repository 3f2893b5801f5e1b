package prove

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"agentvault/proxy/ca"
)

// decoyTime bounds a connection to the decoy.
const decoyTime = 30 * time.Second

// Decoy is a host that no service covers: a TLS server on loopback under a made-up
// name, which keeps every byte that it is sent. The name is never looked up: Decoy is
// also the proxy that leads there, and Proxy sends to it what is for that name alone.
type Decoy struct {
	host      string
	authority *ca.Authority
	listener  net.Listener

	mu  sync.Mutex
	got bytes.Buffer
}

// NewDecoy begins to listen. The caller closes it.
func NewDecoy() (*Decoy, error) {
	random := make([]byte, 6)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	authority, err := ca.New("agentvault test", nil)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// .invalid is reserved (RFC 2606): nobody has this name.
	d := &Decoy{host: "not-covered-" + hex.EncodeToString(random) + ".agentvault.invalid", authority: authority, listener: l}
	go d.serve()
	return d, nil
}

// Close ends it. Connections that are open end by themselves.
func (d *Decoy) Close() { _ = d.listener.Close() }

// Host is its name.
func (d *Decoy) Host() string { return d.host }

// Roots are roots, which may be nil, and the decoy's authority, whose key is in this
// process and nowhere else.
func (d *Decoy) Roots(roots *x509.CertPool) *x509.CertPool {
	if roots == nil {
		roots = x509.NewCertPool()
	}
	roots = roots.Clone()
	roots.AddCert(d.authority.Certificate())
	return roots
}

// Proxy leads what is for the decoy to it, and everything else where next leads.
func (d *Decoy) Proxy(next func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	own := &url.URL{Scheme: "http", Host: d.listener.Addr().String()}
	return func(r *http.Request) (*url.URL, error) {
		switch {
		case r.URL.Hostname() == d.host:
			return own, nil
		case next == nil:
			return nil, nil
		}
		return next(r)
	}
}

func (d *Decoy) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got.Reset()
}

// seen is every byte of the requests since reset.
func (d *Decoy) seen() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.got.Bytes())
}

// Write keeps what a connection brought.
func (d *Decoy) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got.Write(p)
}

func (d *Decoy) serve() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.answer(c)
	}
}

// answer takes one CONNECT and, inside of it, one request.
func (d *Decoy) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(decoyTime))
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || r.Method != http.MethodConnect {
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	t := tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.authority.Leaf(d.host) }})
	inner, err := http.ReadRequest(bufio.NewReader(io.TeeReader(t, d)))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, inner.Body)
	_, _ = fmt.Fprint(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	_ = t.Close()
}
