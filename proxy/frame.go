package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"agentvault/proxy/scrub"
)

// frames carries WebSocket frames (RFC 6455 5) from one side to the other, byte for byte
// but for the secrets in them. The payloads of one message are searched as one text,
// wherever it was cut into frames, and a replacement has the length of what it replaces:
// no frame changes its head. At most the bytes that could begin a secret wait for the
// next frame of their message.
//
// Not searched: what an extension has encoded (none is negotiated on a connection that
// was given a credential), and messages as parts of one another.
//
// With edit text messages are collected first and may change; see frame_edit.go.
type frames struct {
	back rewinder
	src  *bufio.Reader // reads back
	dst  *bufio.Writer
	text func(io.Reader) io.Reader                 // what is done to the payload of a message
	edit func(text []byte) (new []byte, err error) // nil for none; new is nil for no change
	head [14]byte

	// Input: the data frame whose payload is being read.
	left  uint64
	key   [4]byte // zero for a frame without a mask
	at    uint64  // in the frame
	final bool
	open  bool // a fragmented message goes on

	// Output: payload that was written, and what stands between its bytes.
	read    uint64 // payload of the message, given to text
	written uint64 // payload of the message, returned by it
	marks   []mark
	outKey  [4]byte
	outAt   uint64
}

// mark is what goes out before the payload byte of the message with this number.
type mark struct {
	before uint64
	bytes  []byte
	key    [4]byte
	data   bool // the head of a data frame, whose key is for what follows
}

const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	// RFC 6455 5.5: a control frame has 125 bytes at most and is never fragmented.
	maxControl = 125
	// Frames that may wait for the payload before them: more than the longest spelling of a
	// secret has bytes. Control frames, and empty ones, could come without end.
	maxMarks = 16 << 10
)

var errFrame = errors.New("not a WebSocket frame that can be searched")

func newFrames(dst io.Writer, src io.Reader, text func(io.Reader) io.Reader) *frames {
	f := &frames{back: rewinder{src: src}, dst: bufio.NewWriterSize(dst, 4<<10), text: text}
	f.src = bufio.NewReaderSize(&f.back, 4<<10)
	return f
}

