package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultTTL bounds how long a rotated secret goes unnoticed where no upstream
	// answers 401 first, and how often an idle-looking session asks its backends.
	defaultTTL = 5 * time.Minute

	// defaultFailureTTL keeps an agent that repeats a failing call in a loop from
	// becoming a loop of backend calls, and is short enough that a human who has just
	// run `secret set` does not notice it.
	defaultFailureTTL = 5 * time.Second

	// defaultTimeout is longer than a cold sign-in to a distant Infisical or Vault
	// (two round trips and a TLS handshake) and shorter than a human's patience.
	defaultTimeout = 10 * time.Second

	// maxStale is how long a value outlives the reach of its backend. An hour covers a
	// restart, a deploy or a train tunnel; what was revoked because it leaked must
	// not work for longer than that just because the backend is down.
	maxStale = time.Hour

	// previousGrace is how long a replaced value is remembered. Providers that rotate
	// with an overlap document propagation in minutes.
	previousGrace = 10 * time.Minute

	// minAhead ends the series of ever shorter refreshes before a fixed expiry, each of
	// which takes four fifths of what the one before has left.
	minAhead = 100 * time.Millisecond
)

// ErrClosed is what a closed Resolver answers.
var ErrClosed = errors.New("the session's secrets are closed")

// ResolverConfig configures NewResolver. Only Backends is needed.
type ResolverConfig struct {
	// Backends opens the backend of a scheme: once, when the first ref with that scheme
	// is asked for. An open that fails is tried again by the next get. Opening is
	// not bounded by Timeout: it may ask a human for a passphrase.
	Backends map[string]func() (Backend, error)
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Timeout bounds each call of a backend; 10 s when zero.
	Timeout time.Duration
	// TTL says how long a scheme's values are served without asking again; 0 means that a
	// value is read once and for the whole session, whatever happens to it: also what says
	// that it ends is not read a second time. When nil: 5 minutes, and 0 for env.
	TTL func(scheme string) time.Duration
	// FailureTTL is how long a failure is remembered; 5 s when zero.
	FailureTTL time.Duration
	// Bind returns a binding that is kept elsewhere than with the secret, for Item.Hosts;
	// ok is false where there is none. Optional.
	Bind func(ref Ref) (hosts []string, ok bool)
	// Notify is told of what becomes of a secret beside the requests. It is called from the
	// session's own goroutines, with no lock held. Optional.
	Notify func(Change)
}

// Change is what became of a secret that the session had already.
type Change struct {
	Ref  Ref
	What Happening
	Note string // for people, without the value
}

// Happening is a kind of Change.
type Happening string

// What a Change may be.
const (
	Rotated   Happening = "rotated"   // the backend has another value now
	Stale     Happening = "stale"     // the backend is out of reach, the last value serves
	Reachable Happening = "reachable" // the backend answers again
	Leased    Happening = "leased"    // the backend has issued it for this session
)

// Resolver gets secrets for one session and remembers them: one cache, one call in
// flight per ref however many ask, and a refresh in the background before a value in
// use gets too old, so that a request waits for a backend only when a ref is asked for
// the first time or after it was idle for a whole TTL.
//
// A value whose backend became unreachable goes on being served for up to an hour,
// marked Stale. It is safe for concurrent use. Close wipes what it holds.
type Resolver struct {
	c      ResolverConfig
	ctx    context.Context // ends with Close; background work hangs on it
	cancel context.CancelFunc

	entries    atomic.Pointer[map[string]*entry] // by Ref.String; copied on write, so that Get takes no lock
	generation atomic.Uint64
	closed     atomic.Bool

	backends map[string]*opener // by scheme; the map never changes

	mu      sync.Mutex // guards the writing of entries, and retired
	retired []Secret   // replaced values: wiped by Close, not before, for requests may hold them
}

// opener opens one backend once. gate holds a token for whoever reads or sets backend.
type opener struct {
	gate    chan struct{}
	open    func() (Backend, error)
	backend Backend
}

