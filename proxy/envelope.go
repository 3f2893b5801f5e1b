package proxy

import (
	"encoding/binary"
	"io"
	"strings"

	"agentvault/proxy/scrub"
)

// enveloped says that a body is a row of messages, each behind a flag and its length: gRPC,
// gRPC-Web and the streams of Connect.
func enveloped(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	rest, ok := strings.CutPrefix(kind, "application/grpc")
	if ok && (rest == "" || rest[0] == '+' || rest == "-web" || strings.HasPrefix(rest, "-web+")) {
		return true
	}
	return strings.HasPrefix(kind, "application/connect+")
}

// envelopeHead is one byte of flags and four of length (gRPC over HTTP2,
// "Length-Prefixed-Message").
const envelopeHead = 5

// envelopes searches the messages of such a body one by one. A message is never held back
// for what may follow it, on which the client does not wait with its answer, and a
// replacement has the length of what it replaces. Compressed ones, which some servers send
// though none were asked for, see unpack.
type envelopes struct {
	src      io.Reader
	scrubber *scrub.Scrubber
	encoding string // of compressed messages; "" for none

	head    [envelopeHead]byte
	have    int // of head
	ready   []byte
	message *oneMessage
	search  io.Reader // of message, or of what was made of it
}

func newEnvelopes(src io.Reader, s *scrub.Scrubber, encoding string) *envelopes {
	return &envelopes{src: src, scrubber: s, encoding: encoding}
}

// Read implements io.Reader. The end of src is its end, in the middle of a message too: that
// something is missing is the client's to find out.
func (e *envelopes) Read(p []byte) (int, error) {
	if len(p) <= envelopeHead { // no caller of ours has so little room
		return 0, io.ErrShortBuffer
	}
	for {
		if e.message == nil {
			if err := e.next(); err != nil {
				n := copy(p, e.head[:e.have])
				e.have = 0
				return n, err
			}
		}
		// The head of a message leaves together with its first bytes.
		at := copy(p, e.ready)
		n, err := e.search.Read(p[at:])
		if n > 0 {
			e.ready = nil
			return at + n, nil
		}
		if err == nil {
			continue
		}
		over := e.message.err
		e.message, e.ready = nil, nil
		if over != nil || err != io.EOF {
			if over == nil {
				over = err
			}
			return at, over
		}
		if at > 0 { // an empty message
			return at, nil
		}
	}
}

// next reads the head of a message.
func (e *envelopes) next() error {
	for e.have < envelopeHead {
		n, err := e.src.Read(e.head[e.have:])
		e.have += n
		if err != nil && e.have < envelopeHead {
			return err
		}
	}
	e.have = 0
	e.ready = e.head[:]
	e.message = &oneMessage{src: e.src, left: int64(binary.BigEndian.Uint32(e.head[1:]))}
	if e.head[0]&1 != 0 && e.encoding != "" {
		return e.unpack()
	}
	// A flag without an encoding means nothing: what stands there is what it is.
	e.search = e.scrubber.Reader(e.message)
	return nil
}

// oneMessage is the payload of a message. Its end is io.EOF, whatever the reason.
type oneMessage struct {
	src  io.Reader
	left int64
	err  error
}

func (m *oneMessage) Read(p []byte) (int, error) {
	if m.left == 0 || m.err != nil {
		return 0, io.EOF
	}
	n, err := m.src.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if err != nil && m.left > 0 {
		m.err = err
		return n, io.EOF
	}
	return n, nil
}
