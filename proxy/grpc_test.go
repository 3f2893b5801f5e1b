package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"agentvault/proxy/rule"
)

// A refused gRPC call ends as gRPC's clients expect it: one HEADERS frame that ends the
// stream, with a status and a message that they show.
func TestGRPCIsRefusedInItsOwnWay(t *testing.T) {
	for _, tt := range []struct {
		name, kind string
		header     []string
		o          options
		status     string
		code       string
	}{
		{name: "denied", o: options{service: func(s *rule.Service) { s.Deny = []rule.Op{{Path: "/**"}} }}, status: "7", code: CodeDenied},
		{name: "misplaced placeholder", header: []string{"x-secret-note", placeholder}, status: "7", code: CodePlaceholder},
		{name: "secret leak", header: []string{"x-note", sentinel}, status: "7", code: CodeLeak},
		{name: "with a subtype", kind: "application/grpc+proto", o: options{service: func(s *rule.Service) { s.Deny = []rule.Op{{Path: "/**"}} }}, status: "7", code: CodeDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.o)
			s.Know("api", s.secrets.item)
			c, f := s.h2()
			defer c.Close()
			f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			kind := tt.kind
			if kind == "" {
				kind = "application/grpc"
			}
			fields := append([]string{":method", "POST", ":scheme", "https", ":authority", s.host, ":path", "/pkg.S/M", "content-type", kind, "te", "trailers"}, tt.header...)
			for i := 0; i < len(fields); i += 2 {
				_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
				t.Fatal(err)
			}
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				head, ok := frame.(*http2.MetaHeadersFrame)
				if !ok {
					continue
				}
				got := map[string]string{}
				for _, field := range head.Fields {
					got[field.Name] = field.Value
				}
				text, err := url.PathUnescape(got["grpc-message"])
				if err != nil || !strings.HasPrefix(text, "agentvault: "+tt.code+": ") {
					t.Errorf("message %q %v", got["grpc-message"], err)
				}
				if !head.StreamEnded() || got[":status"] != "200" || got["content-type"] != "application/grpc" || got["grpc-status"] != tt.status || got["x-agentvault"] != tt.code {
					t.Errorf("got %v, ended %t", got, head.StreamEnded())
				}
				return
			}
		})
	}
}

func TestGRPCStatus(t *testing.T) {
	for status, want := range map[int]int{400: 3, 401: 16, 403: 7, 405: 12, 407: 16, 413: 8, 415: 3, 421: 3, 431: 8, 501: 12, 502: 14, 503: 14, 500: 2} {
		if got := grpcStatus(status); got != want {
			t.Errorf("%d is %d, want %d", status, got, want)
		}
	}
	if got := grpcMessage("50% of ‹api›\n"); got != "50%25 of %E2%80%B9api%E2%80%BA%0A" {
		t.Errorf("got %q", got)
	}
}

// gRPC's bidirectional streams pass message by message, and the status comes last.
func TestGRPCStreams(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.(http.Flusher).Flush()
		for message := make([]byte, 7); ; {
			if _, err := io.ReadFull(r.Body, message); err != nil {
				break
			}
			_, _ = w.Write(message)
			w.(http.Flusher).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "5")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "not found: "+sentinel)
	}})
	up, in := io.Pipe()
	r, _ := http.NewRequest("POST", s.upstream.URL+"/pkg.S/Stream", up)
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	resp, err := s.client(2).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 10 {
		want := fmt.Sprintf("\x00\x00\x00\x00\x02%02d", i)
		_, _ = io.WriteString(in, want)
		got := make([]byte, 7)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q %v", got, err)
		}
	}
	_ = in.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 || resp.Trailer.Get("Grpc-Status") != "5" || resp.Trailer.Get("Grpc-Message") != "not found: "+placeholder {
		t.Errorf("%q %v %v", rest, err, resp.Trailer)
	}
}
