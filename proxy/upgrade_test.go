package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// wsFrame is a frame of at most 64 KiB; mask is for the child's.
func wsFrame(fin bool, op byte, mask bool, payload string) []byte {
	b := []byte{op, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	default:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	if !mask {
		return append(b, payload...)
	}
	key := [4]byte{1, 2, 3, 4}
	b[1] |= 0x80
	b = append(b, key[:]...)
	p := []byte(payload)
	xor(p, key, 0)
	return append(b, p...)
}

// switching is an upstream that agrees to any upgrade and says hello in the same packet;
// then it sends back what it gets, once as it is and once as seen tells.
func switching(extra, hello string, seen func(*http.Request, net.Conn, *bufio.Reader)) func(net.Conn) {
	return func(c net.Conn) {
		b := bufio.NewReader(c)
		r, err := http.ReadRequest(b)
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\n%s\r\n%s", r.Header.Get("Upgrade"), extra, hello)
		seen(r, c, b)
	}
}

func (s *session) upgrade(protocol, ahead string) (net.Conn, *http.Response, *bufio.Reader) {
	s.t.Helper()
	c := s.tls(s.host, "", "http/1.1")
	resp, b := s.request(c, "GET /ws HTTP/1.1\r\nHost: "+s.host+"\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "+protocol+
		"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"+ahead)
	return c, resp, b
}

func TestUpgradeIsByteExact(t *testing.T) {
	for _, protocol := range []string{"websocket", "WebSocket", "tcp"} {
		t.Run(protocol, func(t *testing.T) {
			var header http.Header
			injects, verdict := protocol != "tcp", event.Injected
			if !injects { // what cannot be searched gets no credential
				verdict = event.Passed
			}
			s := start(t, options{change: func(s *Service) { s.Always = injects }, protocol: "http/1.1", raw: switching("", string(wsFrame(true, 1, false, "hello")), func(r *http.Request, c net.Conn, b *bufio.Reader) {
				header = r.Header
				_, _ = io.Copy(c, b)
			})})
			first := wsFrame(true, 2, true, "sent with the request")
			c, resp, b := s.upgrade(protocol, string(first))
			if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != protocol {
				t.Fatalf("%s %v", resp.Status, resp.Header)
			}
			hello := make([]byte, 7)
			if _, err := io.ReadFull(b, hello); err != nil || string(hello[2:]) != "hello" {
				t.Fatalf("%q %v", hello, err)
			}
			want := string(first)
			for i := range 20 {
				f := wsFrame(i%3 == 2, []byte{1, 0, 0}[i%3], i%2 == 0, strings.Repeat("x", i*i*20))
				want += string(f)
				if _, err := c.Write(f); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(b, got); err != nil || string(got) != want {
				t.Fatalf("%v; what came back differs", err)
			}
			if s.seen()[len(s.seen())-1].Phase != event.Start {
				t.Error("the open connection is not in the log")
			}
			_ = c.Close()
			e := s.last()
			if e.Verdict != verdict || e.Status != 101 || e.Sent != int64(len(want)) || e.Received != int64(len(want)+7) || e.Scheme != "wss" {
				t.Errorf("event %+v", e)
			}
			if injects && header.Get("Sec-Websocket-Extensions") != "" || strings.Contains(header.Get("Authorization"), sentinel) != injects {
				t.Errorf("the upstream saw %v", header)
			}
		})
	}
}

func TestUpgradeEnds(t *testing.T) {
	t.Run("upstream closes", func(t *testing.T) {
		s := start(t, options{protocol: "http/1.1", raw: switching("", "", func(*http.Request, net.Conn, *bufio.Reader) {})})
		_, _, b := s.upgrade("websocket", "")
		if rest, err := io.ReadAll(b); err != nil || len(rest) > 0 {
			t.Errorf("%q %v", rest, err)
		}
		if e := s.last(); e.Status != 101 || e.Verdict != event.Injected {
			t.Errorf("event %+v", e)
		}
	})
	t.Run("the proxy closes", func(t *testing.T) {
		s := start(t, options{protocol: "http/1.1", raw: switching("", "", func(_ *http.Request, _ net.Conn, b *bufio.Reader) { _, _ = io.Copy(io.Discard, b) })})
		_, _, b := s.upgrade("websocket", "")
		_ = s.Proxy.Close()
		if _, err := b.ReadByte(); err == nil {
			t.Error("the connection goes on")
		}
		if e := s.last(); e.Status != 101 {
			t.Errorf("event %+v", e)
		}
	})
	t.Run("not agreed to", func(t *testing.T) {
		s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusTeapot) }})
		_, resp, _ := s.upgrade("websocket", "")
		if resp.StatusCode != http.StatusTeapot {
			t.Error(resp.Status)
		}
	})
	for name, answer := range map[string]string{
		"never asked for":       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"while the child sends": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"other protocol":        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
		"an extension":          "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			}})
			c := s.tls(s.host, "", "http/1.1")
			head := "GET / HTTP/1.1\r\nHost: " + s.host + "\r\n"
			switch name {
			case "never asked for":
			case "while the child sends":
				head = "POST / HTTP/1.1\r\nHost: " + s.host + "\r\nContent-Length: 10\r\n"
			default:
				head += "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			}
			_, _ = io.WriteString(c, head+"\r\n")
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if n, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Errorf("got %d bytes, %v", n, err)
			}
			if e := s.last(); e.Verdict != event.Failed {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// A request with a body is no upgrade: what follows its head would have two readers.
func TestUpgradeWithBody(t *testing.T) {
	s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %q %q", body, r.Header["Upgrade"], r.Header["Connection"])
	}})
	c := s.tls(s.host, "", "http/1.1")
	resp, _ := s.request(c, "POST / HTTP/1.1\r\nHost: "+s.host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nbody")
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "body [] []" {
		t.Errorf("%s %q %v", resp.Status, got, err)
	}
	if e := s.last(); e.Scheme != "https" {
		t.Errorf("event %+v", e)
	}
}

