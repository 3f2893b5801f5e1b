package keyring

import (
	"context"
	"time"
)

const (
	// refusalPause is how long an answer "still the same value" is believed at first,
	// after a refusal made us ask; maxRefusalPause is what it doubles to while the value goes
	// on being refused. An agent that repeats a call with a revoked key a thousand times a
	// second makes eleven calls of the backend in the first minute and six in each later one;
	// one whose calls are taken and refused in turn makes at most four a second.
	refusalPause    = 250 * time.Millisecond
	maxRefusalPause = 10 * time.Second

	// probeEvery is how often, while the previous value serves, one request is sent with the
	// new one first. Each costs the upstream one refusal.
	probeEvery = 5 * time.Second

	// maxMisses is how many refusals in a row end the hope that a replaced value still
	// works. More than one, because a provider has many machines, and they learn of a new
	// key one by one.
	maxMisses = 3
)

// Refresh asks the backend whatever the cache holds, or joins the call that is under
// way, and reports whether the value differs from the one that the cache held before.
// After a refused request, Newer is the better question. What is read once a session is
// not asked for again.
func (r *Resolver) Refresh(ctx context.Context, ref Ref) (item Item, changed bool, err error) {
	if r.closed.Load() {
		return Item{}, false, ErrClosed
	}
	e := r.entry(ref)
	if s := e.state.Load(); s != nil && s.err == nil && r.once(ref) {
		item, err = r.current(ctx, ref)
		return item, false, err
	}
	fl, _ := r.join(e, false)
	return fl.wait(ctx, ref)
}

// Newer returns a value other than `than`, the one that an upstream has just refused:
// at once when the cache has already moved on, else by asking the backend. newer is
// false when the backend still has the same value; item is then that value.
//
// An answer "still the same" is believed for a while that grows with every refusal, so
// that a key that was revoked does not become a load on the backend.
func (r *Resolver) Newer(ctx context.Context, ref Ref, than Secret) (item Item, newer bool, err error) {
	if r.closed.Load() {
		return Item{}, false, ErrClosed
	}
	e := r.entry(ref)
	for again := false; ; {
		s := e.state.Load()
		if s != nil && s.err == nil {
			if newer = !s.item.Value.Equal(than); newer || r.once(ref) {
				return s.item, newer, nil
			}
		}
		if !again {
			wait, believed := e.believe(r.c.Clock())
			if believed {
				item, err = r.current(ctx, ref)
				return item, err == nil && !item.Value.Equal(than), err
			}
			if wait > 0 {
				if err := r.sleep(ctx, wait); err != nil {
					return Item{}, false, err
				}
				continue
			}
		}
		fl, joined := r.joinSince(e, s, true)
		if fl == nil { // a call has ended meanwhile, and may have brought what is looked for
			continue
		}
		if item, _, err = fl.wait(ctx, ref); err != nil {
			return Item{}, false, err
		}
		// A call that was under way may have read the old value before it was replaced:
		// its answer counts only if it brings something new. The second one began later.
		if newer = !item.Value.Equal(than); newer || !joined || fl.forced || again {
			return item, newer, nil
		}
		again = true
	}
}

// believe says whether the last answer "still the same" is good enough, or how long it is
// to be waited before asking again.
func (e *entry) believe(now time.Time) (wait time.Duration, believed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.worked.Load() { // it has worked since: the refusal is news
		e.pause = min(e.pause, refusalPause)
	}
	left := e.asked.Add(e.pause).Sub(now)
	if e.asked.IsZero() || left <= 0 {
		return 0, false
	}
	return left, e.pause > refusalPause
}

// judge notes what a call has brought. It is called with mu held.
func (e *entry) judge(f *flight, now time.Time) {
	switch {
	case f.changed:
		e.pause, e.misses, e.asked, e.probed = 0, 0, time.Time{}, now
		e.worked.Store(false)
		e.proven.Store(false)
	case f.forced:
		e.pause = min(max(2*e.pause, refusalPause), maxRefusalPause)
		if e.worked.Swap(false) {
			e.pause = refusalPause
		}
		e.asked = now
	}
}

func (r *Resolver) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// Previous returns the value that the current one has replaced, for ten minutes after
// that: a provider may take a while to accept a new key everywhere.
func (r *Resolver) Previous(ref Ref) (Item, bool) {
	s := r.entry(ref).state.Load()
	if s == nil || s.previous == nil || r.c.Clock().After(s.replaced.Add(previousGrace)) {
		return Item{}, false
	}
	return s.before(), true
}

// before is the previous item as it is handed out.
func (s *state) before() Item {
	item := *s.previous
	item.Previous, item.Stale, item.Note = true, s.item.Stale, s.item.Note
	return item
}

// fallback is what serves while the current value is refused.
func (s *state) fallback(now time.Time) Item {
	if s.previous == nil || now.After(s.replaced.Add(previousGrace)) {
		return s.item
	}
	return s.before()
}

// accepted says that an upstream took a value. It is called for every request.
func (r *Resolver) accepted(ref Ref, value Secret) {
	e := r.entry(ref)
	s := e.state.Load()
	if s == nil || !s.back && e.worked.Load() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s = e.state.Load(); s == nil || !s.item.Value.Equal(value) {
		return
	}
	e.worked.Store(true)
	e.proven.Store(true)
	if s.back {
		next := *s
		next.back = false
		e.state.Store(&next)
	}
}

// prefer says that an upstream took the previous value and had refused the current one.
func (r *Resolver) prefer(ref Ref, value Secret) {
	e := r.entry(ref)
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.state.Load()
	if s == nil || s.previous == nil || !s.previous.Value.Equal(value) {
		return
	}
	e.misses, e.probed = 0, r.c.Clock()
	if !s.back {
		next := *s
		next.back = true
		e.state.Store(&next)
	}
}

// missed says that an upstream refused the previous value.
func (r *Resolver) missed(ref Ref, value Secret) {
	e := r.entry(ref)
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.state.Load()
	if s == nil || s.previous == nil || !s.previous.Value.Equal(value) {
		return
	}
	if e.misses++; e.misses < maxMisses {
		return
	}
	r.retire(s.previous.Value)
	next := *s
	next.previous, next.back = nil, false
	e.state.Store(&next)
	r.generation.Add(1)
}

// probe says whether it is time to try the current value again although the previous one
// serves; the time then begins anew.
func (r *Resolver) probe(ref Ref) bool {
	e := r.entry(ref)
	now := r.c.Clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Before(e.probed.Add(probeEvery)) {
		return false
	}
	e.probed = now
	return true
}

// isBack says whether the previous value serves.
func (r *Resolver) isBack(ref Ref) bool {
	s := r.entry(ref).state.Load()
	return s != nil && s.back
}
