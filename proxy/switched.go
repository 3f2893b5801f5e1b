package proxy

import (
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"agentvault/proxy/scrub"
)

// switched is a connection that has left HTTP.
type switched struct {
	child    io.ReadWriteCloser
	upstream io.ReadWriteCloser
	g        *scrubbers                        // what the server's frames are searched for; nil with edit for none
	edit     func(text []byte) ([]byte, error) // what is done to the child's messages; may be nil
	told     func(sent, received int64)        // called from time to time

	sent, received atomic.Int64
	stopped        atomic.Pointer[error] // why a message of the child was not passed on
}

// run copies both ways until one has ended, and returns why the child's frames, or else
// the server's, could not be passed on.
func (s *switched) run() error {
	tick := time.NewTicker(tellTime)
	defer tick.Stop()
	defer s.tell(tick.C)()
	up, down := &tally{s.child, &s.sent}, &tally{s.upstream, &s.received}
	sent := make(chan error, 1)
	go func() {
		err := s.up(up)
		if refused(err) {
			s.stopped.Store(&err)
		}
		_ = s.upstream.Close() // the transport's connection has no half; down ends by this
		sent <- err
	}()
	whole, err := s.down(down)
	why := s.stopped.Load()
	if why != nil && whole {
		s.say(closeFrame(statusPolicy, whyRefused(*why), nil))
	}
	_ = s.child.Close()
	if e := <-sent; refused(e) || errors.Is(e, errFrame) {
		return e
	}
	return err
}

// say sends the last words to the child. It may be busy sending: a connection that is
// closed with something unread in it takes with it what was written last.
func (s *switched) say(frame []byte) {
	if c, ok := s.child.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(drainTime))
	}
	if _, err := s.child.Write(frame); err != nil {
		return
	}
	if c, ok := s.child.(interface {
		CloseWrite() error
		SetReadDeadline(time.Time) error
	}); ok && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.Copy(io.Discard, s.child)
	}
}

// up copies what the child sends.
func (s *switched) up(from io.Reader) error {
	if !s.searched() {
		_, err := io.Copy(s.upstream, from)
		return err
	}
	f := newFrames(s.upstream, from, stopFrames(s.g))
	f.edit = s.edit
	err := f.run()
	if refused(err) && f.between() {
		_, _ = s.upstream.Write(closeFrame(statusGoingAway, "", newKey()))
	}
	return err
}

// down copies what the server sends. whole says that the child has received no part of a
// frame without the rest of it.
func (s *switched) down(from io.Reader) (whole bool, err error) {
	if !s.searched() {
		_, err = io.Copy(s.child, from)
		return false, err
	}
	f := newFrames(s.child, from, maskFrames(s.g))
	err = f.run()
	return f.between(), err
}

// searched says that the bytes are frames, which are looked into.
func (s *switched) searched() bool { return s.g != nil || s.edit != nil }

// tell reports at each tick what has gone over the connection, if it is more than before,
// until the function that it returns is called.
func (s *switched) tell(tick <-chan time.Time) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		var before int64
		for {
			select {
			case <-done:
				return
			case <-tick:
			}
			sent, received := s.sent.Load(), s.received.Load()
			if sent+received > before {
				before = sent + received
				s.told(sent, received)
			}
		}
	}()
	return func() { close(done); <-over }
}

// tally counts while others look.
type tally struct {
	io.Reader
	n *atomic.Int64
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.n.Add(int64(n))
	return n, err
}

// Status codes of RFC 6455 7.4.1.
const (
	statusGoingAway = 1001
	statusPolicy    = 1008
)

// refused says that a message of the child was stopped.
func refused(err error) bool {
	return errors.Is(err, scrub.ErrFound) || errors.As(err, new(*frameRefusal))
}

func whyRefused(err error) string {
	a := leakAnswer("a WebSocket message")
	if r := (*frameRefusal)(nil); errors.As(err, &r) {
		a = r.answer
	}
	return "agentvault: " + a.Code + ": " + a.Message
}

// closeFrame says why a connection ends, as far as a control frame has room for it. key
// is nil for a frame of a server.
func closeFrame(status uint16, why string, key *[4]byte) []byte {
	if most := maxControl - 2; len(why) > most {
		for why = why[:most]; !utf8.ValidString(why); {
			why = why[:len(why)-1]
		}
	}
	payload := append(binary.BigEndian.AppendUint16(nil, status), why...)
	frame := []byte{0x80 | opClose, byte(len(payload))}
	if key != nil {
		frame[1] |= 0x80
		frame = append(frame, key[:]...)
		xor(payload, *key, 0)
	}
	return append(frame, payload...)
}
