//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"

	"github.com/rogpeppe/go-internal/testscript"
)

// parent NAME SCHEME: a proxy of the parent's environment, of another kind than the one that
// every script has. $NAME is its address; it wants the user "user" and the password
// "s3cret parent". All names lead to the upstream.
func parent(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(worldKey{}).(*world)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
	serve := w.connect
	switch args[1] {
	case "https":
		l = tls.NewListener(l, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.authority.Leaf("127.0.0.1") }})
	case "socks5":
		serve = w.socks
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
}

// connect is a proxy of HTTP.
func (w *world) connect(c net.Conn) {
	b := bufio.NewReader(c)
	r, err := http.ReadRequest(b)
	if err != nil {
		return
	}
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:s3cret parent")) {
		_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	w.carry(c, b, "HTTP/1.1 200 OK\r\n\r\n")
}

// socks is RFC 1928 with the password of RFC 1929, for names.
func (w *world) socks(c net.Conn) {
	b := bufio.NewReader(c)
	take := func(n byte) string {
		v := make([]byte, n)
		_, _ = io.ReadFull(b, v)
		return string(v)
	}
	take(take(2)[1])
	_, _ = c.Write([]byte{5, 2})
	take(1)
	user := take(take(1)[0])
	if password := take(take(1)[0]); user != "user" || password != "s3cret parent" {
		_, _ = c.Write([]byte{1, 1})
		return
	}
	_, _ = c.Write([]byte{1, 0})
	if head := take(4); head[3] != 3 {
		return
	}
	take(take(1)[0] + 2)
	w.carry(c, b, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
}

// carry connects a client of a proxy with the upstream.
func (w *world) carry(c net.Conn, from io.Reader, ok string) {
	u, err := net.Dial("tcp", w.api.Addr().String())
	if err != nil {
		return
	}
	defer u.Close()
	_, _ = io.WriteString(c, ok)
	go func() { _, _ = io.Copy(u, from); _ = u.Close() }()
	_, _ = io.Copy(c, u)
}
