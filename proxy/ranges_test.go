package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// Parts of an answer could cut a secret in two: nobody gets several in one.
func TestSeveralRanges(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		text := "0123456789 " + r.Header.Get("Authorization")
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(text))
	}})
	for _, ranges := range [][]string{{"Range", "bytes=0-3,20-30"}, {"Range", "bytes=0-3", "Range", "bytes=20-30"}, {"Range", "bytes=0-20, 21-", "If-Range", `"x"`}} {
		if resp, body := s.get("/", ranges...); resp.StatusCode != 200 || body != "0123456789 Bearer "+placeholder {
			t.Errorf("%v: got %s %q", ranges, resp.Status, body)
		}
	}
	resp, body := s.get("/", "Range", "bytes=2-5")
	if resp.StatusCode != 206 || body != "2345" || resp.Header.Get("Content-Range") != "bytes 2-5/44" {
		t.Errorf("one range: got %s %q %v", resp.Status, body, resp.Header)
	}
}

func TestPartsThatNobodyAskedFor(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "--x\r\n\r\n"+sentinel[:9]+"\r\n--x\r\n\r\n"+sentinel[9:]+"\r\n--x--")
	}})
	resp, body := s.get("/")
	if e := s.last(); code(t, resp, body) != CodeUpstream || e.Verdict != event.Failed || strings.Contains(body, sentinel[:9]) {
		t.Errorf("got %s %q, event %+v", resp.Status, body, e)
	}
}

// A range of a compressed file passes as it came. From its beginning on it is searched.
func TestRangeOfPackedBody(t *testing.T) {
	for _, tt := range packers {
		t.Run(tt.name, func(t *testing.T) {
			clean := bytes.Join(piecesOf(tt.pack, noise(300_000), 1<<20), nil)
			echo := bytes.Join(piecesOf(tt.pack, "you sent "+sentinel+noise(1000), 1<<20), nil)
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", tt.encoding)
				w.Header().Set("Etag", `"v1"`)
				body := clean
				if r.URL.Path == "/echo" {
					body = echo
				}
				http.ServeContent(w, r, "x.txt", time.Time{}, bytes.NewReader(body))
			}})
			for header, want := range map[string][]byte{"bytes=0-": clean, "bytes=0-99999": clean[:100000], "bytes=50000-50099": clean[50000:50100], "bytes=-7": clean[len(clean)-7:]} {
				resp, body := s.get("/", "Range", header)
				if resp.StatusCode != 206 || body != string(want) || resp.Header.Get("Content-Encoding") != tt.encoding || resp.Header.Get("Etag") != `"v1"` {
					t.Errorf("%s: got %s, %d bytes, want %d, %v", header, resp.Status, len(body), len(want), resp.Header)
				}
			}
			if resp, body := s.get("/echo", "Range", "bytes=0-"); code(t, resp, body) != CodeUpstream || resp.Header.Get("Content-Range") != "" {
				t.Errorf("echo: got %s %q", resp.Status, body)
			}
		})
	}
}

// A secret in the name of a header or trailer cannot be replaced: the line is left out.
func TestEchoInName(t *testing.T) {
	odd := strings.ToUpper(sentinel)
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-"+odd] = []string{"1"}
		w.Header()["X-Good"] = []string{"1"}
		w.Header()["Trailer"] = []string{"Y-" + odd + ", Y-Good"}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "text")
		w.Header()["Y-"+odd] = []string{"1"}
		w.Header()["Y-Good"] = []string{"1"}
		w.Header()[http.TrailerPrefix+"Z-"+odd] = []string{"1"}
	}})
	stop := s.Watch()
	defer stop()
	for child := 1; child <= 2; child++ {
		resp, body := s.do(s.client(child), "GET", s.upstream.URL, nil)
		if body != "text" || resp.Header.Get("X-Good") != "1" || resp.Trailer.Get("Y-Good") != "1" {
			t.Errorf("h%d: got %q %v %v", child, body, resp.Header, resp.Trailer)
		}
		head, _ := s.Head(s.last().Call)
		for _, f := range head.Response {
			resp.Header[f.Name] = nil
		}
		for _, names := range []http.Header{resp.Header, resp.Trailer} {
			for name, values := range names {
				if text := strings.ToUpper(name + strings.Join(values, "")); strings.Contains(text, odd) {
					t.Errorf("h%d: %s: %s", child, name, values)
				}
			}
		}
	}
}
