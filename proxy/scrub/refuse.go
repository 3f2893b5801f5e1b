package scrub

import (
	"errors"
	"io"
)

// ErrFound is how a Refuse reader ends: what comes next in the text is a secret.
var ErrFound = errors.New("the text holds a secret of this session")

// Refuse returns r up to the first secret. What comes before it is passed on as by
// Reader, none of its own bytes are, and the read that would return them ends with
// ErrFound. Text without a secret passes unchanged.
func (s *Scrubber) Refuse(r io.Reader) io.Reader {
	if s.Empty() {
		return r
	}
	return &refuser{t: s.t, src: r}
}

type refuser struct {
	t       *table
	src     io.Reader
	held    []byte // read, and undecided
	ready   []byte // decided, and not yet returned
	scratch []byte // for callers with small buffers
	err     error  // what follows
}

func (r *refuser) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(r.ready) > 0 {
			n := copy(p, r.ready)
			r.ready = r.ready[n:]
			return n, nil
		}
		if r.err != nil {
			return 0, r.err
		}
		n, progress := r.fill(p)
		if n > 0 {
			return n, nil
		}
		if !progress && r.err == nil {
			return 0, nil
		}
	}
}

// fill reads once. What is decided goes straight into p where it has room, and n says
// how much.
func (r *refuser) fill(p []byte) (n int, progress bool) {
	buf, direct := p, true
	if need := len(r.held) + minDirect; len(p) < need {
		if len(r.scratch) < need {
			r.scratch = make([]byte, max(need, 8*minDirect))
		}
		buf, direct = r.scratch, false
	}
	h := copy(buf, r.held)
	got, err := r.src.Read(buf[h:])
	data := buf[:h+got]
	end, hit := r.t.next(data, 0, err != nil)
	r.err, r.held = err, append(r.held[:0], data[end:]...)
	if hit != nil {
		r.err, r.held = ErrFound, nil
	}
	if direct {
		return end, got > 0
	}
	r.ready = data[:end]
	return 0, got > 0
}
