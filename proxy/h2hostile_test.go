package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"agentvault/proxy/event"
)

// What HTTP/2 can say and HTTP/1.1 cannot must not become another request, or another
// header, behind us: it is refused, or the upstream sees one request and nothing of it.
func TestSmugglingOverHTTP2(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fields  []string // after the pseudo-headers, which they may replace
		body    string
		arrives bool
	}{
		{name: "plain", arrives: true},
		{name: "newline in a value", fields: []string{"x-a", "1\r\nx-b: 2"}},
		{name: "NUL in a value", fields: []string{"x-a", "1\x00"}},
		{name: "newline in a name", fields: []string{"x-a\r\nx-b", "1"}},
		{name: "colon in a name", fields: []string{"x-a:b", "1"}},
		{name: "space in a name", fields: []string{"x a", "1"}},
		{name: "upper case", fields: []string{"X-A", "1"}},
		{name: "transfer-encoding", fields: []string{"transfer-encoding", "chunked"}},
		{name: "connection", fields: []string{"connection", "x-a", "x-a", "1"}},
		{name: "upgrade", fields: []string{"upgrade", "h2c"}},
		{name: "te", fields: []string{"te", "gzip"}},
		{name: "length too small", fields: []string{"content-length", "1"}, body: "12345"},
		{name: "length too large", fields: []string{"content-length", "10"}, body: "12345"},
		{name: "two lengths", fields: []string{"content-length", "5", "content-length", "6"}, body: "12345"},
		{name: "signed length", fields: []string{"content-length", "+5"}, body: "12345"},
		{name: "newline in the path", fields: []string{":path", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /hidden"}},
		{name: "space in the path", fields: []string{":path", "/a b"}, arrives: true}, // as /a%20b
		{name: "no path", fields: []string{":path", ""}},
		{name: "newline in the method", fields: []string{":method", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"}},
		{name: "two paths", fields: []string{":path", "/", "", "", ":path", "/other"}},
		{name: "pseudo-header at the end", fields: []string{"x-a", "1", ":path", "/other"}},
		{name: "unknown pseudo-header", fields: []string{":other", "1"}},
		{name: "TRACE", fields: []string{":method", "TRACE"}},
		{name: "CONNECT", fields: []string{":method", "CONNECT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hits atomic.Int32
			var saw atomic.Value
			s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err == nil { // or it was torn, and the upstream knows
					hits.Add(1)
				}
				saw.Store(r.Method + " " + r.RequestURI + " " + string(body))
			}})
			c, f := s.h2()
			defer c.Close()
			f.AllowIllegalWrites = true
			pseudo := map[string]string{":method": "POST", ":scheme": "https", ":authority": s.host, ":path": "/"}
			var rest []string
			for i := 0; i < len(tt.fields); i += 2 {
				name, value := tt.fields[i], tt.fields[i+1]
				if _, ok := pseudo[name]; ok && len(rest) == 0 && !strings.HasPrefix(tt.name, "two") {
					pseudo[name] = value
				} else if name != "" {
					rest = append(rest, name, value)
				}
			}
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
				_ = e.WriteField(hpack.HeaderField{Name: name, Value: pseudo[name]})
			}
			for i := 0; i < len(rest); i += 2 {
				_ = e.WriteField(hpack.HeaderField{Name: rest[i], Value: rest[i+1]})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: tt.body == ""})
			if tt.body != "" {
				_ = f.WriteData(1, true, []byte(tt.body))
			}
			// The end of the stream, or of the connection, whichever way.
			for over := false; !over; {
				frame, err := f.ReadFrame()
				over = err != nil
				switch frame := frame.(type) {
				case *http2.RSTStreamFrame, *http2.GoAwayFrame:
					over = true
				case *http2.HeadersFrame:
					over = frame.StreamEnded()
				case *http2.DataFrame:
					over = frame.StreamEnded()
				}
			}
			if got := hits.Load(); (got == 1) != tt.arrives || got > 1 {
				t.Errorf("%d requests arrived, the last as %q", got, saw.Load())
			}
			s.stillServes1()
		})
	}
}

func (s *session) stillServes1() {
	s.t.Helper()
	if resp, _ := s.get("/"); resp.StatusCode != 200 {
		s.t.Errorf("afterwards: %s", resp.Status)
	}
}

// An upstream of HTTP/2 that resets its stream in the middle leaves a broken body too.
func TestBrokenHTTP2BodyStaysBroken(t *testing.T) {
	for child := 1; child <= 2; child++ {
		for _, length := range []string{"", "100", "100000"} {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "some")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}})
			resp, err := s.client(child).Get(s.upstream.URL)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil {
					t.Errorf("h%d length %q: a clean end after %q", child, length, body)
				}
			}
			if e := s.last(); e.Verdict != event.Failed || e.Code != CodeUpstream {
				t.Errorf("h%d length %q: event %+v", child, length, e)
			}
		}
	}
}

// A child may not have more streams at once than it was told. One that knows better has
// its connection's further streams refused, and those that it had go on.
func TestFurtherStreamsAreRefused(t *testing.T) {
	var under atomic.Int32
	wait := make(chan struct{})
	release := sync.OnceFunc(func() { close(wait) })
	defer release()
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		under.Add(1)
		<-wait
	}})
	c, f := s.h2()
	defer c.Close()
	_ = f.WriteSettingsAck()
	for i := range uint32(maxStreams + 1) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: h2Head(s.host), EndHeaders: true, EndStream: true})
	}
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	answered := make(map[uint32]bool)
	for refused := false; len(answered) < maxStreams; {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%d answers, %d under way: %v", len(answered), under.Load(), err)
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			if frame.StreamID != 2*maxStreams+1 || refused {
				t.Fatalf("stream %d is refused", frame.StreamID)
			}
			refused = true
			release()
		case *http2.HeadersFrame:
			answered[frame.StreamID] = true
		}
	}
	if n := under.Load(); n != maxStreams {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// No clock runs over what has begun; TestLong shows it for as long as one likes.
func TestNothingIsTimed(t *testing.T) {
	s := start(t, options{})
	for _, server := range []*http.Server{s.door, s.inner} {
		if server.ReadTimeout != 0 || server.WriteTimeout != 0 || server.HTTP2.SendPingTimeout != 0 || server.HTTP2.WriteByteTimeout != 0 {
			t.Errorf("a server cuts off: %+v", server)
		}
	}
	for _, pool := range s.transports.all() {
		if pool.ResponseHeaderTimeout != 0 || pool.HTTP2 != nil && (pool.HTTP2.SendPingTimeout != 0 || pool.HTTP2.WriteByteTimeout != 0) {
			t.Errorf("a pool cuts off: %+v", pool)
		}
	}
}
