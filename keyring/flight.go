package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// entry is one ref's place in the cache. state is replaced, never changed; the rest is
// guarded by mu.
type entry struct {
	ref   Ref
	state atomic.Pointer[state]
	used  atomic.Bool // asked for since the last fetch: worth refreshing ahead

	// worked says that an upstream took the current value since a call that was made
	// because one had refused it, proven that one ever did.
	worked, proven atomic.Bool

	mu     sync.Mutex
	flight *flight // nil when no call is under way
	epoch  int     // raised by Drop
	timer  *time.Timer
	asked  time.Time     // when a refusal last made us ask, in vain
	pause  time.Duration // and how long that answer is believed
	probed time.Time     // when the current value was last tried although the previous serves
	misses int           // refusals of the previous value since one took it
}

// state is what the last fetch left behind. item is valid when err is nil.
type state struct {
	item     Item
	err      error
	fetched  time.Time // when the backend last gave item
	until    time.Time // zero: for the whole session
	previous *Item     // the value before item, and when it was replaced
	replaced time.Time
	back     bool // previous serves: an upstream took it and refused item
}

func (s *state) fresh(clock func() time.Time) bool {
	return s.until.IsZero() || clock().Before(s.until)
}

// secrets returns every value that s holds.
func (s *state) secrets() []Secret {
	var all []Secret
	if s.item.Value.Len() > 0 {
		all = append(all, s.item.Value)
	}
	if s.previous != nil {
		all = append(all, s.previous.Value)
	}
	return all
}

// flight is one call of a backend that any number of callers wait for.
type flight struct {
	done    chan struct{}
	forced  bool
	item    Item
	changed bool
	err     error
}

// wait returns the flight's result, or ctx's error.
func (f *flight) wait(ctx context.Context, ref Ref) (Item, bool, error) {
	select {
	case <-f.done:
		return f.item, f.changed, f.err
	case <-ctx.Done():
		return Item{}, false, fmt.Errorf("%s: %w", ref, ctx.Err())
	}
}

// join returns the call under way, or starts one. The call belongs to the session and
// not to a caller: it outlives the caller that started it.
//
// forced says that it is made because the value was refused: it begins after that.
func (r *Resolver) join(e *entry, forced bool) (f *flight, joined bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return r.joinHeld(e, forced)
}

// joinSince is join where no call has ended since seen was the state of e, and nil where one has:
// of many who ask at once, whoever comes last must not ask again what has just been answered.
func (r *Resolver) joinSince(e *entry, seen *state, forced bool) (f *flight, joined bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state.Load() != seen {
		return nil, false
	}
	return r.joinHeld(e, forced)
}

// joinHeld is join with mu held.
func (r *Resolver) joinHeld(e *entry, forced bool) (f *flight, joined bool) {
	if e.flight != nil {
		return e.flight, true
	}
	f = &flight{done: make(chan struct{}), forced: forced}
	e.flight = f
	e.stopTimer()
	go r.fly(e, f, e.epoch)
	return f, false
}

