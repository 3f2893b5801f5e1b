package leasing

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Lease is what a server issued for the session, in one piece. Of it, the end alone changes.
type Lease[O any] struct {
	Of        O             // what the backend has to know of it
	Key       string        // what was asked for
	ID        string        // empty: nothing to renew or to give back, and not kept
	Fields    Fields        // overwritten when the Set is revoked
	Given     time.Duration // how long it is good at first; zero: nobody knows
	Renewable bool

	life    Life      // guarded by the Set's mu
	checked time.Time // when the server last vouched for it; likewise
}

// Server is how a Set asks a backend's server. What it returns as errors is explained.
type Server[O any] struct {
	// Renew prolongs a lease and returns its new end; zero where the server does not say.
	Renew func(ctx context.Context, l *Lease[O]) (until time.Time, err error)
	// Vouch asks whether a lease that cannot be renewed is still there. Nil where all can be.
	Vouch func(ctx context.Context, l *Lease[O]) error
	// Gone tells an error by which the server says that there is no such lease.
	Gone func(err error) bool
	// Revoke gives a lease back.
	Revoke func(ctx context.Context, l *Lease[O]) error
}

// Set is all that was leased for a session and not given back. It is safe for concurrent use.
type Set[O any] struct {
	server Server[O]
	ctx    context.Context // ends with the session
	takes  Flights[*Lease[O]]
	tasks  sync.WaitGroup // renewals

	mu       sync.Mutex
	all      []*Lease[O]
	kept     []Fields // of all leases that there were: somebody may still be reading
	released bool
}

// NewSet returns an empty Set whose renewals and shared calls end with session.
func NewSet[O any](session context.Context, server Server[O]) *Set[O] {
	return &Set[O]{server: server, ctx: session}
}

// Get returns the newest lease for key that usable takes, if it will be good for a while, and
// otherwise one that take brings: once, however many ask.
func (s *Set[O]) Get(ctx context.Context, key string, usable func(*Lease[O]) bool, take func(context.Context) (*Lease[O], error)) (*Lease[O], error) {
	return s.takes.Do(ctx, s.ctx, key, func(ctx context.Context) (*Lease[O], error) {
		if l := s.newest(key); l != nil && usable(l) && s.good(ctx, l) {
			return l, nil
		}
		s.mu.Lock()
		released := s.released
		s.mu.Unlock()
		if released { // Stop waits for what began before it
			return nil, ErrReleased
		}
		l, err := take(ctx)
		if err == nil {
			s.add(key, l)
		}
		return l, err
	})
}

// Until is when a lease ends; zero where nobody knows.
func (s *Set[O]) Until(l *Lease[O]) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.life.Until
}

func (s *Set[O]) newest(key string) *Lease[O] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range slices.Backward(s.all) {
		if l.Key == key {
			return l
		}
	}
	return nil
}

// good asks whether l is still there and will be for a while: the resolver asks again after a
// credential was refused, and somebody may have revoked it. In doubt it is.
func (s *Set[O]) good(ctx context.Context, l *Lease[O]) bool {
	s.mu.Lock()
	ending, fresh := l.life.Ending(), time.Since(l.checked) < Together
	s.mu.Unlock()
	if ending || fresh {
		return !ending
	}
	var err error
	if l.Renewable {
		err = s.renew(ctx, l)
	} else if err = s.server.Vouch(ctx, l); err == nil {
		s.mu.Lock()
		l.checked = time.Now()
		s.mu.Unlock()
	}
	if err != nil && s.server.Gone(err) {
		s.Forget(l)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !l.life.Ending()
}

// add keeps a new lease, and keeps it alive.
func (s *Set[O]) add(key string, l *Lease[O]) {
	l.Key = key
	if l.ID == "" {
		return
	}
	l.life, l.checked = NewLife(l.Given), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, l.Fields)
	s.all = append(slices.DeleteFunc(s.all, func(o *Lease[O]) bool { return o.life.Over() }), l)
	if l.Renewable && !s.released {
		s.tasks.Go(func() {
			Keep(s.ctx, func() time.Time { return s.Until(l) }, func(ctx context.Context) error { return s.renew(ctx, l) })
		})
	}
}

// renew prolongs l; what it was first given for stays the measure.
func (s *Set[O]) renew(ctx context.Context, l *Lease[O]) error {
	until, err := s.server.Renew(ctx, l)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.checked = time.Now()
	if !until.IsZero() {
		l.life.Until = until
	}
	return nil
}

// Forget takes l out: it is no longer there.
func (s *Set[O]) Forget(l *Lease[O]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o *Lease[O]) bool { return o == l })
}

// Stop ends the taking, and waits until ctx ends for what is under way: an answer may bring a
// lease. The session is to end after it, and Wait to be called.
func (s *Set[O]) Stop(ctx context.Context) {
	s.mu.Lock()
	s.released = true
	s.mu.Unlock()
	s.takes.Wait(ctx)
}

// Wait returns when no renewal is under way any more.
func (s *Set[O]) Wait() { s.tasks.Wait() }

// Left is a lease that could not be given back.
type Left[O any] struct {
	Lease *Lease[O]
	Until time.Time
	Err   error
}

// Revoke gives back every lease, side by side, and returns those that could not be and have
// not ended. They stay in the Set, without their fields, for another try.
func (s *Set[O]) Revoke(ctx context.Context) (left []Left[O]) {
	s.mu.Lock()
	leases := slices.Clone(s.all)
	s.mu.Unlock()
	errs := make([]error, len(leases))
	var wg sync.WaitGroup
	for i, l := range leases {
		wg.Go(func() { errs[i] = s.server.Revoke(ctx, l) })
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.kept {
		f.Wipe()
	}
	s.all, s.kept = nil, nil
	for i, l := range leases {
		if errs[i] == nil || l.life.Over() {
			continue
		}
		s.all = append(s.all, l)
		left = append(left, Left[O]{l, l.life.Until, errs[i]})
	}
	return left
}
