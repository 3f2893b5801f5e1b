package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// FuzzConnect: for no CONNECT line does the door take another host for the target than
// what a plain reading of the line says, and what it does not take gets an answer of ours
// that says why. A request for a host of its own then shows which target the tunnel has.
func FuzzConnect(f *testing.F) {
	for _, line := range []string{
		"api.example.test:443", "API.Example.test.", "[::1]:8443", "127.0.0.1", "under_score.test:1", "bücher.example", "xn--bcher-kva.example:443",
		"user@host:1", "a:b:c", "a..b", "169.254.169.254:80", "[::ffff:169.254.169.254]", "metadata.google.internal", "/path", "http://h.test/", "*",
		"h.test:443 HTTP/1.1\r\nHost: other.test", "%61.test", "a.test?x", "a.test#x", "0x7f.1", "localhost:65536", "h\x00.test", "",
	} {
		f.Add(line, "HOST")
	}
	f.Add("/_goRPC_", "other.test:443")
	s := start(f, options{plain: true, unmatched: Deny})
	f.Fuzz(func(t *testing.T, line, hostHeader string) {
		if strings.ContainsAny(line+hostHeader, "\r\n") || len(line)+len(hostHeader) > 4<<10 {
			t.Skip() // another head, not another line
		}
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic YWdlbnR2YXVsdDp0b2tlbg==\r\n\r\n", line, hostHeader)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatalf("CONNECT %q, Host %q: %v", line, hostHeader, err)
		}
		if resp.StatusCode != http.StatusOK {
			if resp.StatusCode != http.StatusBadRequest && resp.Header.Get(header) == "" {
				t.Fatalf("CONNECT %q, Host %q: status %d and no word of ours", line, hostHeader, resp.StatusCode)
			}
			return
		}
		calls := len(s.seen())
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: never.invalid\r\n\r\n")
		if resp, err = http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusMisdirectedRequest {
			t.Fatalf("CONNECT %q, Host %q: inside it %v, %v", line, hostHeader, resp, err)
		}
		e := s.since(calls)
		if want, ok := plainReading(line); ok && e.Host != want {
			t.Fatalf("CONNECT %q: the tunnel's host is %q, want %q", line, e.Host, want)
		}
		if ip, err := netip.ParseAddr(e.Host); err == nil && neverDialled(ip) {
			t.Fatalf("CONNECT %q, Host %q: %s was allowed", line, hostHeader, ip)
		}
	})
}

// since is the first event after the first n.
func (s *session) since(n int) event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) <= n {
		return event.Event{}
	}
	e := s.events[n]
	s.events = s.events[:0]
	return e
}

// plainReading is the host of a CONNECT line as net/url and net/netip tell it. A name
// outside ASCII has no reading without the tables of IDNA.
func plainReading(line string) (string, bool) {
	u, err := url.Parse("//" + line)
	if err != nil || u.Host != line {
		return "none: it is more than a host and a port", true
	}
	if strings.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return "", false
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		name = ip.String()
	}
	return name, true
}

// wsReading is what a receiver makes of frames: the messages, the last of them perhaps
// unfinished, the control frames, and everything that is no payload.
type wsReading struct {
	messages, controls []string
	heads              []byte
}

// readFrames reads frames that were let through, or cut off anywhere.
func readFrames(b []byte) (r wsReading) {
	open := false
	for len(b) >= 2 {
		head, n := 2, uint64(b[1]&0x7f)
		switch {
		case n == 126 && len(b) >= 4:
			head, n = 4, uint64(binary.BigEndian.Uint16(b[2:]))
		case n == 127 && len(b) >= 10:
			head, n = 10, binary.BigEndian.Uint64(b[2:])
		}
		var key [4]byte
		if b[1]&0x80 != 0 && len(b) >= head+4 {
			copy(key[:], b[head:])
			head += 4
		}
		if len(b) < head {
			break
		}
		payload := bytes.Clone(b[head:min(uint64(len(b)), uint64(head)+min(n, uint64(len(b))))])
		xor(payload, key, 0)
		r.heads = append(r.heads, b[:head]...)
		switch {
		case b[0]&0x0f >= opClose:
			r.controls = append(r.controls, string(payload))
		case open:
			r.messages[len(r.messages)-1] += string(payload)
			open = b[0]&0x80 == 0
		default:
			r.messages = append(r.messages, string(payload))
			open = b[0]&0x80 == 0
		}
		b = b[head+len(payload):]
	}
	return r
}

// checkMasked holds frames that were searched against the same frames unsearched: the
// heads are the same, and each message is what a search of it as one text gives.
func checkMasked(t *testing.T, s *scrub.Scrubber, before, after []byte) {
	t.Helper()
	a, b := readFrames(before), readFrames(after)
	if !bytes.Equal(a.heads, b.heads) || len(a.messages) != len(b.messages) || len(a.controls) != len(b.controls) {
		t.Fatalf("%x became %x", before, after)
	}
	for i, m := range a.messages {
		if want, _ := s.String(m); b.messages[i] != want {
			t.Fatalf("message %d, %q, became %q, want %q", i, m, b.messages[i], want)
		}
	}
	for i, m := range a.controls {
		if want, _ := s.String(m); b.controls[i] != want {
			t.Fatalf("control frame %d, %q, became %q, want %q", i, m, b.controls[i], want)
		}
	}
}

// checkStopped holds what went to the upstream against what came: it is the beginning of
// it, no message in it holds a secret, and all of it went where none was.
func checkStopped(t *testing.T, s *scrub.Scrubber, whole, got []byte, err error) {
	t.Helper()
	if !bytes.HasPrefix(whole, got) {
		t.Fatalf("%x became %x", whole, got)
	}
	r := readFrames(got)
	for _, m := range append(r.messages, r.controls...) {
		if s.Find([]byte(m)) {
			t.Fatalf("a secret went out in %q", m)
		}
	}
	if err == nil && len(got) != len(whole) {
		t.Fatalf("%d of %d bytes went out, and no error", len(got), len(whole))
	}
}
