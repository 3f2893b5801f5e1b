package scrub

import (
	"errors"
	"io"
)

// ErrFound is how a Stop reader ends: what came last completes a secret.
var ErrFound = errors.New("the text holds a secret of this session")

// Stop returns r up to the first secret, without ever holding anything back: what a read
// of r brings is returned at once unless it completes a secret, and then the read ends
// with ErrFound. Of a secret that comes in several pieces all but the last have passed.
//
// Reader waits for what could be the rest of a secret, and whoever reads its output can
// tell from that how far a guess was right. Where the writer must not learn that, it is
// Stop that has to be used. A Stop reader is for one goroutine.
func (s *Scrubber) Stop(r io.Reader) io.Reader {
	if s.Empty() {
		return r
	}
	return &stopper{t: s.t, src: r}
}

type stopper struct {
	t      *table
	src    io.Reader
	tail   []byte // the last bytes that passed, fewer than the longest secret has
	border []byte
	err    error
}

func (s *stopper) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.src.Read(p)
	if n > 0 && s.found(p[:n]) {
		clear(p[:n])
		s.err = ErrFound
		return 0, s.err
	}
	return n, err
}

// found looks at what came, and at the border between it and what came before.
func (s *stopper) found(p []byte) bool {
	reach := s.t.max - 1
	if len(s.tail) > 0 {
		s.border = append(append(s.border[:0], s.tail...), p[:min(len(p), reach)]...)
		if _, hit := s.t.next(s.border, 0, true); hit != nil {
			return true
		}
	}
	if _, hit := s.t.next(p, 0, true); hit != nil {
		return true
	}
	s.tail = append(s.tail, p[max(0, len(p)-reach):]...)
	s.tail = append(s.tail[:0], s.tail[max(0, len(s.tail)-reach):]...)
	return false
}
