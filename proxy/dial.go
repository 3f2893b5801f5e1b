package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"time"
)

const (
	// A connection that was made ahead of the child's request is closed when none came in
	// this time. Servers close connections on which nothing is asked after 10 to 60 s.
	parkTime = 5 * time.Second
	// Connections that wait for a request. A child that opens more tunnels at once has
	// the others dialled when it asks.
	maxParked = 32
)

// dialer makes the TLS connections of one pool, and may be told to make one ahead: while
// the child still shakes hands with us, we shake hands with its host.
type dialer struct {
	net      *eyeballs
	config   *tls.Config
	upstream Upstream

	mu     sync.Mutex
	parked map[string]*parked
	live   map[string]int // connections that the pool holds, by address
	closed bool
}

// parked is a connection that is being made, or waits for its request.
type parked struct {
	done  chan struct{}
	conn  net.Conn // this and what follows is set when done is closed
	err   error
	clock clock
	timer *time.Timer
}

func newTLSDialer(d *eyeballs, c *tls.Config, u Upstream) *dialer {
	return &dialer{net: d, config: c, upstream: u, parked: make(map[string]*parked), live: make(map[string]int)}
}

// DialPlain is for http.Transport, which calls it for hosts without TLS, and for a parent's
// proxy that is asked for them in absolute form.
func (d *dialer) DialPlain(ctx context.Context, _, address string) (net.Conn, error) {
	return d.upstream.reach(withClock(ctx), d.net, "http", address)
}

// DialTLS is for http.Transport, which calls it for hosts with TLS, and for a parent's proxy
// with TLS that is asked for others in absolute form.
func (d *dialer) DialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	p := d.parked[address]
	delete(d.parked, address)
	d.mu.Unlock()
	if p == nil {
		return d.dial(ctx, address)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		go p.discard()
		return nil, ctx.Err()
	}
	if p.timer.Stop(); p.err != nil {
		return nil, p.err
	}
	if k := clockOf(ctx); k != nil {
		k.made(&p.clock)
	}
	return p.conn, nil
}

func (d *dialer) dial(ctx context.Context, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c, err := d.upstream.reach(withClock(ctx), d.net, "https", address)
	if err != nil {
		return nil, err
	}
	config := d.config.Clone()
	config.ServerName = host
	s := tls.Client(d.count(c, address), config)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, tlsTime)
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	if k := clockOf(ctx); k != nil {
		k.set(&k.handshake, begun)
		k.set(&k.handshakeDone, time.Now())
	}
	return s, nil
}

// ahead makes a connection to address for a request that will probably come. It does
// nothing where the pool has connections already.
func (d *dialer) ahead(address string) {
	if parent, err := d.upstream.parent("https", address); parent != nil || err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.live[address] > 0 || d.parked[address] != nil || len(d.parked) >= maxParked {
		return
	}
	p := &parked{done: make(chan struct{})}
	d.parked[address] = p
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), dialTime+tlsTime)
		defer cancel()
		p.conn, p.err = d.dial(&clockContext{ctx, &p.clock}, address)
		p.timer = time.AfterFunc(parkTime, func() { d.expire(address, p) })
		close(p.done)
	}()
}

// expire closes a connection that was not asked for.
func (d *dialer) expire(address string, p *parked) {
	d.mu.Lock()
	waits := d.parked[address] == p
	if waits {
		delete(d.parked, address)
	}
	d.mu.Unlock()
	if waits {
		p.discard()
	}
}

func (p *parked) discard() {
	<-p.done
	p.timer.Stop()
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// close closes what is parked.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for address, p := range d.parked {
		delete(d.parked, address)
		go p.discard()
	}
}

// count keeps the number of open connections to address.
func (d *dialer) count(c net.Conn, address string) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live[address]++
	return &countedConn{Conn: c, closed: func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.live[address]--; d.live[address] == 0 {
			delete(d.live, address)
		}
	}}
}

type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// withClock lets the standard dialer tell the times of its steps. The transport's own
// context carries a trace with few hooks: each costs an allocation for every request,
// and most requests dial nothing.
func withClock(ctx context.Context) context.Context {
	k := clockOf(ctx)
	if k == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { k.set(&k.name, time.Now()) },
		DNSDone:      func(httptrace.DNSDoneInfo) { k.set(&k.nameDone, time.Now()) },
		ConnectStart: func(string, string) { k.set(&k.dial, time.Now()) },
		ConnectDone:  func(string, string, error) { k.set(&k.dialDone, time.Now()) },
	})
}
