package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// wsMessages reads frames as a server does, fragments joined, until the connection ends. A
// control frame is given as "op:payload".
func wsMessages(r io.Reader) (messages []string) {
	b := bufio.NewReader(r)
	whole := ""
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(b, head); err != nil {
			return messages
		}
		n := uint64(head[1] & 0x7f)
		if n == 126 {
			n = 0
			for range 2 {
				c, _ := b.ReadByte()
				n = n<<8 | uint64(c)
			}
		} else if n == 127 {
			n = 0
			for range 8 {
				c, _ := b.ReadByte()
				n = n<<8 | uint64(c)
			}
		}
		var key [4]byte
		if head[1]&0x80 != 0 {
			_, _ = io.ReadFull(b, key[:])
		}
		if n > 1<<20 {
			return append(messages, "torn")
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(b, payload); err != nil {
			return append(messages, "torn")
		}
		xor(payload, key, 0)
		if op := head[0] & 0x0f; op >= opClose {
			messages = append(messages, fmt.Sprintf("%d:%s", op, payload))
			continue
		}
		if whole += string(payload); head[0]&0x80 != 0 {
			messages, whole = append(messages, whole), ""
		}
	}
}

// gateway is a session in front of a server that takes its credential in a message.
func gateway(t *testing.T, secret string, change func(*Service), raw func(net.Conn)) *session {
	t.Helper()
	return start(t, options{protocol: "http/1.1", raw: raw, change: func(s *Service) {
		s.Always, s.Search = false, inject.Search{{In: "websocket", Name: "d.token"}}
		if change != nil {
			change(s)
		}
	}, config: func(c *Config) {
		c.Secrets.(*fakeSecrets).item = keyring.Item{Value: keyring.NewSecret([]byte(secret))}
	}})
}

