package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"agentvault/proxy/scrub"
)

func envelope(flags byte, payload string) []byte {
	return append(append([]byte{flags}, binary.BigEndian.AppendUint32(nil, uint32(len(payload)))...), payload...)
}

func TestEnveloped(t *testing.T) {
	for kind, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "Application/gRPC; x=y": true, "application/grpc-web+proto": true, "application/grpc-web": true, "application/connect+json": true,
		"application/grpc-web-text": false, "application/grpcx": false, "application/json": false, "": false, "application/connectx": false,
	} {
		if enveloped(kind) != want {
			t.Errorf("%q: %t", kind, !want)
		}
	}
}

// Whatever is in the messages and however the stream is cut, the lengths stay, an echo is
// masked inside its message, and what is compressed or torn passes as it came.
func TestEnvelopes(t *testing.T) {
	s := scrub.NewFitted([]scrub.Secret{{Value: sentinel, Mask: placeholder}})
	mask := placeholder[:len(sentinel)]
	big := strings.Repeat("x", 100000)
	in := bytes.Join([][]byte{envelope(0, "a "+sentinel), envelope(0, ""), envelope(1, sentinel), envelope(0, sentinel[:10]), envelope(0, sentinel[10:]), envelope(0, big+sentinel+big), envelope(0x80, "grpc-status: 0\r\n")}, nil)
	want := bytes.Join([][]byte{envelope(0, "a "+mask), envelope(0, ""), envelope(1, mask), envelope(0, sentinel[:10]), envelope(0, sentinel[10:]), envelope(0, big+mask+big), envelope(0x80, "grpc-status: 0\r\n")}, nil)
	for name, cut := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data with the end": iotest.DataErrReader} {
		got, err := io.ReadAll(newEnvelopes(cut(bytes.NewReader(in)), s, ""))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(got), len(want), err)
		}
	}
	for _, n := range []int{1, 4, 5, 8, len("a ") + 5 + len(sentinel) - 1} {
		got, err := io.ReadAll(newEnvelopes(bytes.NewReader(in[:n]), s, ""))
		if err != nil || len(got) != n {
			t.Errorf("torn after %d: %d bytes, %v", n, len(got), err)
		}
	}
}

func FuzzEnvelopes(f *testing.F) {
	f.Add(envelope(0, sentinel), byte(0))
	f.Add(append(envelope(1, "x"), envelope(0, "y")...), byte(1))
	f.Fuzz(func(t *testing.T, in []byte, cut byte) {
		s := scrub.NewFitted([]scrub.Secret{{Value: sentinel, Mask: placeholder}})
		src := io.Reader(bytes.NewReader(in))
		if cut%2 == 1 {
			src = iotest.OneByteReader(src)
		}
		got, err := io.ReadAll(newEnvelopes(src, s, ""))
		whole, werr := io.ReadAll(newEnvelopes(bytes.NewReader(in), s, ""))
		if len(got) != len(in) || !bytes.Equal(got, whole) || err != werr {
			t.Fatalf("%x became %x or %x, %v %v", in, got, whole, err, werr)
		}
		if !s.Find(in) && !bytes.Equal(got, in) {
			t.Fatalf("%x became %x", in, got)
		}
	})
}
