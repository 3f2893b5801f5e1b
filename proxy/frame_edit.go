package proxy

import (
	"crypto/rand"
	"encoding/binary"
	"io"

	"agentvault/proxy/event"
)

// maxMessage is the longest text message in which a placeholder is looked for. Gateways
// take their credential in the first message, of some hundred bytes, and accept no more
// than 4 KiB (Discord) to 16 KiB (Slack) at all; a longer message passes as it is.
const maxMessage = 64 << 10

// frameRefusal is a message of the child that is not sent on.
type frameRefusal struct {
	answer  Answer
	verdict event.Verdict
}

func (e *frameRefusal) Error() string { return e.answer.Message }

// whole collects the next message and sends it on, edited where edit has changed it and
// byte for byte where not. An edited message goes out as one frame: its fragments have no
// meaning of their own (RFC 6455 5.4). Control frames do not wait for it. It reports false
// for a message that has to be carried as a stream, of which none was sent then: one that is
// no text, or long, or cut into more frames than text.
func (f *frames) whole() (done bool, err error) {
	var raw, text []byte // the frames as they came, and their payload
	masked := false
	for fin := false; !fin; {
		if f.src.Buffered() == 0 {
			if err := f.dst.Flush(); err != nil {
				return false, err
			}
		}
		head, length, err := f.readHead()
		if err != nil {
			if err == io.EOF && raw != nil {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		op := head[0] & 0x0f
		if op >= opClose && head[0]&0x70 == 0 {
			if err := f.control(head, length, keyOf(head)); err != nil {
				return false, err
			}
			continue
		}
		wanted := byte(opText)
		if raw != nil {
			wanted = opContinuation
		}
		if head[0]&0x70 != 0 || op != wanted || length > maxMessage-uint64(len(text)) || len(raw) > 2*maxMessage {
			f.rewind(append(raw, head...))
			return false, nil
		}
		fin, masked = head[0]&0x80 != 0, head[1]&0x80 != 0
		raw, text, err = f.collect(raw, text, head, int(length))
		if err != nil {
			return false, err
		}
	}
	if _, err := io.Copy(io.Discard, f.text(&oneRead{text})); err != nil {
		return false, err
	}
	edited, err := f.edit(text)
	if err != nil {
		return false, err
	}
	if edited != nil {
		raw = textFrame(edited, masked)
	}
	_, err = f.dst.Write(raw)
	return true, err
}

// collect reads one frame's payload.
func (f *frames) collect(raw, text, head []byte, length int) (newRaw, newText []byte, err error) {
	key := keyOf(head)
	raw = append(raw, head...)
	from := len(raw)
	raw = append(raw, make([]byte, length)...)
	if _, err := io.ReadFull(f.src, raw[from:]); err != nil {
		return nil, nil, io.ErrUnexpectedEOF
	}
	at := len(text)
	text = append(text, raw[from:]...)
	xor(text[at:], key, 0)
	return raw, text, nil
}

// between says that what was written ends with a whole frame.
func (f *frames) between() bool {
	return f.left == 0 && f.written == f.read && len(f.marks) == 0
}

// rewind puts what was read back in front of the source.
func (f *frames) rewind(read []byte) {
	buffered, _ := f.src.Peek(f.src.Buffered())
	f.back.ahead = append(append(append([]byte(nil), read...), buffered...), f.back.ahead...)
	f.src.Reset(&f.back)
}

// rewinder is a reader that can be given back what was read of it.
type rewinder struct {
	ahead []byte
	src   io.Reader
}

func (r *rewinder) Read(p []byte) (int, error) {
	if len(r.ahead) == 0 {
		return r.src.Read(p)
	}
	n := copy(p, r.ahead)
	if r.ahead = r.ahead[n:]; len(r.ahead) == 0 {
		r.ahead = nil
	}
	return n, nil
}

// keyOf is the mask of a frame, zero for none.
func keyOf(head []byte) (key [4]byte) {
	if head[1]&0x80 != 0 {
		copy(key[:], head[len(head)-4:])
	}
	return key
}

// newKey is a mask that the child could not choose (RFC 6455 10.3).
func newKey() *[4]byte {
	var key [4]byte
	_, _ = rand.Read(key[:])
	return &key
}

// textFrame is a message in one frame.
func textFrame(text []byte, masked bool) []byte {
	b := make([]byte, 2, len(text)+14)
	b[0] = 0x80 | opText
	switch n := len(text); {
	case n < 126:
		b[1] = byte(n)
	case n <= 0xffff:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !masked {
		return append(b, text...)
	}
	b[1] |= 0x80
	key := newKey()
	b = append(b, key[:]...)
	from := len(b)
	b = append(b, text...)
	xor(b[from:], *key, 0)
	return b
}
