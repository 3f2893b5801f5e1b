package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"agentvault/proxy/rule"
)

func TestEchoIsMasked(t *testing.T) {
	pack := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.String()
	}
	long := strings.Repeat("x", 100<<10)
	for _, tt := range []struct {
		name    string
		handler func(w http.ResponseWriter, token string)
		want    string
	}{
		{"small body", func(w http.ResponseWriter, v string) { _, _ = io.WriteString(w, "you sent "+v) }, "you sent Bearer " + placeholder},
		{"small body, plain length", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Length", fmt.Sprint(len(v)))
			_, _ = io.WriteString(w, v)
		}, "Bearer " + placeholder},
		{"announced length", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)+len(v)))
			_, _ = io.WriteString(w, long+v)
		}, long + "Bearer " + placeholder[:len(sentinel)]},
		{"stream in pieces", func(w http.ResponseWriter, v string) {
			for _, c := range v {
				_, _ = io.WriteString(w, string(c))
				w.(http.Flusher).Flush()
			}
		}, "Bearer " + placeholder},
		{"base64", func(w http.ResponseWriter, v string) {
			_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString([]byte("abc"+sentinel+"defg")))
		}, placeholder},
		{"gzip although plain was asked for", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, pack("you sent "+v))
		}, "you sent Bearer " + placeholder},
		{"brotli", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "br")
			z := brotli.NewWriter(w)
			_, _ = io.WriteString(z, "you sent "+v)
			_ = z.Close()
		}, "you sent Bearer " + placeholder},
		{"zstd, as a stream", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "zstd")
			w.(http.Flusher).Flush()
			z, _ := zstd.NewWriter(w)
			_, _ = io.WriteString(z, "you sent "+v)
			_ = z.Close()
		}, "you sent Bearer " + placeholder},
		{"deflate", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "deflate")
			z := zlib.NewWriter(w)
			_, _ = io.WriteString(z, "you sent "+v)
			_ = z.Close()
		}, "you sent Bearer " + placeholder},
		{"deflate without its frame", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "deflate")
			z, _ := flate.NewWriter(w, 9)
			_, _ = io.WriteString(z, "you sent "+v)
			_ = z.Close()
		}, "you sent Bearer " + placeholder},
		{"gzip in gzip", func(w http.ResponseWriter, v string) {
			w.Header().Set("Content-Encoding", "gzip, gzip")
			_, _ = io.WriteString(w, pack(pack("you sent "+v)))
		}, "you sent Bearer " + placeholder},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Echo", r.Header.Get("Authorization"))
				tt.handler(w, r.Header.Get("Authorization"))
			}})
			resp, body := s.get("/")
			if strings.Contains(body, sentinel) || !strings.Contains(body, tt.want) {
				t.Errorf("got %.200q, want %.200q", body, tt.want)
			}
			if got := resp.Header.Get("X-Echo"); got != "Bearer "+placeholder {
				t.Errorf("header %q", got)
			}
		})
	}
}

// A body without a secret passes byte for byte, with its length, tag and encoding.
func TestBodyUntouched(t *testing.T) {
	const packed = "\x1f\x8b not really gzip"
	s := start(t, options{service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/x"}} }, handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		_, _ = io.WriteString(w, packed)
	}})
	resp, body := s.get("/", "Accept-Encoding", "gzip")
	if body != packed || resp.Header.Get("Etag") != `"v1"` || resp.Header.Get("Content-Encoding") != "gzip" || resp.ContentLength != int64(len(packed)) || len(resp.Header["Set-Cookie"]) != 2 {
		t.Errorf("%+v %q", resp, body)
	}
}
