// Package leasing has what backends that lease for a session share: the leases themselves (Set),
// how long a thing lives, how it is kept alive, and one call for all who wait for the same thing.
package leasing

import (
	"context"
	"errors"
	"sync"
	"time"

	"agentvault/keyring"
)

const (
	// CallTime bounds a call that several gets wait for. Making a database user or an IAM
	// user takes seconds; the resolver stops waiting earlier, and finds the result at its
	// next try.
	CallTime = 30 * time.Second

	// CloseTime is how long a backend's Close tries to give back what Release has not: a
	// session that is over should not seem to hang.
	CloseTime = 3 * time.Second

	// Together is how long after a lease was known to be good it is taken to be so without
	// asking: the fields of one secret are asked for within moments.
	Together = 2 * time.Second

	// minWait ends the series of ever shorter renewals before an end that does not move, and
	// keeps retries apart.
	minWait = time.Second
)

// ErrReleased is what a released backend answers.
var ErrReleased = errors.New("what the session leased was given back")

// Life is how long something was first given for, and when it ends as far as we know. The
// zero Life does not end, or nobody knows when.
type Life struct {
	Given time.Duration
	Until time.Time
}

// NewLife begins now. A given of zero or less has no end.
func NewLife(given time.Duration) Life {
	if given <= 0 {
		return Life{}
	}
	return Life{given, time.Now().Add(given)}
}

// Ending reports whether it is time for a successor. A renewal comes after two thirds; what
// is still at its last quarter cannot be renewed any further. The resolver asks again after
// four fifths.
func (l Life) Ending() bool { return !l.Until.IsZero() && time.Until(l.Until) <= l.Given/4 }

// Over reports whether it has ended.
func (l Life) Over() bool { return !l.Until.IsZero() && !time.Now().Before(l.Until) }

// Keep renews at two thirds of the time that is left until ctx ends, the server says no, or
// the end does not move any more. A server that is out of reach is tried again at two thirds
// of what is left, and so on. renew moves what until returns.
func Keep(ctx context.Context, until func() time.Time, renew func(context.Context) error) {
	for {
		wait := time.Until(until()) / 3 * 2
		if wait < minWait {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		call, cancel := context.WithTimeout(ctx, CallTime)
		err := renew(call)
		cancel()
		if err != nil && !errors.Is(err, keyring.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// Flights shares one call per key among those who ask for it while it is under way, and its
// failure as well: ten refs and a wrong credential are one sign-in, not ten. A call belongs
// to the session and not to who began it, so that what it took is never lost. The zero
// Flights is ready for use.
type Flights[T any] struct {
	mu     sync.Mutex
	flying map[string]*flight[T]
}

type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// Do waits for the call under way, or makes it. ctx bounds the waiting; call is given a
// context that ends with session or after CallTime.
func (f *Flights[T]) Do(ctx, session context.Context, key string, call func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	if f.flying == nil {
		f.flying = map[string]*flight[T]{}
	}
	c := f.flying[key]
	if c == nil {
		c = &flight[T]{done: make(chan struct{})}
		f.flying[key] = c
		go f.fly(session, key, c, call)
	}
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (f *Flights[T]) fly(session context.Context, key string, c *flight[T], call func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(session, CallTime)
	defer cancel()
	// What a crash says is not ours and may hold anything. Whoever waits must not wait for ever.
	defer func() {
		if recover() != nil {
			c.err = errors.New("the backend crashed")
		}
		f.mu.Lock()
		delete(f.flying, key)
		f.mu.Unlock()
		close(c.done)
	}()
	c.value, c.err = call(ctx)
}

// Wait returns when nothing is under way, or ctx has ended.
func (f *Flights[T]) Wait(ctx context.Context) {
	for {
		f.mu.Lock()
		var one *flight[T]
		for _, c := range f.flying {
			one = c
		}
		f.mu.Unlock()
		if one == nil {
			return
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return
		}
	}
}
