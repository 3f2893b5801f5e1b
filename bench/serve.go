//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/ca"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

const (
	token       = "bench"
	secretValue = "s3cret-of-the-benchmark-0123456789abcdef"
	placeholder = "avp_benchmarkbenchmarkbenchmarkbench"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// serveUpstream is an API behind TLS. It has a certificate for every address of
// 127.0.0.0/24: those are the hosts of the benchmark.
func serveUpstream(l net.Listener) (pem string, handshakes func() int64) {
	authority := must(ca.New("upstream", nil))
	var n atomic.Int64
	config := &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		host, _, _ := net.SplitHostPort(h.Conn.LocalAddr().String())
		return authority.Leaf(host)
	}}
	config.VerifyConnection = func(tls.ConnectionState) error { n.Add(1); return nil }
	for i := range 255 {
		_ = must(authority.Leaf(fmt.Sprintf("127.0.0.%d", i)))
	}
	small := []byte(`{"id":"msg_0123456789","type":"message","content":[{"type":"text","text":"` + string(make512()) + `"}]}`)
	mux := http.NewServeMux()
	mux.HandleFunc("/small", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(small)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		for range n {
			time.Sleep(4 * time.Millisecond)
			_, _ = fmt.Fprintf(w, "data: %020d %s\n\n", time.Now().UnixNano(), small)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		w.Header().Set("Content-Type", "application/octet-stream")
		piece := text(64 << 10)
		for n > 0 {
			k, err := w.Write(piece[:min(n, int64(len(piece)))])
			if err != nil {
				return
			}
			n -= int64(k)
		}
	})
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, make([]byte, 64<<10))
		_, _ = fmt.Fprint(w, n)
	})
	s := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.Serve(tls.NewListener(l, config)) }()
	return string(authority.PEM()), n.Load
}

func make512() []byte {
	return text(512)
}

// text looks like JSON and prose: a scrubber must not win by an alphabet that no secret has.
func text(n int) []byte {
	const sample = `The quick brown fox {'id': 'a81f3c0de9', 'n': 1024.5} jumps over https://example.test/lazy-dog?x=aGVsbG8gd29ybGQ. `
	out := make([]byte, n)
	for i := range out {
		out[i] = sample[(i*1)%len(sample)]
	}
	return out
}

func upstreamRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(os.Getenv("AGENTVAULT_BENCH_ROOTS")))
	return pool
}

// serveReference is what one would write in an afternoon: CONNECT, a minted leaf, the
// standard library's server, ReverseProxy and a kept pool. It injects nothing, matches
// nothing, searches nothing and logs nothing.
func serveReference(l net.Listener) string {
	authority := must(ca.New("reference", nil))
	inside := make(chanListener)
	config := &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return authority.Leaf(h.Conn.(*targetConn).host)
	}}
	door := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		host, _, _ := net.SplitHostPort(r.Host)
		s := tls.Server(&targetConn{conn, host, r.Host}, config)
		if s.Handshake() != nil {
			_ = s.Close()
			return
		}
		inside <- s
	})}
	type key struct{}
	copier := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "https", r.In.Context().Value(key{}).(string)
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true, ForceAttemptHTTP2: false,
			TLSClientConfig: &tls.Config{RootCAs: upstreamRoots(), ClientSessionCache: tls.NewLRUClientSessionCache(0)}},
		FlushInterval: -1,
		BufferPool:    bufferPool{},
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	inner := &http.Server{Handler: copier, ErrorLog: copier.ErrorLog, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, key{}, c.(*tls.Conn).NetConn().(*targetConn).target)
	}}
	go func() { _ = inner.Serve(inside) }()
	go func() { _ = door.Serve(l) }()
	return string(authority.PEM())
}

type targetConn struct {
	net.Conn
	host, target string
}

type chanListener chan net.Conn

func (l chanListener) Accept() (net.Conn, error) { return <-l, nil }
func (l chanListener) Close() error              { return nil }
func (l chanListener) Addr() net.Addr            { return &net.TCPAddr{} }

// secrets is a backend that has one value for every ref; the resolver has it in its cache.
type secrets map[string]keyring.Secret

func (s secrets) Get(_ context.Context, ref keyring.Ref) (keyring.Item, error) {
	return keyring.Item{Value: s[ref.String()]}, nil
}

// serveAgentvault is the proxy as `agentvault run` sets it up: authentication, rules,
// injection, ten known secrets to search for, the log on disk and the bus.
func serveAgentvault(l net.Listener) (pem string, written *os.File, bus *event.Bus) {
	debug.SetGCPercent(proxy.GCPercent) // as main does
	authority := must(ca.New("bench", nil))
	dir := must(os.MkdirTemp("", "agentvault-bench-"))
	events := must(event.OpenLog(dir, "bench"))
	events.SetPart(math.MaxInt64, nil) // it is read through one open file
	written = must(os.Open(events.Path()))
	_ = os.RemoveAll(dir) // the open files remain
	bus = new(event.Bus)
	watching := bus.Subscribe(1024)
	go func() {
		for range watching.C {
		}
	}()
	known := make(secrets)
	var services []rule.Service
	endpoints := make(map[proxy.Endpoint]proxy.Service)
	for i := range 10 {
		name := fmt.Sprintf("service%d", i)
		host := fmt.Sprintf("api%d.example.test", i)
		if i == 0 {
			host = "127.0.0.1:*"
		}
		ref := must(keyring.ParseRef("env:SECRET" + strconv.Itoa(i)))
		known[ref.String()] = keyring.NewSecret(fmt.Appendf(nil, "%s%d", secretValue, i))
		s := rule.Service{Name: name, Hosts: []rule.Host{must(rule.ParseHost(host))},
			Allow: []rule.Op{must(rule.ParseOp("GET /**")), must(rule.ParseOp("POST /**"))}, Deny: []rule.Op{must(rule.ParseOp("DELETE /**"))}}
		services = append(services, s)
		endpoints[proxy.Endpoint{Service: name}] = proxy.Service{Name: name, Secret: ref, Inject: inject.Bearer{}, Always: true, Placeholder: placeholder + strconv.Itoa(i)}
	}
	resolver := keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
		"env": func() (keyring.Backend, error) { return known, nil },
	}})
	p := must(proxy.New(proxy.Config{
		Session: "bench", Token: token, Authority: authority, Secrets: resolver,
		Rules:    &proxy.Rules{Set: must(rule.New(services)), Services: endpoints, Unmatched: proxy.Warn},
		Upstream: proxy.Upstream{Roots: upstreamRoots()},
		Sink: func(e event.Event) {
			if err := events.Append(e); err != nil {
				panic(err)
			}
			bus.Publish(e)
		},
	}))
	for name, s := range endpoints {
		p.Know(name.Service, keyring.Item{Value: known[s.Secret.String()]})
	}
	go func() { _ = p.Serve(l) }()
	return string(authority.PEM()), written, bus
}