// fly makes the call and files its result.
func (r *Resolver) fly(e *entry, f *flight, epoch int) {
	item, err := r.ask(e.ref)
	var told *Change
	defer func() {
		if told != nil && r.c.Notify != nil {
			r.c.Notify(*told)
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	defer close(f.done)
	if e.epoch != epoch || r.closed.Load() { // dropped meanwhile
		r.retire(item.Value)
		f.item, f.err = item, err
		if err == nil && r.closed.Load() {
			f.item, f.err = Item{}, ErrClosed
		}
		return
	}
	e.flight = nil
	old := e.state.Load()
	s := r.next(e.ref, old, item, err)
	f.item, f.err = s.item, s.err
	f.changed = s.err == nil && (old == nil || !old.item.Value.Equal(s.item.Value))
	e.state.Store(s)
	e.used.Store(false)
	if f.changed || s.err != nil {
		r.generation.Add(1)
	}
	e.judge(f, r.c.Clock())
	told = change(e.ref, old, s)
	r.plan(e, s)
}

// change is what to tell of the step from old to s; nil is nothing.
func change(ref Ref, old, s *state) *Change {
	switch {
	case s.err == nil && s.item.Lease != "" && (old == nil || old.item.Lease != s.item.Lease):
		until := ""
		if !s.item.Expires.IsZero() {
			until = " until " + s.item.Expires.UTC().Format(time.RFC3339)
		}
		return &Change{ref, Leased, "issued for this session" + until + "; to give it back: " + s.item.Lease}
	case old == nil || old.item.Value.Len() == 0 || s.err != nil:
		return nil
	case s.item.Stale != old.item.Stale && s.item.Stale:
		return &Change{ref, Stale, s.item.Note}
	case s.item.Stale:
		return nil
	case !s.item.Value.Equal(old.item.Value):
		return &Change{ref, Rotated, "its backend has a new value"}
	case old.item.Stale:
		return &Change{ref, Reachable, ref.Scheme + " answers again, with the same value"}
	}
	return nil
}

// answer is what a backend said.
type answer struct {
	item Item
	err  error
}

// ask opens the backend and calls it, bounded by the timeout even where the backend
// ignores its context: an answer that comes too late is wiped.
func (r *Resolver) ask(ref Ref) (Item, error) {
	if ref.IsZero() {
		return Item{}, errors.New("no secret ref")
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	opened, answers := r.call(ctx, ref)
	select {
	case <-opened: // only now does the time run: opening may ask a human for a passphrase
	case <-ctx.Done():
	}
	late := fmt.Errorf("no answer within %s: %w", r.c.Timeout, ErrUnavailable)
	timer := time.AfterFunc(r.c.Timeout, func() { cancel(late) })
	defer timer.Stop()
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		a.err = ctx.Err()
		go func() { (<-answers).item.Value.Wipe() }()
	}
	if a.err != nil || r.ctx.Err() != nil {
		a.item.Value.Wipe()
	}
	switch {
	case r.ctx.Err() != nil:
		return Item{}, ErrClosed
	case a.err != nil && context.Cause(ctx) == late:
		return Item{}, fmt.Errorf("%s: %w", ref, late)
	case a.err != nil:
		return Item{}, fmt.Errorf("%s: %w", ref, a.err)
	case a.item.Value.Len() == 0:
		return Item{}, fmt.Errorf("%s: %w", ref, ErrEmpty)
	}
	if r.c.Bind != nil {
		if hosts, ok := r.c.Bind(ref); ok {
			a.item.Hosts = hosts
		}
	}
	return a.item, nil
}

// call opens ref's backend, closes opened, gets the secret and sends one answer.
func (r *Resolver) call(ctx context.Context, ref Ref) (opened <-chan struct{}, answers <-chan answer) {
	open, out := make(chan struct{}), make(chan answer, 1)
	go func() {
		var a answer
		// A panic here would leave the terminal of the whole session in pieces. Its
		// text is not ours and may hold anything, so it is not shown.
		defer func() {
			if recover() != nil {
				a = answer{err: errors.New("the backend crashed")}
			}
			out <- a
		}()
		b, err := r.openBackend(ref, open)
		if err != nil {
			a.err = err
			return
		}
		a.item, a.err = b.Get(ctx, ref)
	}()
	return open, out
}

func (r *Resolver) openBackend(ref Ref, opened chan<- struct{}) (Backend, error) {
	defer close(opened)
	return r.backend(ref)
}

// next decides what the cache holds after a fetch.
func (r *Resolver) next(ref Ref, old *state, item Item, err error) *state {
	now := r.c.Clock()
	if err == nil && !item.Expires.IsZero() && !item.Expires.After(now) {
		item.Value.Wipe()
		err = fmt.Errorf("%s: the value expired at %s", ref, item.Expires.Format(time.RFC3339))
	}
	if err != nil {
		return r.nextFailed(ref, old, now, err)
	}
	s := &state{item: item, fetched: now}
	if ttl := r.c.TTL(ref.Scheme); ttl > 0 {
		s.until = now.Add(ttl)
	}
	if !item.Expires.IsZero() && (s.until.IsZero() || item.Expires.Before(s.until)) {
		s.until = item.Expires
	}
	if old == nil || old.item.Value.Len() == 0 {
		return s
	}
	if old.item.Value.Equal(item.Value) {
		// The bytes that requests already hold go on being the ones.
		item.Value.Wipe()
		s.item.Value = old.item.Value
		s.previous, s.replaced, s.back = old.previous, old.replaced, old.back
		return s
	}
	if old.back && now.Before(old.replaced.Add(previousGrace)) {
		// The value in between never worked; the one before it does.
		r.retire(old.item.Value)
		s.previous, s.replaced, s.back = old.previous, old.replaced, true
		return s
	}
	if old.previous != nil {
		r.retire(old.previous.Value)
	}
	s.previous, s.replaced = &old.item, now
	return s
}

// nextFailed keeps the old value where the backend is merely out of reach.
func (r *Resolver) nextFailed(ref Ref, old *state, now time.Time, err error) *state {
	s := &state{err: err, until: now.Add(r.c.FailureTTL)}
	if old == nil || old.item.Value.Len() == 0 {
		return s
	}
	end := old.fetched.Add(maxStale)
	if x := old.item.Expires; !x.IsZero() && x.Before(end) {
		end = x
	}
	if !errors.Is(err, ErrUnavailable) || !now.Before(end) {
		r.retire(old.secrets()...)
		return s
	}
	kept := *old
	kept.item.Stale = true
	kept.item.Note = fmt.Sprintf("%s is unreachable: the value read at %s serves until %s",
		ref.Scheme, old.fetched.Format(time.TimeOnly), end.Format(time.TimeOnly))
	kept.until = end
	return &kept
}

// plan sets the timer of the next fetch in the background: at four fifths of the time
// that is left, which leaves a slow backend the last fifth to answer in; for a stale
// value after the failure TTL.
func (r *Resolver) plan(e *entry, s *state) {
	if s.err != nil || s.until.IsZero() || r.once(e.ref) {
		return
	}
	wait := s.until.Sub(r.c.Clock()) / 5 * 4
	if s.item.Stale {
		wait = r.c.FailureTTL
	}
	if wait < minAhead {
		return
	}
	e.timer = time.AfterFunc(wait, func() {
		// What nobody asked for since the last fetch is left to get old: a backend
		// may ask a human, or count its calls.
		if e.used.Load() || s.item.Stale {
			r.join(e, false)
		}
	})
}

// stopTimer is called with mu held.
func (e *entry) stopTimer() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}
