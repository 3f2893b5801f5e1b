package proxy

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"agentvault/proxy/event"
)

// packed is text in an encoding of messages.
func packed(t *testing.T, encoding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// unpacked is what a client reads out of the messages of a body.
func unpacked(t *testing.T, encoding, body string) (text string) {
	t.Helper()
	for len(body) >= envelopeHead {
		n := int(binary.BigEndian.Uint32([]byte(body[1:envelopeHead])))
		message := body[envelopeHead:][:n]
		if body[0]&1 != 0 && encoding != "" {
			plain, err := newDecoded(encoding, strings.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(plain)
			if err != nil {
				t.Fatal(err)
			}
			message = string(b)
		}
		text += message + "\n"
		body = body[envelopeHead+n:]
	}
	return text
}

// A server compresses its messages as the child did, whatever it was asked for, and what it
// echoes in one of them is masked as it is anywhere else.
func TestCompressedMessagesAreSearched(t *testing.T) {
	for _, tt := range []struct{ name, kind, header, encoding string }{
		{"grpc", "application/grpc", "Grpc-Encoding", "gzip"},
		{"grpc with deflate", "application/grpc+proto", "Grpc-Encoding", "deflate"},
		{"grpc-web", "application/grpc-web+proto", "Grpc-Encoding", "gzip"},
		{"connect", "application/connect+json", "Connect-Content-Encoding", "zstd"},
		{"a flag alone", "application/grpc", "X-None", ""},
		{"identity", "application/grpc", "Grpc-Encoding", "identity"},
	} {
		for protocol := 1; protocol <= 2; protocol++ {
			t.Run(tt.name, func(t *testing.T) {
				plain := packed(t, tt.encoding, "nothing in it")
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", tt.kind)
					w.Header().Set(tt.header, tt.encoding)
					_, _ = w.Write(envelope(1, plain))
					_, _ = w.Write(envelope(1, packed(t, tt.encoding, "you sent "+r.Header.Get("Authorization"))))
					_, _ = w.Write(envelope(0, "and "+r.Header.Get("Authorization")))
				}})
				_, body := s.do(s.client(protocol), "POST", s.upstream.URL+"/pkg.S/M", strings.NewReader(""), "Content-Type", tt.kind, "Te", "trailers")
				encoding := strings.TrimPrefix(tt.encoding, "identity")
				got := unpacked(t, encoding, body)
				if want := "nothing in it\nyou sent Bearer MASK\nand Bearer MASK\n"; strings.ReplaceAll(got, placeholder[:len(sentinel)], "MASK") != want {
					t.Errorf("HTTP/%d: got %q, want %q", protocol, got, want)
				}
				if !strings.HasPrefix(body, string(envelope(1, plain))) {
					t.Error("a message without a secret was changed")
				}
			})
		}
	}
}

// What cannot be looked into ends the answer.
func TestMessagesThatCannotBeSearched(t *testing.T) {
	for _, tt := range []struct {
		name, encoding string
		message        func(secret string) []byte
	}{
		{"unknown encoding", "snappy", func(secret string) []byte { return envelope(1, secret) }},
		{"not what it says", "gzip", func(secret string) []byte { return envelope(1, secret) }},
		{"behind its end", "deflate", func(secret string) []byte { return envelope(1, packed(t, "deflate", "x")+secret) }},
		{"too long", "gzip", func(secret string) []byte {
			return append([]byte{1, 0, 0x40, 0, 1}, secret+strings.Repeat("x", maxPacked)...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set("Grpc-Encoding", tt.encoding)
				_, _ = w.Write(tt.message(r.Header.Get("Authorization")))
			}})
			r, _ := http.NewRequest("POST", s.upstream.URL+"/pkg.S/M", strings.NewReader(""))
			r.Header.Set("Content-Type", "application/grpc")
			resp, err := s.client(2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err == nil || strings.Contains(string(body), sentinel) {
				t.Errorf("got %q, %v", body, err)
			}
			if e := s.last(); e.Verdict != event.Failed || !strings.Contains(e.Reason, errPacked.Error()) {
				t.Errorf("the log says %+v", e)
			}
		})
	}
}
