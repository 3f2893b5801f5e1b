package proxy

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// wsStream is the child's end of a WebSocket over HTTP/2.
type wsStream struct {
	io.Reader
	io.Writer
	up *io.PipeWriter
}

// extendedConnect asks for a WebSocket on a stream of its own.
func (s *session) extendedConnect(protocol string, header ...string) (*http.Response, *wsStream) {
	s.t.Helper()
	//lint:ignore SA1019 net/http's own transport refuses the name of the pseudo-header
	cc, err := new(http2.Transport).NewClientConn(s.tls(s.host, "", "h2"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cc.Close() })
	r, w := io.Pipe()
	s.t.Cleanup(func() { _ = w.Close() })
	req, _ := http.NewRequest(http.MethodConnect, "https://"+s.host+"/ws", r)
	req.Header.Set(":protocol", protocol)
	req.Header.Set("Sec-Websocket-Version", "13")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := cc.RoundTrip(req)
	if err != nil {
		s.t.Log(err)
		return nil, nil
	}
	return resp, &wsStream{resp.Body, w, w}
}

// accepting is an upstream of HTTP/1.1 that opens WebSockets as RFC 6455 asks.
func accepting(extra string, then func(*http.Request, net.Conn, *bufio.Reader)) func(net.Conn) {
	return func(c net.Conn) {
		b := bufio.NewReader(c)
		r, err := http.ReadRequest(b)
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Accept: %s\r\n%s\r\n",
			base64.StdEncoding.EncodeToString(sum[:]), extra)
		then(r, c, b)
	}
}

// The toolchain still asks the variable that package xconnect sets, and nobody sees it.
func TestExtendedConnectIsOffered(t *testing.T) {
	if v, ok := os.LookupEnv("GODEBUG"); ok && strings.Contains(v, "http2xconnect") {
		t.Errorf("GODEBUG=%s", v)
	}
	s := start(t, options{})
	_, f := s.h2()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok {
			if n, _ := settings.Value(http2.SettingEnableConnectProtocol); n != 1 {
				t.Error("SETTINGS_ENABLE_CONNECT_PROTOCOL is not announced")
			}
			return
		}
	}
}

func TestWebSocketOverHTTP2(t *testing.T) {
	var saw *http.Request
	s := start(t, options{protocol: "http/1.1", raw: accepting("X-Echo: "+sentinel+"\r\nSec-Websocket-Protocol: chat\r\n", func(r *http.Request, c net.Conn, b *bufio.Reader) {
		saw = r
		_, _ = c.Write(wsFrame(true, 1, false, "hello "+sentinel))
		_, _ = io.Copy(c, b)
	})})
	resp, ws := s.extendedConnect("websocket", "Sec-Websocket-Protocol", "chat", "Sec-Websocket-Extensions", "permessage-deflate")
	if resp == nil || resp.StatusCode != 200 || resp.Header.Get("X-Echo") != placeholder || resp.Header.Get("Sec-Websocket-Protocol") != "chat" {
		t.Fatalf("%+v", resp)
	}
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		if resp.Header[name] != nil {
			t.Errorf("%s: %s belongs to HTTP/1.1", name, resp.Header[name])
		}
	}
	want := string(wsFrame(true, 1, false, "hello "+placeholder[:len(sentinel)]))
	for i := range 20 {
		f := wsFrame(i%3 == 2, []byte{1, 0, 0}[i%3], i%2 == 0, strings.Repeat("x", i*i*20))
		want += string(f)
		if _, err := ws.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(ws, got); err != nil || string(got) != want {
		t.Fatalf("%v; what came back differs", err)
	}
	_ = ws.up.Close()
	if rest, err := io.ReadAll(ws); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	h := saw.Header
	if saw.Method != "GET" || saw.URL.Path != "/ws" || h.Get("Authorization") != "Bearer "+sentinel || h["Sec-Websocket-Extensions"] != nil ||
		h.Get("Sec-Websocket-Version") != "13" || h[":protocol"] != nil {
		t.Errorf("the upstream saw %s %s %v", saw.Method, saw.URL, h)
	}
	if e := s.last(); e.Method != "GET" || e.Scheme != "wss" || e.Verdict != event.Injected || e.Sent == 0 || e.Received != int64(len(want)) {
		t.Errorf("event %+v", e)
	}
}

// Where it cannot be served the stream is reset, and never answered with a status of ours.
func TestWebSocketOverHTTP2Fails(t *testing.T) {
	answer := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, text)
			}
		}
	}
	for _, tt := range []struct {
		name, protocol string
		raw            func(net.Conn)
		deny           bool
		status         int
		verdict        event.Verdict
	}{
		{name: "not agreed to", raw: answer("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), status: 403, verdict: event.Injected},
		{name: "200 is no agreement", raw: answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), verdict: event.Failed},
		{name: "another key", raw: answer("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Accept: AAAA\r\n\r\n"), verdict: event.Failed},
		{name: "refused by a rule", raw: answer(""), deny: true, verdict: event.Denied},
		{name: "another protocol", protocol: "connect-udp", raw: answer(""), status: 501, verdict: event.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options{protocol: "http/1.1", raw: tt.raw}
			if tt.deny {
				o.unmatched, o.service = Deny, func(rs *rule.Service) { rs.Allow = []rule.Op{{Method: "POST", Path: "/other"}} }
			}
			s := start(t, o)
			protocol := tt.protocol
			if protocol == "" {
				protocol = "websocket"
			}
			resp, _ := s.extendedConnect(protocol)
			switch {
			case tt.status == 0 && resp != nil:
				t.Errorf("answered %s", resp.Status)
			case tt.status != 0 && (resp == nil || resp.StatusCode != tt.status):
				t.Errorf("got %+v, want %d", resp, tt.status)
			}
			if e := s.last(); e.Verdict != tt.verdict {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// A child that closes its stream, or all of its connection, ends the upstream's.
func TestWebSocketOverHTTP2Ends(t *testing.T) {
	t.Run("upstream closes", func(t *testing.T) {
		s := start(t, options{protocol: "http/1.1", raw: accepting("", func(_ *http.Request, c net.Conn, _ *bufio.Reader) {
			_, _ = c.Write(wsFrame(true, 8, false, "\x03\xe8"))
		})})
		_, ws := s.extendedConnect("websocket")
		if rest, err := io.ReadAll(ws); err != nil || string(rest) != string(wsFrame(true, 8, false, "\x03\xe8")) {
			t.Errorf("%q %v", rest, err)
		}
		s.last()
	})
	t.Run("child resets", func(t *testing.T) {
		gone := make(chan bool)
		s := start(t, options{protocol: "http/1.1", raw: accepting("", func(_ *http.Request, _ net.Conn, b *bufio.Reader) {
			_, _ = io.Copy(io.Discard, b)
			close(gone)
		})})
		resp, _ := s.extendedConnect("websocket")
		_ = resp.Body.Close()
		<-gone
		s.last()
	})
}
