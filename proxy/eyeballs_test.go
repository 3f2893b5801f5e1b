package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An address that swallows what it is sent holds up a name for attemptDelay, and one that
// refuses not at all. The clock is the bubble's.
func TestEyeballs(t *testing.T) {
	const swallows, refuses, answers = "swallows", "refuses", "answers"
	for _, tt := range []struct {
		name  string
		addrs []string // in the order of the resolver
		do    map[string]string
		tried []string
		took  time.Duration
		err   string
	}{
		{name: "one", addrs: []string{"192.0.2.1"}, do: map[string]string{"192.0.2.1": answers}, tried: []string{"192.0.2.1"}},
		{name: "the first swallows", addrs: []string{"192.0.2.1", "192.0.2.2"}, do: map[string]string{"192.0.2.1": swallows, "192.0.2.2": answers},
			tried: []string{"192.0.2.1", "192.0.2.2"}, took: attemptDelay},
		{name: "the first refuses", addrs: []string{"192.0.2.1", "192.0.2.2"}, do: map[string]string{"192.0.2.1": refuses, "192.0.2.2": answers},
			tried: []string{"192.0.2.1", "192.0.2.2"}},
		{name: "three of four swallow", addrs: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"},
			do:    map[string]string{"192.0.2.1": swallows, "192.0.2.2": swallows, "192.0.2.3": swallows, "192.0.2.4": answers},
			tried: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}, took: 3 * attemptDelay},
		{name: "a whole family swallows", addrs: []string{"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"},
			do:    map[string]string{"2001:db8::1": swallows, "2001:db8::2": swallows, "192.0.2.1": answers},
			tried: []string{"2001:db8::1", "192.0.2.1"}, took: attemptDelay},
		{name: "in turns", addrs: []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1"}, do: map[string]string{"192.0.2.3": answers},
			tried: []string{"192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3"}},
		{name: "all refuse", addrs: []string{"192.0.2.1", "192.0.2.2"}, tried: []string{"192.0.2.1", "192.0.2.2"}, err: "192.0.2.1:443 refuses"},
		{name: "all swallow", addrs: []string{"192.0.2.1", "192.0.2.2"}, do: map[string]string{"192.0.2.1": swallows, "192.0.2.2": swallows},
			tried: []string{"192.0.2.1", "192.0.2.2"}, took: dialTime, err: "deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEyeballs(&net.Dialer{})
				e.lookup = func(_ context.Context, host string) (addrs []netip.Addr, err error) {
					if host != "many.example.test" {
						t.Errorf("asks for %s", host)
					}
					for _, a := range tt.addrs {
						addrs = append(addrs, netip.MustParseAddr(a))
					}
					return addrs, nil
				}
				var mu sync.Mutex
				var tried []string
				ends := make(chan string, len(tt.addrs))
				e.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
					host, _, _ := net.SplitHostPort(address)
					mu.Lock()
					tried = append(tried, host) // in their order: each begins when the one before it waits or has ended
					mu.Unlock()
					switch tt.do[host] {
					case answers:
						c, other := net.Pipe()
						_ = other.Close()
						return c, nil
					case swallows:
						<-ctx.Done()
						ends <- host
						return nil, ctx.Err()
					}
					return nil, errors.New(address + " refuses")
				}
				begun := time.Now()
				c, err := e.DialContext(t.Context(), "tcp", "many.example.test:443")
				took := time.Since(begun)
				synctest.Wait()
				if took != tt.took || !slices.Equal(tried, tt.tried) {
					t.Errorf("tried %v in %s, want %v in %s", tried, took, tt.tried, tt.took)
				}
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) || upstreamAnswer(err, "h").Status != 502 {
						t.Errorf("got %v", err)
					}
				} else if err != nil {
					t.Error(err)
				} else {
					_ = c.Close()
				}
				waited := 0
				for _, host := range tt.tried {
					if tt.do[host] == swallows {
						waited++
					}
				}
				if len(ends) != waited {
					t.Errorf("%d attempts were ended, want %d", len(ends), waited)
				}
			})
		})
	}
}

// Of two connections that are made at the same time one is closed.
func TestEyeballsCloseTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEyeballs(&net.Dialer{})
		var mu sync.Mutex
		var others []net.Conn
		e.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, other := net.Pipe()
			mu.Lock()
			others = append(others, other)
			mu.Unlock()
			time.Sleep(attemptDelay) // deaf to ctx, as a connection is that has just been made
			return c, nil
		}
		c, err := e.race(t.Context(), "tcp", []string{"a:1", "b:1"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		_ = c.Close()
		for i, other := range others {
			if _, err := other.Read(make([]byte, 1)); err == nil {
				t.Errorf("connection %d is open", i)
			}
		}
	})
}

// The resolver's own error stays what it is.
func TestEyeballsWithoutName(t *testing.T) {
	e := newEyeballs(&net.Dialer{})
	e.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "n", IsNotFound: true}
	}
	if _, err := e.DialContext(t.Context(), "tcp", "nowhere.example.test:443"); upstreamAnswer(err, "h").Code != CodeUpstreamName {
		t.Errorf("got %v", err)
	}
	if _, err := e.DialContext(t.Context(), "tcp", "no port"); err == nil {
		t.Error("an address without a port")
	}
}
