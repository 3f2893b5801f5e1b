package proxy

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"agentvault/proxy/scrub"
)

// tandem reads a compressed body and unpacks it beside, so that it can be passed on as it
// came: each byte as soon as all that it unpacks to is known to hold no secret, and to
// begin none. The bytes themselves are searched too: gzip has a file name in its head,
// zstd has frames that decoders skip.
//
// Nothing is passed on before the body is whole, or open was called, or maxHeld bytes have
// come; a secret that is found until then is no harm done yet.
type tandem struct {
	src   io.Reader
	begin func() error         // called once, before the first byte is passed on
	out   func(p []byte) error // passes on, at once
	plain io.Reader            // unpacks what is read through wire
	kind  string               // the encoding
	part  bool                 // the body is the beginning of a longer one

	// What follows belongs to the goroutine of run.
	chunk    []byte
	ahead    []byte // of chunk, not yet read by plain
	begun    int64  // what plain had taken when its Read was called
	touched  bool   // plain has asked for more since then
	received int64
	unpacked int64
	last     uint32 // the last four bytes of what was received
	failed   error  // of src, io.EOF too
	text     *scrub.Check
	wire     *scrub.Check
	echo     bool // one of the two has found a secret

	mu     sync.Mutex // guards what follows, which a timer looks at too
	held   []byte     // received, and not passed on
	passed int64
	marks  []proof
	proven int64 // by the marks that were passed
	clean  int64 // of the text
	safe   int64 // of the bytes as they are
	opened bool
	over   bool
	lost   error // of the child's connection
}

// proof says that the first bytes of the body, so many, unpack to no more than so much of
// the text.
type proof struct{ bytes, text int64 }

const (
	// What is held of one body while nothing of it has been passed on. Text packs to a tenth
	// or less: these are 5 MB of JSON.
	maxHeld = 512 << 10
	// Bytes that unpack to nothing for as long as this are no answer of an API. A block of
	// zstd, of which nothing can be told before it is whole, has 128 KiB at most (RFC 8878
	// 3.1.1.2.4), a window of deflate 32 KiB.
	maxUnproven = 1 << 20
	// What ends a flush of deflate (zlib's Z_SYNC_FLUSH): the length of an empty block.
	syncMark = 0x0000ffff
)

var (
	errEcho     = errors.New("the server's compressed answer holds a secret of this session")
	errUnproven = errors.New("the server's compressed answer goes on and on without unpacking to anything")
	errTail     = errors.New("the server's answer goes on behind the end of its compressed text")
)

// newTandem wants the name of one encoding.
func newTandem(encoding string, src io.Reader, s *scrub.Scrubber) (*tandem, error) {
	t := &tandem{src: src, kind: encoding, chunk: make([]byte, chunk), text: s.Check(), wire: s.Check()}
	plain, err := newDecoded(encoding, t)
	if err != nil {
		return nil, err
	}
	t.plain = &bomb{Reader: plain, wire: &t.received}
	return t, nil
}

// run reads the body to its end. Where it returns no error everything was passed on.
func (t *tandem) run() error {
	err := t.unpack()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	switch {
	case t.lost != nil:
		return t.lost
	case t.echo:
		err = errEcho // a decoder may say it in words of its own
	case t.failed != nil && t.failed != io.EOF:
		err = t.failed
	}
	if err == nil {
		t.open()
		t.send(len(t.held))
	} else if t.opened {
		t.pass()
	}
	if t.lost != nil {
		return t.lost
	}
	return err
}

func (t *tandem) unpack() error {
	buffer := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buffer)
	for {
		t.touched, t.begun = false, t.taken()
		n, err := t.plain.Read(buffer[:])
		t.unpacked += int64(n)
		clean, found := t.text.Add(buffer[:n])
		if t.echo = t.echo || found; t.echo {
			return errEcho
		}
		t.mu.Lock()
		t.clean = clean
		t.mu.Unlock()
		if err == nil {
			continue
		}
		switch {
		case err == io.EOF:
		case t.failed == io.EOF && t.received == 0: // nothing at all, as some servers send
		case t.failed == io.EOF && t.part && errors.Is(err, io.ErrUnexpectedEOF):
		default:
			return err
		}
		return t.end()
	}
}