// NewResolver returns a Resolver that has opened nothing yet.
func NewResolver(c ResolverConfig) *Resolver {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.FailureTTL == 0 {
		c.FailureTTL = defaultFailureTTL
	}
	if c.TTL == nil {
		c.TTL = func(scheme string) time.Duration {
			if scheme == "env" {
				return 0
			}
			return defaultTTL
		}
	}
	r := &Resolver{c: c, backends: map[string]*opener{}}
	for scheme, open := range c.Backends {
		r.backends[scheme] = &opener{gate: make(chan struct{}, 1), open: open}
	}
	r.entries.Store(&map[string]*entry{})
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Get returns the secret that ref names, from the cache where it can. ctx bounds the
// waiting of this caller only: the call of the backend goes on for the others.
func (r *Resolver) Get(ctx context.Context, ref Ref) (Item, error) {
	if r.closed.Load() {
		return Item{}, ErrClosed
	}
	e := r.entry(ref)
	if s := e.state.Load(); s != nil && s.fresh(r.c.Clock) {
		if !e.used.Load() { // a load first: a store by every request would bounce the cache line
			e.used.Store(true)
		}
		if s.back {
			return s.fallback(r.c.Clock()), nil
		}
		return s.item, s.err
	}
	e.used.Store(true)
	item, err := r.current(ctx, ref)
	if s := e.state.Load(); err == nil && s != nil && s.back {
		return s.fallback(r.c.Clock()), nil
	}
	return item, err
}

// current is Get without regard to what upstreams took and refused.
func (r *Resolver) current(ctx context.Context, ref Ref) (Item, error) {
	if r.closed.Load() {
		return Item{}, ErrClosed
	}
	e := r.entry(ref)
	for {
		s := e.state.Load()
		if s != nil && s.fresh(r.c.Clock) {
			return s.item, s.err
		}
		if s != nil && s.err == nil && r.once(ref) {
			return Item{}, WithHint(fmt.Errorf("%s: the value expired at %s, and what %s: gives is read once a session", ref, s.item.Expires.Format(time.RFC3339), ref.Scheme),
				"end the session and start it again")
		}
		if fl, _ := r.joinSince(e, s, false); fl != nil {
			item, _, err := fl.wait(ctx, ref)
			return item, err
		}
	}
}

// once says that a ref is read a single time.
func (r *Resolver) once(ref Ref) bool { return r.c.TTL(ref.Scheme) <= 0 }

// ResolveAll gets refs side by side and returns the failures, by Ref.String.
func (r *Resolver) ResolveAll(ctx context.Context, refs []Ref) map[string]error {
	var (
		mu       sync.Mutex
		wg       sync.WaitGroup
		failures = map[string]error{}
	)
	for _, ref := range refs {
		wg.Go(func() {
			if _, err := r.Get(ctx, ref); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures[ref.String()] = err
			}
		})
	}
	wg.Wait()
	return failures
}

// Each calls f with every value that the cache knows now: current ones, stale ones and
// those replaced within the last ten minutes, so that a scrubber finds them all. The
// order is not defined.
func (r *Resolver) Each(f func(ref Ref, item Item)) {
	for _, e := range *r.entries.Load() {
		s := e.state.Load()
		if s == nil {
			continue
		}
		if s.item.Value.Len() > 0 {
			f(e.ref, s.item)
		}
		if old, ok := r.Previous(e.ref); ok {
			f(e.ref, old)
		}
	}
}

// Cached returns what Each visits.
func (r *Resolver) Cached() []Item {
	var items []Item
	r.Each(func(_ Ref, item Item) { items = append(items, item) })
	return items
}

// Generation changes whenever what Each visits gained or lost a value. Whoever builds
// something from Each, such as a scrubber, compares it to know when to build anew.
func (r *Resolver) Generation() uint64 { return r.generation.Load() }

// Drop forgets every value and every failure, so that the next Get asks the backend.
// Values that requests under way still hold stay readable until Close.
func (r *Resolver) Drop() {
	for _, e := range *r.entries.Load() {
		e.mu.Lock()
		if s := e.state.Swap(nil); s != nil {
			r.retire(s.secrets()...)
		}
		e.epoch++ // what is in flight began before the drop: it answers its callers, and is not kept
		e.flight = nil
		e.stopTimer()
		e.mu.Unlock()
	}
	r.generation.Add(1)
}

// Close ends background work and overwrites every value that was handed out, as far as
// Go allows: strings made by Secret.Reveal are out of reach. Backends that can be
// closed are, after what they leased (see Release). It does not wait for a get that hangs.
func (r *Resolver) Close() {
	if r.closed.Swap(true) {
		return
	}
	r.cancel()
	r.Drop()
	r.mu.Lock()
	for _, s := range r.retired {
		s.Wipe()
	}
	r.retired = nil
	r.mu.Unlock()
	for _, o := range r.backends {
		select {
		case o.gate <- struct{}{}: // and kept: nothing is opened any more
			if c, ok := o.backend.(io.Closer); ok {
				_ = c.Close() // the session is over: Release has told what there was to tell
			}
		default: // still opening: a prompt that nobody answered
		}
	}
}

// entry finds or makes the cache entry of ref.
func (r *Resolver) entry(ref Ref) *entry {
	key := ref.raw
	if key == "" {
		key = ref.String()
	}
	if e := (*r.entries.Load())[key]; e != nil {
		return e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.entries.Load()
	if e := old[key]; e != nil {
		return e
	}
	grown := make(map[string]*entry, len(old)+1)
	for k, e := range old {
		grown[k] = e
	}
	e := &entry{ref: ref}
	grown[key] = e
	r.entries.Store(&grown)
	return e
}

// backend opens ref's backend, or returns the one that is open.
func (r *Resolver) backend(ref Ref) (Backend, error) {
	o := r.backends[ref.Scheme]
	if o == nil {
		return nil, fmt.Errorf("no backend for secret scheme %q (one of: %s)", ref.Scheme, strings.Join(Schemes(), ", "))
	}
	select {
	case o.gate <- struct{}{}:
	case <-r.ctx.Done():
		return nil, ErrClosed
	}
	defer func() { <-o.gate }()
	if o.backend != nil {
		return o.backend, nil
	}
	b, err := o.open()
	if err != nil {
		return nil, err
	}
	o.backend = b
	return b, nil
}

// retire keeps values that left the cache, to be wiped at the end.
func (r *Resolver) retire(values ...Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		if v.Len() == 0 {
			continue
		}
		if r.closed.Load() {
			v.Wipe()
			continue
		}
		r.retired = append(r.retired, v)
	}
}
