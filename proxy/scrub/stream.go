package scrub

import "io"

// maxChunk is how much a Writer looks at in one piece, and what a Reader reads at once
// for a caller with a small buffer. 32 KiB is what io.Copy uses.
const maxChunk = 32 << 10

// minDirect is the smallest buffer of a caller that is read into directly.
const minDirect = 512

// Reader returns r with the secrets replaced. A Read returns as soon as one Read of r
// brought anything that can be passed on, and holds back only bytes that could be the
// beginning of a secret, until r shows that they are not. However r cuts its text, the
// output is the same. An error of r, io.EOF too, comes after all bytes before it.
//
// The bytes of p beyond what a Read returned may hold parts of a secret. A Reader is for
// one goroutine.
func (s *Scrubber) Reader(r io.Reader) io.Reader {
	if s.Empty() {
		return r
	}
	return &reader{t: s.t, src: r}
}

type reader struct {
	t       *table
	src     io.Reader
	held    []byte // read, and undecided
	ready   []byte // decided, and not yet returned
	out     []byte // the memory of ready
	scratch []byte // for callers with small buffers
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
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

// fill reads once. Text without a secret goes straight into p, and n says how much;
// everything else goes to ready. progress says whether anything was read.
func (r *reader) fill(p []byte) (n int, progress bool) {
	buf, direct := p, true
	if len(p) < len(r.held)+minDirect {
		if need := len(r.held) + minDirect; len(r.scratch) < need {
			r.scratch = make([]byte, max(need, r.t.max+maxChunk))
		}
		buf, direct = r.scratch, false
	}
	h := copy(buf, r.held)
	got, err := r.src.Read(buf[h:])
	r.err = err
	data, final := buf[:h+got], err != nil

	end, hit := r.t.next(data, 0, final)
	if direct && hit == nil {
		r.held = append(r.held[:0], data[end:]...)
		return end, got > 0
	}
	out, end := r.t.replace(r.out[:0], data, final)
	r.out, r.ready = out, out
	r.held = append(r.held[:0], data[end:]...)
	return 0, got > 0
}

// Writer passes what is written on to another writer with the secrets replaced. Each
// Write passes on all that cannot be part of a match, in one Write a chunk; Close passes
// on the rest. A Writer is for one goroutine.
type Writer struct {
	t    *table // nil: nothing is searched
	dst  io.Writer
	held []byte
	join []byte
	out  []byte
	err  error
}

// Writer returns a Writer to w.
func (s *Scrubber) Writer(w io.Writer) *Writer {
	if s.Empty() {
		return &Writer{dst: w}
	}
	return &Writer{t: s.t, dst: w}
}

// Write implements io.Writer. After an error it only returns that error.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.t == nil {
		n, err := w.dst.Write(p)
		w.err = err
		return n, err
	}
	for n := 0; n < len(p); {
		chunk := p[n:min(len(p), n+maxChunk)]
		if w.chunk(chunk, false); w.err != nil {
			return n, w.err
		}
		n += len(chunk)
	}
	return len(p), nil
}

// Close passes on what was held back. It does not close the other writer.
func (w *Writer) Close() error {
	if w.err == nil && len(w.held) > 0 {
		w.chunk(nil, true)
	}
	return w.err
}

func (w *Writer) chunk(data []byte, final bool) {
	if len(w.held) > 0 {
		w.join = append(append(w.join[:0], w.held...), data...)
		data = w.join
	}
	end, hit := w.t.next(data, 0, final)
	safe := data[:end]
	if hit != nil {
		w.out, end = w.t.replace(w.out[:0], data, final)
		safe = w.out
	}
	w.held = append(w.held[:0], data[end:]...)
	if len(safe) > 0 {
		_, w.err = w.dst.Write(safe)
	}
}