// end looks at what follows the compressed text, which must be nothing.
func (t *tandem) end() error {
	for len(t.ahead) == 0 {
		if err := t.fill(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if len(t.ahead) > 0 {
		return errTail
	}
	if t.echo = t.text.End() || t.wire.End(); t.echo {
		return errEcho
	}
	return nil
}

// Read gives the decoder what was received.
func (t *tandem) Read(p []byte) (int, error) {
	if len(t.ahead) == 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.ahead)
	t.ahead = t.ahead[n:]
	return n, nil
}

// ReadByte lets a decoder take no more than it needs: those of deflate read ahead
// otherwise, and then nobody knows what they have unpacked.
func (t *tandem) ReadByte() (byte, error) {
	if len(t.ahead) == 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	b := t.ahead[0]
	t.ahead = t.ahead[1:]
	return b, nil
}

// fill receives more. The decoder has taken all that came before.
func (t *tandem) fill() error {
	if t.failed != nil {
		return t.failed
	}
	if err := t.settle(); err != nil {
		return err
	}
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		n, err = t.src.Read(t.chunk)
	}
	t.failed = err
	t.ahead = t.chunk[:n]
	for _, b := range t.ahead[max(0, n-4):] {
		t.last = t.last<<8 | uint32(b)
	}
	t.received += int64(n)
	safe, found := t.wire.Add(t.ahead)
	t.mu.Lock()
	t.held, t.safe = append(t.held, t.ahead...), safe
	t.mu.Unlock()
	switch {
	case found:
		t.echo, t.failed = true, errEcho
		return errEcho
	case n > 0:
		return nil
	}
	return err
}

// settle passes on what is proven, before a wait for more.
func (t *tandem) settle() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.touched {
		t.touched = true
		t.marks = append(t.marks, proof{t.unpackedTo(), t.unpacked})
	}
	if len(t.held) >= maxHeld {
		t.open()
	}
	if t.opened {
		t.pass()
	}
	if t.lost == nil && len(t.held) > maxHeld+maxUnproven {
		return errUnproven
	}
	return t.lost
}

// unpackedTo is how much of the bytes unpacks to no more than what plain has returned. It is
// known where plain asks for more the first time since its Read was called: it has returned
// all then that it had made before that Read, and in it found nothing more to return.
func (t *tandem) unpackedTo() int64 {
	switch t.kind {
	case "br": // makes all that can be made before it asks for more
		return t.received
	case "zstd": // works block by block, and takes no byte of the next one before
		return t.begun
	}
	// Deflate returns a window when it is full, or at a flush, and goes on with what it has
	// left of the byte that it took last. At a flush it has nothing left.
	if t.begun == t.received && t.last == syncMark {
		return t.begun
	}
	return max(0, t.begun-1)
}

// taken is how much plain has taken of what was received.
func (t *tandem) taken() int64 { return t.received - int64(len(t.ahead)) }

// late is called when the body has taken too long to be waited for as a whole.
func (t *tandem) late() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over && !t.opened {
		t.open()
		t.pass()
	}
}

// open wants mu held.
func (t *tandem) open() {
	if t.opened {
		return
	}
	t.opened = true
	if err := t.begin(); err != nil {
		t.lost = &childError{err}
	}
}

// pass sends what is proven. It wants mu held.
func (t *tandem) pass() {
	for len(t.marks) > 0 && t.marks[0].text <= t.clean {
		t.proven, t.marks = t.marks[0].bytes, t.marks[1:]
	}
	if n := int(min(t.proven, t.safe) - t.passed); n > 0 {
		t.send(n)
	}
}

// send wants mu held.
func (t *tandem) send(n int) {
	if n == 0 || t.lost != nil {
		return
	}
	if err := t.out(t.held[:n]); err != nil {
		t.lost = &childError{err}
	}
	t.passed += int64(n)
	t.held = append(t.held[:0], t.held[n:]...)
}

// again is the body from its beginning. Nothing of it may have been passed on.
func (t *tandem) again() io.Reader {
	rest := t.src
	if t.failed != nil && t.failed != errEcho {
		rest = endWith{t.failed}
	}
	return io.MultiReader(bytes.NewReader(t.held), rest)
}