// run copies until src ends. io.EOF between two messages is a good end.
func (f *frames) run() error {
	buffer := make([]byte, 4<<10)
	for {
		if err := f.message(buffer); err != nil {
			if e := f.dst.Flush(); e != nil {
				return &childError{e}
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// message copies one message and the control frames around it.
func (f *frames) message(buffer []byte) error {
	f.read, f.written, f.final = 0, 0, false
	if f.edit != nil {
		if done, err := f.whole(); done || err != nil {
			return err
		}
	}
	src := &messageReader{f: f}
	text := f.text(src)
	for {
		n, err := text.Read(buffer)
		if e := f.write(buffer[:n]); e != nil {
			return e
		}
		if err == io.EOF {
			return src.err // nil where the message is whole
		}
		if err != nil {
			return err
		}
		if f.src.Buffered() == 0 {
			if e := f.dst.Flush(); e != nil {
				return e
			}
		}
	}
}

// messageReader is the payload of one message. Its end is io.EOF, whatever the reason.
type messageReader struct {
	f   *frames
	err error
}

func (m *messageReader) Read(p []byte) (int, error) {
	f := m.f
	for f.left == 0 {
		if f.final {
			return 0, io.EOF
		}
		if m.err = f.next(); m.err != nil {
			if m.err == io.EOF && f.open {
				m.err = io.ErrUnexpectedEOF
			}
			return 0, io.EOF
		}
	}
	if f.src.Buffered() == 0 {
		if m.err = f.dst.Flush(); m.err != nil {
			return 0, io.EOF
		}
	}
	n, err := f.src.Read(p[:min(uint64(len(p)), f.left)])
	xor(p[:n], f.key, f.at)
	f.left -= uint64(n)
	f.at += uint64(n)
	f.read += uint64(n)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		m.err = err
		return n, io.EOF
	}
	return n, nil
}

// next reads the head of a frame, and the whole of a control frame.
func (f *frames) next() error {
	if f.src.Buffered() == 0 {
		if err := f.dst.Flush(); err != nil {
			return err
		}
	}
	head, length, err := f.readHead()
	if err != nil {
		return err
	}
	op, fin := head[0]&0x0f, head[0]&0x80 != 0
	key := keyOf(head)
	switch {
	case head[0]&0x70 != 0:
		return fmt.Errorf("%w: reserved bits are set without an extension", errFrame)
	case op >= opClose:
		return f.control(head, length, key)
	case (op == opContinuation) != f.open, op > 2:
		return fmt.Errorf("%w: opcode %d", errFrame, op)
	}
	f.open, f.final = !fin, fin
	f.left, f.key, f.at = length, key, 0
	return f.put(mark{f.read, append([]byte(nil), head...), key, true})
}

func (f *frames) readHead() (head []byte, length uint64, err error) {
	head = f.head[:2]
	if _, err := io.ReadFull(f.src, head); err != nil {
		return nil, 0, err // io.EOF only before the first byte
	}
	extra := 0
	length = uint64(head[1] & 0x7f)
	switch length {
	case 126:
		extra = 2
	case 127:
		extra = 8
	}
	rest := extra
	if head[1]&0x80 != 0 {
		rest += 4
	}
	head = f.head[:2+rest]
	if _, err := io.ReadFull(f.src, head[2:]); err != nil {
		return nil, 0, io.ErrUnexpectedEOF
	}
	switch extra {
	case 2:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		length = binary.BigEndian.Uint64(head[2:])
	}
	if length > 1<<63-1 {
		return nil, 0, fmt.Errorf("%w: its length", errFrame)
	}
	return head, length, nil
}

func (f *frames) control(head []byte, length uint64, key [4]byte) error {
	if length > maxControl || head[0]&0x80 == 0 {
		return fmt.Errorf("%w: a control frame of %d bytes", errFrame, length)
	}
	whole := append(append(make([]byte, 0, len(head)+int(length)), head...), make([]byte, length)...)
	payload := whole[len(head):]
	if _, err := io.ReadFull(f.src, payload); err != nil {
		return io.ErrUnexpectedEOF
	}
	xor(payload, key, 0)
	clean, err := io.ReadAll(f.text(&oneRead{payload}))
	if err != nil {
		return err
	}
	copy(payload, clean)
	xor(payload, key, 0)
	return f.put(mark{before: f.read, bytes: whole})
}

// oneRead is a reader of a few bytes.
type oneRead struct{ rest []byte }

func (r *oneRead) Read(p []byte) (int, error) {
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// put sends a mark, or keeps it until the payload before it has gone.
func (f *frames) put(m mark) error {
	if len(f.marks) == 0 && f.written == m.before {
		return f.send(m)
	}
	if len(f.marks) == maxMarks {
		return fmt.Errorf("%w: %d frames stand in what could be the beginning of a secret", errFrame, maxMarks)
	}
	f.marks = append(f.marks, m)
	return nil
}

func (f *frames) send(m mark) error {
	if m.data {
		f.outKey, f.outAt = m.key, 0
	}
	_, err := f.dst.Write(m.bytes)
	return err
}

// write sends payload, and the marks where they belong.
func (f *frames) write(p []byte) error {
	for {
		n := uint64(len(p))
		if len(f.marks) > 0 {
			n = min(n, f.marks[0].before-f.written)
		}
		xor(p[:n], f.outKey, f.outAt)
		if _, err := f.dst.Write(p[:n]); err != nil {
			return err
		}
		f.outAt += n
		f.written += n
		p = p[n:]
		for len(f.marks) > 0 && f.marks[0].before == f.written {
			if err := f.send(f.marks[0]); err != nil {
				return err
			}
			f.marks = f.marks[1:]
		}
		if len(p) == 0 {
			return nil
		}
	}
}

func xor(p []byte, key [4]byte, at uint64) {
	if key == [4]byte{} {
		return
	}
	for i := range p {
		p[i] ^= key[(at+uint64(i))&3]
	}
}

// What is done to the frames of each direction. g may be nil.
func maskFrames(g *scrubbers) func(io.Reader) io.Reader {
	if g == nil {
		return (*scrub.Scrubber)(nil).Reader
	}
	return g.fitted.Reader
}

func stopFrames(g *scrubbers) func(io.Reader) io.Reader {
	if g == nil {
		return (*scrub.Scrubber)(nil).Stop
	}
	return g.free.Stop
}
