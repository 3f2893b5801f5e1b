package proxy

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is how long an address may take before the next one is tried beside it: the
// Connection Attempt Delay of RFC 8305 5.
const attemptDelay = 250 * time.Millisecond

// eyeballs dials the addresses of a name side by side, each a little later than the one
// before it, in turns of both families (RFC 8305). net.Dialer does so for the two families
// alone: of a name with two addresses of one family, the first of which swallows what it is
// sent, it tries the second after half of its time.
type eyeballs struct {
	*net.Dialer
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error) // one address
}

func newEyeballs(d *net.Dialer) *eyeballs {
	return &eyeballs{Dialer: d, dial: d.DialContext, lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		r := d.Resolver
		if r == nil {
			r = net.DefaultResolver
		}
		return r.LookupNetIP(ctx, "ip", host)
	}}
}

// DialContext connects to HOST:PORT within dialTime.
func (e *eyeballs) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return e.dial(ctx, network, address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	addrs, err := e.lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	targets := inTurns(addrs)
	addresses := make([]string, len(targets))
	for i, ip := range targets {
		addresses[i] = net.JoinHostPort(ip.String(), port)
	}
	return e.race(ctx, network, addresses)
}

// inTurns changes between the families, the first address's first.
func inTurns(addrs []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for i, ip := range addrs {
		if ip = ip.Unmap(); i == 0 || ip.Is4() == first[0].Is4() {
			first = append(first, ip)
		} else {
			second = append(second, ip)
		}
	}
	all := make([]netip.Addr, 0, len(addrs))
	for i := 0; i < len(first) || i < len(second); i++ {
		if i < len(first) {
			all = append(all, first[i])
		}
		if i < len(second) {
			all = append(all, second[i])
		}
	}
	return all
}

type attempt struct {
	conn net.Conn
	err  error
}

// race returns the first connection. The next address is tried when the one before it has
// failed, or has taken attemptDelay.
func (e *eyeballs) race(ctx context.Context, network string, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan attempt, len(addresses))
	under, next := 0, 0
	defer func() { // those that come too late
		go func() {
			for range under {
				if a := <-ended; a.conn != nil {
					_ = a.conn.Close()
				}
			}
		}()
	}()
	var failure error
	delay := time.NewTimer(0) // the first is tried at once
	defer delay.Stop()
	for {
		select {
		case <-delay.C:
		case a := <-ended:
			if under--; a.err == nil {
				return a.conn, nil
			}
			if failure == nil {
				failure = a.err
			}
			if under == 0 && next == len(addresses) {
				return nil, failure
			}
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}
		if next < len(addresses) {
			address := addresses[next]
			go func() {
				c, err := e.dial(ctx, network, address)
				ended <- attempt{c, err}
			}()
			under, next = under+1, next+1
			delay.Reset(attemptDelay)
		}
	}
}
