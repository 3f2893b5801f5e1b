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
	t     *table
	src   io.Reader
	mem   []byte
	full  bool   // a larger mem would have been of use
	data  []byte // in mem: read; the first ready bytes of it are decided
	ready int
	err   error // what follows the decided bytes
}

func (r *refuser) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.ready == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if progress := r.fill(); !progress && r.err == nil {
			return 0, nil
		}
	}
	n := copy(p, r.data[:r.ready])
	r.data = r.data[n:]
	r.ready -= n
	return n, nil
}

// fill reads once and decides what it can.
func (r *refuser) fill() (progress bool) {
	mem := r.mem
	if mem == nil {
		mem = make([]byte, r.t.max+minDirect) // most texts are short
	} else if r.full {
		mem = make([]byte, r.t.max+maxChunk)
	}
	held := copy(mem, r.data) // shorter than the longest secret
	r.mem = mem
	n, err := r.src.Read(mem[held:])
	r.full = held+n == len(mem) && len(mem) < maxChunk
	r.data = mem[:held+n]
	end, hit := r.t.next(r.data, 0, err != nil)
	r.ready, r.err = end, err
	if hit != nil {
		r.data, r.err = r.data[:end], ErrFound
	}
	return n > 0
}
