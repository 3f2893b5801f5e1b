package session

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority is a CA as the session's is: P-256, key identifiers, no path below it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte(name)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: id, AuthorityKeyId: id,
	}
	return authority{sign(t, template, template, key, key), key}
}

func (a authority) leaf(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, SubjectKeyId: []byte(names[0]),
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

const testToken = "t0ken-of-the-session"

// testProxy is a small CONNECT proxy. Every destination leads to one handler: over TLS
// with a leaf of the CA for *.example.test, or in absolute form. Names need not resolve,
// so whatever reaches the handler came through the proxy.
type testProxy struct {
	url     *url.URL
	addr    string
	tlsAddr string // the TLS server behind it, for going direct

	mu    sync.Mutex
	owner *Owner // asked about clients without the token
	seen  []string
}

func (p *testProxy) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, what)
}

func (p *testProxy) saw() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.seen, "\n")
}

func (p *testProxy) setOwner(o *Owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner = o
}

// startProxy serves until the test ends.
func startProxy(t *testing.T, ca authority, handler http.Handler) *testProxy {
	t.Helper()
	cert := ca.leaf(t, "example.test", "*.example.test", "localhost")
	silent := log.New(io.Discard, "", 0)
	behind := listen(t)
	server := &http.Server{Handler: handler, ErrorLog: silent,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	go server.ServeTLS(behind, "", "")
	t.Cleanup(func() { server.Close() })

	plain := listen(t) // some clients tunnel to port 80, too
	plainServer := &http.Server{Handler: handler, ErrorLog: silent}
	go plainServer.Serve(plain)
	t.Cleanup(func() { plainServer.Close() })

	l := listen(t)
	p := &testProxy{addr: l.Addr().String(), tlsAddr: behind.Addr().String()}
	p.url = &url.URL{Scheme: "http", User: url.UserPassword("agentvault", testToken), Host: p.addr}
	front := &http.Server{ErrorLog: silent, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := p.admit(r)
		p.note(who + " " + r.Method + " " + r.RequestURI)
		switch {
		case !ok:
			w.Header().Set("Proxy-Authenticate", `Basic realm="agentvault"`)
			w.WriteHeader(http.StatusProxyAuthRequired)
		case r.Method != http.MethodConnect:
			handler.ServeHTTP(w, r)
		case strings.HasPrefix(r.Host, "refused."):
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(r.Host, ":80"):
			splice(w, plain.Addr().String())
		default:
			splice(w, behind.Addr().String())
		}
	})}
	go front.Serve(l)
	t.Cleanup(func() { front.Close() })
	return p
}

func (p *testProxy) admit(r *http.Request) (who string, ok bool) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("agentvault:"+testToken))
	if r.Header.Get("Proxy-Authorization") == want {
		return "token", true
	}
	p.mu.Lock()
	owner := p.owner
	p.mu.Unlock()
	if owner == nil {
		return "stranger", false
	}
	comm, ok := owner.Owns(netip.MustParseAddrPort(r.RemoteAddr), netip.MustParseAddrPort(p.addr))
	if !ok {
		return "stranger", false
	}
	return "owned:" + comm, true
}

func splice(w http.ResponseWriter, to string) {
	up, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		io.Copy(up, buf)
		up.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(conn, up)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newFiles makes session files that are gone after the test, with nothing of the parent's
// environment in them.
func newFiles(t *testing.T, ca authority) *Files {
	t.Helper()
	f, err := NewFiles(FilesConfig{Parent: t.TempDir(), CA: ca.cert, Env: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// cleanEnv is a parent's environment without anything that a client might read.
func cleanEnv(t *testing.T) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8", "GIT_TERMINAL_PROMPT=0"}
}

// need skips a test where a program is not installed.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not on this machine", name)
	}
}

// run runs a child to its end and returns its status and what it wrote.
func run(t *testing.T, o Options) (status int, out string) {
	t.Helper()
	c, output := startPiped(t, o)
	status = c.Wait()
	return status, <-output
}

// startPiped starts a child whose output goes to a pipe, read to its end.
func startPiped(t *testing.T, o Options) (*Child, <-chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.Stdout, o.Stderr = w, w
	c, err := Start(o)
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { c.End(0) })
	output := make(chan string, 1)
	go func() {
		defer r.Close()
		var b bytes.Buffer
		io.Copy(&b, bufio.NewReader(r))
		output <- b.String()
	}()
	return c, output
}
