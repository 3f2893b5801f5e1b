package proxy

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 names it
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"agentvault/proxy/xconnect"
)

// The server may offer extended CONNECT; see package xconnect.
func init() { xconnect.Restore() }

// extended is a WebSocket that an HTTP/2 child opened by an extended CONNECT (RFC 8441).
// The rules see it as the GET that it is over HTTP/1.1, and so does the upstream.
type extended struct {
	connect *http.Request
	key     string
}

// protocolHeader is how net/http tells the pseudo-header.
const protocolHeader = ":protocol"

// asUpgrade turns an extended CONNECT into the upgrade that it stands for. The request is
// returned as it is where it is none.
func asUpgrade(r *http.Request) (*http.Request, *extended, Answer) {
	protocol := r.Header[protocolHeader]
	if r.ProtoMajor != 2 || r.Method != http.MethodConnect || len(protocol) == 0 {
		return r, nil, Answer{}
	}
	delete(r.Header, protocolHeader)
	if protocol[0] != "websocket" {
		return r, nil, Answer{Status: http.StatusNotImplemented, Code: CodeMethod,
			Message: "extended CONNECT is served for WebSockets alone", Help: "use the protocol over HTTP/1.1, or add the host to tunnel in agentvault.toml"}
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	e := &extended{r, base64.StdEncoding.EncodeToString(key)}
	up := r.WithContext(r.Context())
	up.Method = http.MethodGet
	up.Header = maps.Clone(r.Header)
	up.Header["Connection"], up.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	up.Header["Sec-Websocket-Key"] = []string{e.key}
	if len(up.Header["Sec-Websocket-Version"]) == 0 {
		up.Header["Sec-Websocket-Version"] = []string{"13"}
	}
	up.Body, up.ContentLength = http.NoBody, 0 // what the child sends are its frames
	return up, e, Answer{}
}

// accepted checks the server's answer to the key, which over HTTP/1.1 is the child's part.
func (e *extended) accepted(h http.Header) bool {
	sum := sha1.Sum([]byte(e.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 4.2.2
	return h.Get("Sec-Websocket-Accept") == base64.StdEncoding.EncodeToString(sum[:])
}

// extend tells the child that its WebSocket is open; the stream carries it from here on.
func (x *exchange) extend(w http.ResponseWriter, resp *http.Response) (io.ReadWriteCloser, error) {
	cleanHops(resp.Header)
	for _, name := range []string{"Sec-Websocket-Accept", "Connection", "Upgrade"} {
		delete(resp.Header, name)
	}
	copyHeader(w.Header(), resp.Header, x.g)
	w.Header()["Content-Type"] = nil // or the server would add one
	w.WriteHeader(http.StatusOK)
	c := http.NewResponseController(w)
	return &h2Stream{body: x.extended.connect.Body, w: w, control: c}, c.Flush()
}

// h2Stream is an HTTP/2 stream as a connection. It ends when its handler returns.
type h2Stream struct {
	body    io.ReadCloser
	w       io.Writer
	control *http.ResponseController
}

func (s *h2Stream) Read(p []byte) (int, error) { return s.body.Read(p) }

// Write sends at once: each is one frame of the WebSocket, or more.
func (s *h2Stream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil {
		err = s.control.Flush()
	}
	return n, err
}

// SetWriteDeadline bounds the last words to a child that does not read.
func (s *h2Stream) SetWriteDeadline(t time.Time) error { return s.control.SetWriteDeadline(t) }

// Close ends a Read that waits. The child learns of the end when the handler returns.
func (s *h2Stream) Close() error {
	if err := s.body.Close(); !errors.Is(err, http.ErrBodyReadAfterClose) {
		return err
	}
	return nil
}
