package proxy

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"agentvault/proxy/scrub"
)

// endless repeats a frame and counts what was read of it.
type endless struct {
	frame []byte
	read  int
	most  int
}

func (e *endless) Read(p []byte) (n int, err error) {
	if e.read >= e.most {
		return 0, io.EOF
	}
	for n+len(e.frame) <= len(p) {
		n += copy(p[n:], e.frame)
	}
	e.read += n
	return n, nil
}

// Neither side can have frames kept without end: those of a server that began a secret and
// goes on with control frames or with nothing, and the empty pieces of a child's message.
func TestFramesThatNeverEnd(t *testing.T) {
	const most = 4 << 20
	secrets := []scrub.Secret{{Value: sentinel, Mask: placeholder}}
	g := &scrubbers{scrub.New(secrets), scrub.NewFitted(secrets)}
	for _, tt := range []struct {
		name  string
		frame []byte
	}{
		{"control frames", wsFrame(true, 9, false, "")},
		{"empty frames", wsFrame(false, 0, false, "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &endless{frame: tt.frame, most: most}
			f := newFrames(io.Discard, io.MultiReader(bytes.NewReader(wsFrame(false, 1, false, sentinel[:10])), src), maskFrames(g))
			if err := f.run(); !errors.Is(err, errFrame) || src.read >= most {
				t.Errorf("%v after %d bytes", err, src.read)
			}
		})
	}
	t.Run("pieces of a message that may be edited", func(t *testing.T) {
		src := &endless{frame: wsFrame(false, 0, true, ""), most: most}
		var out count
		f := newFrames(&out, io.MultiReader(bytes.NewReader(wsFrame(false, 1, true, "x")), src), stopFrames(g))
		f.edit = func([]byte) ([]byte, error) { return nil, nil }
		if err := f.run(); !errors.Is(err, io.ErrUnexpectedEOF) || out.n < most {
			t.Errorf("%v, %d bytes passed, want %d", err, out.n, most)
		}
	})
}

type count struct{ n int }

func (c *count) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}
