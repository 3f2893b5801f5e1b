//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// target is a way to the upstream: directly, or through one of the proxies. Its clients
// are written by hand, because what they cost is in every figure.
type target struct {
	name  string
	proxy string // empty for direct
	port  string // of the upstream
	pool  *x509.CertPool
	cache tls.ClientSessionCache
}

func newTarget(name, proxy, upstream, pem string) *target {
	t := &target{name: name, proxy: proxy, pool: x509.NewCertPool(), cache: tls.NewLRUClientSessionCache(1024)}
	_, t.port, _ = net.SplitHostPort(upstream)
	t.pool.AppendCertsFromPEM([]byte(pem))
	return t
}

type client struct {
	*tls.Conn
	host string
	in   *bufio.Reader
	get  []byte
}

// open connects to a host of the upstream. Without resume the handshake is a full one.
func (t *target) open(host string, resume bool) (*client, error) {
	address := net.JoinHostPort(host, t.port)
	dial := address
	if t.proxy != "" {
		dial = t.proxy
	}
	c, err := net.Dial("tcp", dial)
	if err != nil {
		return nil, err
	}
	if t.proxy != "" {
		if err := connect(c, address); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{RootCAs: t.pool, ServerName: host, NextProtos: []string{"http/1.1"}}
	if resume {
		config.ClientSessionCache = t.cache
	}
	s := tls.Client(c, config)
	if err := s.Handshake(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	k := &client{Conn: s, host: address, in: bufio.NewReaderSize(s, 64<<10)}
	k.get = k.head("GET", "/small", "")
	return k, nil
}

func connect(c net.Conn, address string) error {
	auth := base64.StdEncoding.EncodeToString([]byte("agentvault:" + token))
	_, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic %s\r\n\r\n", address, address, auth)
	if err != nil {
		return err
	}
	buffer := make([]byte, 1024)
	n := 0
	for !bytes.Contains(buffer[:n], []byte("\r\n\r\n")) {
		k, err := c.Read(buffer[n:])
		if err != nil {
			return err
		}
		n += k
	}
	if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("CONNECT: %s", buffer[:n])
	}
	return nil
}

func (c *client) head(method, path, more string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nContent-Type: application/json\r\nX-Request-Id: 0123456789\r\nAnthropic-Version: 2023-06-01\r\n%s\r\n", method, path, c.host, more)
}

// readHead returns the announced length, -1 for chunks.
func (c *client) readHead() (int64, error) {
	length := int64(-1)
	first := true
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			rest, _ := c.in.Peek(c.in.Buffered())
			return 0, fmt.Errorf("got %s%s", line, rest)
		}
		first = false
		if len(line) == 2 {
			return length, nil
		}
		if len(line) > 16 && (line[0]|0x20) == 'c' && bytes.EqualFold(line[:15], []byte("content-length:")) {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(line[15:])), 10, 64); err != nil {
				return 0, err
			}
		}
	}
}

// fetch is one small request.
func (c *client) fetch() error {
	if _, err := c.Write(c.get); err != nil {
		return err
	}
	n, err := c.readHead()
	if err != nil {
		return err
	}
	if n < 0 {
		return errors.New("an answer without a length")
	}
	_, err = c.in.Discard(int(n))
	return err
}

// down receives n bytes, up sends them.
func (c *client) down(n int64) error {
	if _, err := c.Write(c.head("GET", "/down?n="+strconv.FormatInt(n, 10), "")); err != nil {
		return err
	}
	if got, err := c.readHead(); err != nil || got != n {
		return fmt.Errorf("%d bytes announced, %w", got, err)
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c.in, n), *piece.Get().(*[]byte))
	return err
}

func (c *client) up(n int64) error {
	if _, err := c.Write(c.head("POST", "/up", fmt.Sprintf("Content-Length: %d\r\n", n))); err != nil {
		return err
	}
	data := text(64 << 10)
	for left := n; left > 0; left -= int64(len(data)) {
		if _, err := c.Write(data[:min(left, int64(len(data)))]); err != nil {
			return err
		}
	}
	length, err := c.readHead()
	if err != nil {
		return err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.in, body); err != nil || string(body) != strconv.FormatInt(n, 10) {
		return fmt.Errorf("the upstream got %s of %d bytes, %w", body, n, err)
	}
	return nil
}

var piece = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// bufferPool is what ReverseProxy copies through.
type bufferPool struct{}

func (bufferPool) Get() []byte  { return *piece.Get().(*[]byte) }
func (bufferPool) Put(b []byte) { piece.Put(&b) }
