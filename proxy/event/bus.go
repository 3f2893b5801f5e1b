package event

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Bus hands events to subscribers. Publish never blocks: a subscriber whose buffer is
// full loses the event and its Dropped count goes up. The zero Bus is ready for use.
type Bus struct {
	mu     sync.RWMutex
	subs   []*Subscription
	closed bool
}

// Subscription receives events on C until it is closed, or the bus is.
type Subscription struct {
	C       <-chan Event
	c       chan Event
	bus     *Bus
	dropped atomic.Uint64
}

// Subscribe adds a subscriber whose buffer holds n events.
func (b *Bus) Subscribe(n int) *Subscription {
	c := make(chan Event, n)
	s := &Subscription{C: c, c: c, bus: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(c)
		return s
	}
	b.subs = append(b.subs, s)
	return s
}

// Publish offers e to every subscriber.
func (b *Bus) Publish(e Event) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.subs {
		select {
		case s.c <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// Close ends every subscription; what they have buffered can still be read.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		close(s.c)
	}
	b.subs, b.closed = nil, true
}

// Dropped counts the events that this subscriber lost.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if i := slices.Index(s.bus.subs, s); i >= 0 {
		s.bus.subs = slices.Delete(s.bus.subs, i, i+1)
		close(s.c)
	}
}