// The secret goes into the message that the service names, however it is cut into frames,
// longer and shorter than the placeholder, and all other frames pass byte for byte.
func TestMessagePlaceholder(t *testing.T) {
	identify := func(token string) string { return `{"op":2,"d":{"token":"` + token + `","x":1}}` }
	text := func(s string) []byte { return wsFrame(true, 1, true, s) }
	for _, tt := range []struct {
		name, secret string
		search       inject.Search
		copies       bool
		send         [][]byte
		want         []string
	}{
		{name: "longer", secret: sentinel + strings.Repeat("y", 300), send: [][]byte{text(identify(placeholder))}, want: []string{identify(sentinel + strings.Repeat("y", 300))}},
		{name: "shorter", secret: "s3cret-s", send: [][]byte{text(identify(placeholder))}, want: []string{identify("s3cret-s")}},
		{name: "escaped as JSON asks", secret: `a"b\c/secret`, send: [][]byte{text(identify(placeholder))}, want: []string{identify(`a\"b\\c/secret`)}},
		{name: "fragments, and a ping between", send: [][]byte{wsFrame(false, 1, true, identify(placeholder)[:30]), wsFrame(true, 9, true, "ping"), wsFrame(false, 0, true, ""), wsFrame(true, 0, true, identify(placeholder)[30:])},
			want: []string{"9:ping", identify(sentinel)}},
		{name: "another field", send: [][]byte{text(`{"op":2,"d":{"name":"` + placeholder + `"}}`)}, want: []string{`{"op":2,"d":{"name":"` + placeholder + `"}}`}},
		{name: "anywhere", search: inject.Search{{In: "websocket"}}, send: [][]byte{text("AUTH " + placeholder), text(`42["auth",{"t":"` + placeholder + `"}]`)},
			want: []string{"AUTH " + sentinel, `42["auth",{"t":"` + sentinel + `"}]`}},
		{name: "several, allowed", search: inject.Search{{In: "websocket"}}, copies: true, send: [][]byte{text(placeholder + " " + placeholder)}, want: []string{sentinel + " " + sentinel}},
		{name: "binary", search: inject.Search{{In: "websocket"}}, send: [][]byte{wsFrame(true, 2, true, placeholder)}, want: []string{placeholder}},
		{name: "too long to be looked at", search: inject.Search{{In: "websocket"}}, send: [][]byte{wsFrame(false, 1, true, strings.Repeat("a", 60000)), wsFrame(false, 0, true, strings.Repeat("b", 60000)), wsFrame(true, 0, true, placeholder), text("x" + placeholder)},
			want: []string{strings.Repeat("a", 60000) + strings.Repeat("b", 60000) + placeholder, "x" + sentinel}},
		{name: "one frame too long", search: inject.Search{{In: "websocket"}}, send: [][]byte{longFrame(strings.Repeat("a", 100000)), text("x" + placeholder)},
			want: []string{strings.Repeat("a", 100000), "x" + sentinel}},
	} {
		for child := 1; child <= 2; child++ {
			t.Run(fmt.Sprintf("h%d %s", child, tt.name), func(t *testing.T) {
				arrived := make(chan []string, 1)
				secret := tt.secret
				if secret == "" {
					secret = sentinel
				}
				s := gateway(t, secret, func(s *Service) {
					if s.Copies = tt.copies; tt.search != nil {
						s.Search = tt.search
					}
				}, accepting("", func(_ *http.Request, _ net.Conn, b *bufio.Reader) { arrived <- wsMessages(b) }))
				w, done := s.websocket(child)
				for _, f := range tt.send {
					if _, err := w.Write(f); err != nil {
						t.Fatal(err)
					}
				}
				done()
				if got := <-arrived; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
					t.Errorf("got  %.300q\nwant %.300q", got, tt.want)
				}
				e := s.last()
				if injected := strings.Contains(strings.Join(tt.want, ""), secret) || strings.Contains(tt.name, "JSON"); injected != (e.Verdict == event.Injected) || injected != strings.HasPrefix(e.Where, "websocket") {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

func longFrame(payload string) []byte {
	b := append([]byte{0x81, 0x80 | 127}, binary.BigEndian.AppendUint64(nil, uint64(len(payload)))...)
	return append(append(b, 0, 0, 0, 0), payload...)
}

// websocket opens one and returns what writes to it and what ends the writing.
func (s *session) websocket(child int) (io.ReadWriter, func()) {
	s.t.Helper()
	if child == 2 {
		resp, ws := s.extendedConnect("websocket")
		if resp == nil || resp.StatusCode != 200 {
			s.t.Fatalf("%+v", resp)
		}
		return ws, func() { _ = ws.up.Close() }
	}
	c, resp, b := s.upgrade("websocket", "")
	if resp.StatusCode != 101 {
		s.t.Fatal(resp.Status)
	}
	return struct {
		io.Reader
		io.Writer
	}{b, c}, func() { closeWrite(c) }
}

// A message that is refused does not leave; both sides are told in WebSocket's own way.
func TestMessageIsRefused(t *testing.T) {
	other := strings.Replace(placeholder, "api", "two", 1)
	for _, tt := range []struct{ name, send, code string }{
		{"two copies", `{"d":{"token":"` + placeholder + placeholder + `"}}`, CodeCopies},
		{"another service's", `{"d":{"token":"` + other + `"}}`, CodePlaceholder},
		{"the secret itself", `{"d":{"token":"` + sentinel + `"}}`, CodeLeak},
	} {
		for child := 1; child <= 2; child++ {
			t.Run(fmt.Sprintf("h%d %s", child, tt.name), func(t *testing.T) {
				arrived := make(chan []string, 1)
				s := gateway(t, sentinel, nil, accepting("", func(_ *http.Request, _ net.Conn, b *bufio.Reader) { arrived <- wsMessages(b) }))
				rules := s.newRules(options{})
				svc := rules.Services[Endpoint{"api", 0}]
				svc.Always, svc.Search = false, inject.Search{{In: "websocket", Name: "d.token"}}
				rules.Services = map[Endpoint]Service{{"api", 0}: svc, {"two", 0}: {Name: "two", Placeholder: other, Secret: svc.Secret, Inject: inject.Bearer{}}}
				s.Swap(rules)
				ws, done := s.websocket(child)
				_, _ = ws.Write(wsFrame(true, 1, true, "before"))
				_, _ = ws.Write(wsFrame(true, 1, true, tt.send))
				_, _ = ws.Write(wsFrame(true, 1, true, "after"))
				if got := wsMessages(ws); len(got) != 1 || !strings.HasPrefix(got[0], "8:\x03\xf0agentvault: "+tt.code) || len(got[0]) > 2+maxControl {
					t.Errorf("the child got %q", got)
				}
				done()
				if got := <-arrived; len(got) != 2 || got[0] != "before" || got[1] != "8:\x03\xe9" {
					t.Errorf("the upstream got %q", got)
				}
				if e := s.last(); e.Verdict != event.Denied || e.Code != tt.code {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

// What the server says of the secret reaches the child as the placeholder, although the
// upgrade itself carried no credential; compression is not negotiated.
func TestMessageEchoIsMasked(t *testing.T) {
	var asked http.Header
	s := gateway(t, sentinel, nil, accepting("", func(r *http.Request, c net.Conn, b *bufio.Reader) {
		asked = r.Header
		_, _ = b.ReadByte()
		_, _ = c.Write(wsFrame(true, 1, false, "you are "+sentinel))
	}))
	ws, _ := s.websocket(1)
	_, _ = ws.Write(wsFrame(true, 1, true, `{"d":{"token":"`+placeholder+`"}}`))
	if got := wsMessages(ws); len(got) != 1 || got[0] != "you are "+placeholder[:len(sentinel)] {
		t.Errorf("the child got %q", got)
	}
	if asked["Sec-Websocket-Extensions"] != nil || asked["Authorization"] != nil {
		t.Errorf("the upstream was asked with %v", asked)
	}
}

// The secret is had before the connection is opened, or it is not opened.
func TestMessageSecretUnavailable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*session)
		code   string
	}{
		{"not to be had", func(s *session) { s.secrets.err = keyring.ErrNotFound }, CodeSecret},
		{"bound elsewhere", func(s *session) { s.secrets.item.Hosts = []string{"other.test"} }, CodeBinding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := gateway(t, sentinel, nil, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					t.Error("the upstream was asked")
				}
			})
			tt.change(s)
			c := s.tls(s.host, "", "http/1.1")
			_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+s.host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("answered %d", n)
			}
			if e := s.last(); e.Code != tt.code {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// The log is told of an open connection, with what has gone over it.
func TestOpenWebSocketIsInTheLog(t *testing.T) {
	s := gateway(t, sentinel, nil, accepting("", func(_ *http.Request, c net.Conn, b *bufio.Reader) { _, _ = io.Copy(c, b) }))
	var x *exchange
	sw := &switched{told: func(sent, received int64) { x.progress(sent, received) }}
	x = new(exchange)
	x.call.begin(s.Proxy, newTunnel("a.test", 443, ""), "GET", "wss", "/")
	x.prepare(s.Proxy, newTunnel("a.test", 443, ""), &http.Request{})
	x.call.event.Status = 101
	sw.sent.Store(5)
	sw.received.Store(7)
	tick := make(chan time.Time)
	stop := sw.tell(tick)
	tick <- time.Time{}
	tick <- time.Time{} // nothing new
	sw.sent.Store(6)
	tick <- time.Time{}
	stop()
	var got []string
	for _, e := range s.seen() {
		got = append(got, fmt.Sprint(e.Phase, e.Status, e.Sent, e.Received))
	}
	if fmt.Sprint(got) != "[start101 5 7 start101 6 7]" {
		t.Errorf("got %q", got)
	}
}

// The bytes of messages in which nothing is found are never touched, however they are cut.
func FuzzMessages(f *testing.F) {
	f.Add(wsFrame(true, 1, true, "text"))
	f.Add(append(wsFrame(false, 1, true, "ab"), append(wsFrame(true, 9, true, "p"), wsFrame(true, 0, true, "cd")...)...))
	f.Add(longFrame(strings.Repeat("x", maxMessage+1)))
	f.Fuzz(func(t *testing.T, in []byte) {
		var plain, edited, changed bytes.Buffer
		same := func(r io.Reader) io.Reader { return r }
		want := newFrames(&plain, bytes.NewReader(in), same).run()
		g := newFrames(&edited, bytes.NewReader(in), same)
		g.edit = func([]byte) ([]byte, error) { return nil, nil }
		got := g.run()
		// A whole message, or as a stream: the same messages in the same order, control
		// frames before the message that they stood in.
		if (want == nil) != (got == nil) || got == nil && fmt.Sprint(dataOf(in)) != fmt.Sprint(dataOf(edited.Bytes())) {
			t.Fatalf("%x became %x, %v and %v", in, edited.Bytes(), want, got)
		}
		h := newFrames(&changed, bytes.NewReader(in), same)
		h.edit = func(text []byte) ([]byte, error) { return append([]byte("!"), text...), nil }
		if err := h.run(); (err == nil) != (want == nil) {
			t.Fatalf("%x: %v and %v", in, want, err)
		}
	})
}

// dataOf leaves out control frames.
func dataOf(in []byte) (out []string) {
	for _, m := range wsMessages(bytes.NewReader(in)) {
		if len(m) < 2 || m[1] != ':' && (len(m) < 3 || m[2] != ':') {
			out = append(out, m)
		}
	}
	return out
}
