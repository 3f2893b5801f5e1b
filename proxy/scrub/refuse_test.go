package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRefuse(t *testing.T) {
	const value = "s3cret-sentinel"
	s := New([]Secret{{Value: value, Mask: "x"}})
	long := strings.Repeat("a long text s3cret-sentine ", 5000)
	for _, tt := range []struct{ name, in, before string }{
		{"none", "s3cret-sentine", ""},
		{"nothing at all", "", ""},
		{"long", long, ""},
		{"raw", "head " + value + " tail", "head "},
		{"at the end of a long text", long + value, long},
		{"base64", "x " + base64.StdEncoding.EncodeToString([]byte("abc"+value+"defghi")), "x YWJj"},
		{"hex", "x " + hex.EncodeToString([]byte(value)), "x "},
	} {
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "end with data": iotest.DataErrReader,
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				out, err := io.ReadAll(s.Refuse(cut(strings.NewReader(tt.in))))
				want := tt.in
				if tt.before != "" {
					want = tt.before
				}
				if errors.Is(err, ErrFound) != (tt.before != "") || string(out) != want {
					t.Errorf("got %d bytes and %v, want %d", len(out), err, len(want))
				}
			})
		}
	}
}

// Whatever the text and wherever it is cut: without a secret it passes unchanged, and
// with one nothing of it passes.
func FuzzRefuse(f *testing.F) {
	f.Add([]byte("some text"), byte(1))
	f.Add([]byte("s3cret-sentinel"), byte(3))
	s := New([]Secret{{Value: "s3cret-sentinel", Mask: "x"}, {Value: "tinel-another", Mask: "y"}})
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		src := &stepReader{in, int(step%17) + 1}
		out, err := io.ReadAll(s.Refuse(src))
		at, found := s.t.next(in, 0, true)
		switch {
		case found == nil && (err != nil || !bytes.Equal(in, out)):
			t.Fatalf("%q became %q, %v", in, out, err)
		case found != nil && (!errors.Is(err, ErrFound) || !bytes.Equal(out, in[:at])):
			t.Fatalf("%q became %q, %v", in, out, err)
		}
	})
}

type stepReader struct {
	rest []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(r.step, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}
