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

func TestStop(t *testing.T) {
	const value = "s3cret-sentinel"
	s := New([]Secret{{Value: value, Mask: "x"}})
	long := strings.Repeat("a long text s3cret-sentine ", 5000)
	for _, tt := range []struct {
		name, in string
		found    bool
	}{
		{"none", "s3cret-sentine", false},
		{"nothing at all", "", false},
		{"long", long, false},
		{"raw", "head " + value + " tail", true},
		{"at the end of a long text", long + value, true},
		{"base64", "x " + base64.StdEncoding.EncodeToString([]byte("abc"+value+"defghi")), true},
		{"hex", "x " + hex.EncodeToString([]byte(value)), true},
	} {
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "end with data": iotest.DataErrReader,
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				out, err := io.ReadAll(s.Stop(cut(strings.NewReader(tt.in))))
				checkStop(t, s, []byte(tt.in), out, err)
				if errors.Is(err, ErrFound) != tt.found {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// checkStop: without a secret the text passes unchanged; with one a part of it passes
// that holds none, and the reader ends with ErrFound.
func checkStop(t *testing.T, s *Scrubber, in, out []byte, err error) {
	t.Helper()
	switch found := s.Find(in); {
	case !bytes.HasPrefix(in, out):
		t.Fatalf("%q became %q", in, out)
	case !found && (err != nil || len(out) != len(in)):
		t.Fatalf("%q became %q, %v", in, out, err)
	case found && (!errors.Is(err, ErrFound) || s.Find(out)):
		t.Fatalf("%q became %q, %v", in, out, err)
	}
}

// Nothing is held back: each piece passes before the next is asked for, the beginning of
// a secret too.
func TestStopNeverWaits(t *testing.T) {
	const value = "s3cret-sentinel"
	r := New([]Secret{{Value: value}}).Stop(iotest.OneByteReader(strings.NewReader(value)))
	p := make([]byte, 64)
	for i := range len(value) - 1 {
		if n, err := r.Read(p); n != 1 || err != nil || p[0] != value[i] {
			t.Fatalf("byte %d: %d %v", i, n, err)
		}
	}
	for range 2 {
		if n, err := r.Read(p); n != 0 || !errors.Is(err, ErrFound) {
			t.Errorf("the last byte: %d %v", n, err)
		}
	}
}

func FuzzStop(f *testing.F) {
	f.Add([]byte("some text"), byte(1))
	f.Add([]byte("s3cret-sentinel"), byte(3))
	s := New([]Secret{{Value: "s3cret-sentinel", Mask: "x"}, {Value: "tinel-another", Mask: "y"}})
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		out, err := io.ReadAll(s.Stop(&stepReader{in, int(step%17) + 1}))
		checkStop(t, s, in, out, err)
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
