package proxy

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// bounded is a listener with a limit for its open connections; further ones wait in the
// kernel's queue until one has closed. Those that have not shown the session's token are
// strangers and have a limit of their own. Above it the oldest is closed, once it has had
// strangerTime: whoever else can connect to the port takes no place from the child.
type bounded struct {
	net.Listener
	free chan struct{}
	done chan struct{}
	once sync.Once

	maxStrangers int
	fewer        chan struct{} // holds something when there are fewer strangers than before
	mu           sync.Mutex
	strangers    list.List // of *boundedConn, the oldest first
}

// newBounded makes a listener for so many connections of the child, beside so many
// strangers.
func newBounded(l net.Listener, conns, strangers int) *bounded {
	return &bounded{Listener: l, free: make(chan struct{}, conns+strangers), done: make(chan struct{}),
		maxStrangers: strangers, fewer: make(chan struct{}, 1)}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	c := &boundedConn{Conn: conn, listener: b}
	if !b.makeRoom() {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.since = time.Now()
	c.stranger = b.strangers.PushBack(c)
	return c, nil
}

// makeRoom waits until there is room for a stranger. It reports false once the listener has
// closed.
func (b *bounded) makeRoom() bool {
	for {
		b.mu.Lock()
		if b.strangers.Len() < b.maxStrangers {
			b.mu.Unlock()
			return true
		}
		oldest := b.strangers.Front().Value.(*boundedConn)
		left := strangerTime - time.Since(oldest.since)
		b.mu.Unlock()
		if left <= 0 {
			_ = oldest.Close()
			continue
		}
		late := time.NewTimer(left)
		select {
		case <-b.fewer:
		case <-late.C:
		case <-b.done:
			late.Stop()
			return false
		}
		late.Stop()
	}
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	once     sync.Once
	listener *bounded
	since    time.Time
	stranger *list.Element // nil once it is none; guarded by listener.mu
}

// recognise takes the connection out of the strangers: it is the child's, or closed.
func (c *boundedConn) recognise() {
	b := c.listener
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.stranger == nil {
		return
	}
	b.strangers.Remove(c.stranger)
	c.stranger = nil
	select {
	case b.fewer <- struct{}{}:
	default:
	}
}

func (c *boundedConn) Close() error {
	c.once.Do(func() {
		c.recognise()
		<-c.listener.free
	})
	return c.Conn.Close()
}

// CloseWrite lets the splicer end one direction.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