// An echo in the server's frames is masked, however it was cut.
func TestWebSocketEchoIsMasked(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: switching("", "", func(_ *http.Request, c net.Conn, b *bufio.Reader) {
		var all []byte
		all = append(all, wsFrame(true, 1, false, "a "+sentinel+" b")...)
		all = append(all, wsFrame(false, 1, false, "c "+sentinel[:9])...)
		all = append(all, wsFrame(true, 9, false, "ping")...)
		all = append(all, wsFrame(false, 0, false, "")...)
		all = append(all, wsFrame(true, 0, false, sentinel[9:]+" d")...)
		all = append(all, wsFrame(true, 8, false, "\x03\xe8"+sentinel)...)
		for i := range all {
			_, _ = c.Write(all[i : i+1])
		}
	})})
	_, _, b := s.upgrade("websocket", "")
	got, err := io.ReadAll(b)
	mask := placeholder[:len(sentinel)]
	var want []byte
	want = append(want, wsFrame(true, 1, false, "a "+mask+" b")...)
	want = append(want, wsFrame(false, 1, false, "c "+mask[:9])...)
	want = append(want, wsFrame(true, 9, false, "ping")...)
	want = append(want, wsFrame(false, 0, false, "")...)
	want = append(want, wsFrame(true, 0, false, mask[9:]+" d")...)
	want = append(want, wsFrame(true, 8, false, "\x03\xe8"+mask)...)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}

// A secret in the child's frames ends the connection before it has left whole. Until then
// nothing waits: an upstream that sends back what it gets would tell by a pause how far a
// guess of the child is right.
func TestWebSocketLeak(t *testing.T) {
	arrived := make(chan string, 1)
	s := start(t, options{protocol: "http/1.1", raw: switching("", "", func(_ *http.Request, _ net.Conn, b *bufio.Reader) {
		var payload bytes.Buffer
		f := newFrames(io.Discard, b, func(r io.Reader) io.Reader { return io.TeeReader(r, &payload) })
		_ = f.run()
		arrived <- payload.String()
	})})
	c, _, b := s.upgrade("websocket", string(wsFrame(true, 1, true, "harmless")))
	_, _ = c.Write(wsFrame(false, 1, true, "head "+sentinel[:10]))
	_, _ = c.Write(wsFrame(true, 0, true, sentinel[10:]))
	if _, err := io.ReadAll(b); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Log(err)
	}
	if got := <-arrived; strings.Contains(got, sentinel) || !strings.Contains(got, "harmlesshead "+sentinel[:10]) {
		t.Errorf("the upstream got %q", got)
	}
	if e := s.last(); e.Verdict != event.Denied || e.Code != CodeLeak {
		t.Errorf("event %+v", e)
	}
}

var frameSecret = scrub.NewFitted([]scrub.Secret{{Value: sentinel, Mask: placeholder}})

// Frames without a secret pass byte for byte, whatever they are and however they are
// cut, until one that is none; and a secret never passes.
func FuzzFrames(f *testing.F) {
	f.Add(wsFrame(true, 1, true, "text"), byte(0))
	f.Add(append(wsFrame(false, 1, false, sentinel[:4]), wsFrame(true, 0, false, sentinel[4:])...), byte(1))
	f.Add(append(wsFrame(false, 2, true, strings.Repeat("x", 300)), wsFrame(true, 9, true, "p")...), byte(2))
	f.Add([]byte{0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, byte(3))
	f.Add(append(append(wsFrame(false, 1, true, "a "+sentinel[:9]), wsFrame(true, 10, true, sentinel)...), wsFrame(true, 0, true, sentinel[9:]+sentinel[:5])...), byte(1))
	f.Fuzz(func(t *testing.T, in []byte, cut byte) {
		src := cutReader(in, cut)
		var out bytes.Buffer
		err := newFrames(&out, bytes.NewReader(in), func(r io.Reader) io.Reader { return r }).run()
		if !bytes.HasPrefix(in, out.Bytes()) || err == nil && out.Len() != len(in) {
			t.Fatalf("%x became %x, %v", in, out.Bytes(), err)
		}
		var masked bytes.Buffer
		err2 := newFrames(&masked, src, frameSecret.Reader).run()
		if (err == nil) != (err2 == nil) || masked.Len() != out.Len() {
			t.Fatalf("%x: %d and %d bytes, %v and %v", in, out.Len(), masked.Len(), err, err2)
		}
		checkMasked(t, frameSecret, out.Bytes(), masked.Bytes())
		var stopped bytes.Buffer
		err3 := newFrames(&stopped, cutReader(in, cut), frameSecret.Stop).run()
		checkStopped(t, frameSecret, out.Bytes(), stopped.Bytes(), err3)
	})
}

// cutReader is a source that brings its bytes in one of three ways.
func cutReader(in []byte, cut byte) io.Reader {
	src := io.Reader(bytes.NewReader(in))
	switch cut % 3 {
	case 1:
		return iotest.OneByteReader(src)
	case 2:
		return iotest.DataErrReader(src)
	}
	return src
}
