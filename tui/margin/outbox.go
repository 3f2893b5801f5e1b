package margin

import (
	"io"
	"sync"
)

// mostUnread is what is kept for a child that does not read: more than anybody pastes. What
// comes beyond is dropped.
const mostUnread = 16 << 20

// outbox takes what is the child's to its PTY. A child that does not read (and it can have the
// terminal answer without end) holds up nobody but itself: the hotkey is looked for in what is
// typed after it.
type outbox struct {
	mu     sync.Mutex
	more   *sync.Cond
	unread []byte
	closed bool
}

func newOutbox() *outbox {
	o := new(outbox)
	o.more = sync.NewCond(&o.mu)
	return o
}

// put never waits.
func (o *outbox) put(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed && len(o.unread)+len(p) <= mostUnread {
		o.unread = append(o.unread, p...)
		o.more.Signal()
	}
}

// carry writes to w until close, or until w takes no more: a child that is gone ends us by its
// output.
func (o *outbox) carry(w io.Writer) {
	var p []byte
	for {
		o.mu.Lock()
		for len(o.unread) == 0 && !o.closed {
			o.more.Wait()
		}
		if o.closed {
			o.mu.Unlock()
			return
		}
		p, o.unread = o.unread, p[:0]
		o.mu.Unlock()
		if _, err := w.Write(p); err != nil {
			o.close()
		}
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.unread = true, nil
	o.more.Signal()
}
