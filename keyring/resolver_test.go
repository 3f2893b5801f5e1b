package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a backend whose answers a test sets while it runs.
type fake struct {
	mu     sync.Mutex
	values map[string]string
	err    error
	delay  time.Duration
	deaf   bool // ignores its context
	item   Item // what is added to each answer
	calls  int
	closed bool
}

func (f *fake) Get(ctx context.Context, ref Ref) (Item, error) {
	f.mu.Lock()
	f.calls++
	value, known := f.values[ref.Name]
	item, err, delay, deaf := f.item, f.err, f.delay, f.deaf
	f.mu.Unlock()
	if deaf {
		time.Sleep(delay)
	} else {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return Item{}, ctx.Err()
		}
	}
	if err != nil {
		return Item{}, err
	}
	if !known {
		return Item{}, ErrNotFound
	}
	item.Value = NewSecret([]byte(value))
	return item, nil
}

func (f *fake) Close() error { f.set(func() { f.closed = true }); return nil }

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// count returns the calls since the last count.
func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

func testRef(t testing.TB, s string) Ref {
	t.Helper()
	ref, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// newTest returns a backend that knows github, behind a resolver of its own. The
// resolver is closed, and its goroutines are gone, when the bubble of t ends.
func newTest(t *testing.T, c ResolverConfig) (*fake, *Resolver, Ref) {
	f := &fake{values: map[string]string{"github": "v1"}}
	c.Backends = map[string]func() (Backend, error){
		"keychain": func() (Backend, error) { return f, nil },
		"env":      func() (Backend, error) { return f, nil },
	}
	r := NewResolver(c)
	t.Cleanup(r.Close)
	return f, r, testRef(t, "keychain:github")
}

func wantValue(t *testing.T, r *Resolver, ref Ref, want string) Item {
	t.Helper()
	item, err := r.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("Get %s: %v", ref, err)
	}
	if got := item.Value.Reveal(); got != want {
		t.Fatalf("Get %s = %q, want %q", ref, got, want)
	}
	return item
}

func wantCalls(t *testing.T, f *fake, want int) {
	t.Helper()
	if got := f.count(); got != want {
		t.Errorf("%d calls of the backend, want %d", got, want)
	}
}

func TestResolverCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		for range 3 {
			wantValue(t, r, ref, "v1")
		}
		wantCalls(t, f, 1)

		// Used, it is refreshed in the background before its time is over.
		f.set(func() { f.values["github"] = "v2" })
		time.Sleep(defaultTTL*4/5 - time.Second)
		wantCalls(t, f, 0)
		wantValue(t, r, ref, "v1")
		time.Sleep(2 * time.Second)
		wantCalls(t, f, 1)
		wantValue(t, r, ref, "v2")
		wantCalls(t, f, 0)
	})
}

func TestResolverLeavesUnusedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		wantValue(t, r, ref, "v1")
		time.Sleep(time.Hour)
		wantCalls(t, f, 1)
		f.set(func() { f.values["github"] = "v2" })
		wantValue(t, r, ref, "v2") // too old to be served: the backend is asked
		wantCalls(t, f, 1)
	})
}

func TestResolverSessionTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, _ := newTest(t, ResolverConfig{})
		f.set(func() { f.values["TOKEN"] = "v1" })
		env := testRef(t, "env:TOKEN")
		wantValue(t, r, env, "v1")
		f.set(func() { f.values["TOKEN"] = "v2" })
		for range 10 {
			time.Sleep(time.Hour)
			wantValue(t, r, env, "v1")
		}
		wantCalls(t, f, 1)
	})
}

func TestResolverSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.delay = time.Second
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { wantValue(t, r, ref, "v1") })
			wg.Go(func() {
				if _, _, err := r.Refresh(t.Context(), ref); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantCalls(t, f, 1)
	})
}

// A caller that gives up takes nobody with it.
func TestResolverCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.delay = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.Get(ctx, ref); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first caller: %v, want its deadline", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { wantValue(t, r, ref, "v1") })
		wg.Wait()
		wantCalls(t, f, 1)
	})
}

func TestResolverTimeout(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf=%t", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, r, ref := newTest(t, ResolverConfig{Timeout: 3 * time.Second})
				f.delay, f.deaf = time.Minute, deaf
				start := time.Now()
				_, err := r.Get(t.Context(), ref)
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "keychain:github: no answer within 3s") {
					t.Errorf("error %v, want no answer within 3s, ErrUnavailable", err)
				}
				if d := time.Since(start); d != 3*time.Second { // the bubble's clock is exact
					t.Errorf("it took %s", d)
				}
				time.Sleep(time.Hour) // the deaf one comes back
			})
		})
	}
}

// Opening may ask a human: the timeout of a get does not run meanwhile.
func TestResolverOpensOnceAndPatiently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{values: map[string]string{"a": "1", "b": "2"}}
		var opened atomic.Int32
		r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
			"keychain": func() (Backend, error) {
				time.Sleep(time.Minute)
				if opened.Add(1) == 1 {
					return nil, ErrLocked
				}
				return f, nil
			},
			"file": func() (Backend, error) { t.Error("opened a backend that no ref names"); return f, nil },
		}})
		defer r.Close()
		if _, err := r.Get(t.Context(), testRef(t, "keychain:a")); !errors.Is(err, ErrLocked) {
			t.Errorf("first open: %v, want ErrLocked", err)
		}
		time.Sleep(defaultFailureTTL)
		errs := r.ResolveAll(t.Context(), []Ref{testRef(t, "keychain:a"), testRef(t, "keychain:b")})
		if len(errs) != 0 || opened.Load() != 2 {
			t.Errorf("errors %v, opened %d times, want 2", errs, opened.Load())
		}
	})
}

func TestResolverFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, _ := newTest(t, ResolverConfig{})
		ref := testRef(t, "keychain:absent")
		for range 3 {
			if _, err := r.Get(t.Context(), ref); !errors.Is(err, ErrNotFound) || err.Error() != "keychain:absent: secret not found" {
				t.Fatalf("error %v", err)
			}
		}
		wantCalls(t, f, 1)
		f.set(func() { f.values["absent"] = "v1" })
		time.Sleep(defaultFailureTTL)
		wantValue(t, r, ref, "v1")
		wantCalls(t, f, 1)

		if _, err := r.Get(t.Context(), testRef(t, "infisical:X?project=p")); err == nil || !strings.Contains(err.Error(), "no backend") {
			t.Errorf("a scheme without a backend: %v", err)
		}
		if _, err := r.Get(t.Context(), Ref{}); err == nil {
			t.Error("the zero Ref: no error")
		}
	})
}

func TestResolverStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		wantValue(t, r, ref, "v1")
		wantValue(t, r, ref, "v1")
		f.set(func() { f.err = fmt.Errorf("dial: %w", ErrUnavailable) })
		time.Sleep(30 * time.Second) // out of step with the refreshes
		// Served all the while, never waited for, marked from the failed refresh on.
		for minute := range 59 {
			time.Sleep(time.Minute)
			item := wantValue(t, r, ref, "v1")
			if down := minute >= 3; item.Stale != down || strings.Contains(item.Note, "unreachable") != down {
				t.Fatalf("after %d.5 minutes: stale %t, note %q", minute+1, item.Stale, item.Note)
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := r.Get(t.Context(), ref); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("after more than an hour: %v, want ErrUnavailable", err)
		}
		f.set(func() { f.err = nil })
		time.Sleep(defaultFailureTTL)
		if item := wantValue(t, r, ref, "v1"); item.Stale {
			t.Error("still stale after the backend came back")
		}
	})
}

// The backend comes back: the note goes, soon and without a request that waits for it.
func TestResolverRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		wantValue(t, r, ref, "v1")
		f.set(func() { f.err = ErrUnavailable })
		if item, changed, err := r.Refresh(t.Context(), ref); err != nil || changed || !item.Stale {
			t.Fatalf("Refresh of an unreachable backend: stale %t, changed %t, %v", item.Stale, changed, err)
		}
		f.set(func() { f.err, f.values["github"] = nil, "v2" })
		time.Sleep(defaultFailureTTL + time.Second)
		f.count()
		if item := wantValue(t, r, ref, "v2"); item.Stale || item.Note != "" {
			t.Errorf("stale %t, note %q", item.Stale, item.Note)
		}
		wantCalls(t, f, 0)
	})
}

// Only unreachable is forgiven: what the backend takes back is gone at once.
func TestResolverRevoked(t *testing.T) {
	for _, sentinel := range []error{ErrNotFound, ErrDenied, ErrLocked, ErrEmpty} {
		synctest.Test(t, func(t *testing.T) {
			f, r, ref := newTest(t, ResolverConfig{})
			wantValue(t, r, ref, "v1")
			f.set(func() { f.err = sentinel })
			if _, _, err := r.Refresh(t.Context(), ref); !errors.Is(err, sentinel) {
				t.Errorf("Refresh: %v, want %v", err, sentinel)
			}
			if _, err := r.Get(t.Context(), ref); !errors.Is(err, sentinel) {
				t.Errorf("Get: %v, want %v", err, sentinel)
			}
		})
	}
}

func TestResolverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		end := time.Now().Add(time.Minute)
		f.item = Item{Expires: end}
		wantValue(t, r, ref, "v1")
		wantValue(t, r, ref, "v1")
		f.set(func() { f.values["github"], f.item.Expires = "v2", end.Add(time.Hour) })
		time.Sleep(49 * time.Second) // four fifths of its minute
		wantValue(t, r, ref, "v2")
		wantCalls(t, f, 2)

		// A value that has ended is not served, also not for want of another.
		f.set(func() { f.item.Expires = time.Now() })
		if _, _, err := r.Refresh(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "the value expired at") {
			t.Errorf("an expired value: %v", err)
		}
		f.set(func() { f.item.Expires = time.Now().Add(time.Minute) })
		time.Sleep(defaultFailureTTL)
		wantValue(t, r, ref, "v2")
		f.set(func() { f.err = ErrUnavailable })
		time.Sleep(2 * time.Minute)
		if _, err := r.Get(t.Context(), ref); !errors.Is(err, ErrUnavailable) {
			t.Errorf("unreachable after the end: %v, want ErrUnavailable", err)
		}
	})
}

// The closer to a fixed end, the shorter the refreshes: they must come to an end.
func TestResolverFixedEndIsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.item = Item{Expires: time.Now().Add(time.Minute)}
		wantValue(t, r, ref, "v1")
		for time.Now().Before(f.item.Expires.Add(-time.Millisecond)) {
			wantValue(t, r, ref, "v1")
			time.Sleep(time.Millisecond)
		}
		if got := f.count(); got > 5 { // after 0, 48, 57.6, 59.52 and 59.904 s
			t.Errorf("%d calls of the backend within one minute", got)
		}
	})
}

func TestResolverRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		if _, changed, err := r.Refresh(t.Context(), ref); err != nil || !changed {
			t.Errorf("the first: changed %t, %v; want true", changed, err)
		}
		if _, changed, err := r.Refresh(t.Context(), ref); err != nil || changed {
			t.Errorf("the same value: changed %t, %v; want false", changed, err)
		}
		if _, ok := r.Previous(ref); ok {
			t.Error("there is a previous value before anything changed")
		}
		f.set(func() { f.values["github"] = "v2" })
		item, changed, err := r.Refresh(t.Context(), ref)
		if err != nil || !changed || item.Value.Reveal() != "v2" {
			t.Errorf("another value: %q, changed %t, %v", item.Value.Reveal(), changed, err)
		}
		wantCalls(t, f, 3)
		if old, ok := r.Previous(ref); !ok || old.Value.Reveal() != "v1" {
			t.Errorf("Previous: %q, %t; want v1", old.Value.Reveal(), ok)
		}
		if n := len(r.Cached()); n != 2 {
			t.Errorf("Cached has %d values, want the current and the previous", n)
		}
		time.Sleep(previousGrace + time.Second)
		if _, ok := r.Previous(ref); ok {
			t.Error("the previous value outlived its grace")
		}
	})
}

func TestResolverNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		used := wantValue(t, r, ref, "v1").Value
		f.count()
		newer := func(than Secret, wantValue string, wantNewer bool) {
			t.Helper()
			item, ok, err := r.Newer(t.Context(), ref, than)
			if err != nil || ok != wantNewer || item.Value.Reveal() != wantValue {
				t.Errorf("Newer: %q, %t, %v; want %q, %t", item.Value.Reveal(), ok, err, wantValue, wantNewer)
			}
		}
		newer(used, "v1", false)
		wantCalls(t, f, 1)

		f.set(func() { f.values["github"] = "v2" })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { newer(used, "v2", true) })
		}
		wg.Wait()
		wantCalls(t, f, 1)
		newer(used, "v2", true) // a straggler that was refused with the old value
		wantCalls(t, f, 0)

		// A refresh that began before the change brings the old value: ask once more.
		f.set(func() { f.delay = time.Second })
		go func() { _, _, _ = r.Refresh(t.Context(), ref) }()
		synctest.Wait()
		current := r.Cached()[0].Value
		if current.Reveal() != "v2" {
			current = r.Cached()[1].Value
		}
		f.set(func() { f.values["github"] = "v3" })
		newer(current, "v3", true)
		wantCalls(t, f, 2)
	})
}

// Fifty clients, a key that changes every second, and an upstream that takes the newest
// one only: a request that is refused once is not refused twice.
func TestResolverRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.delay = 20 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		accepts := func(s Secret) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return s.Reveal() == f.values["github"]
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for ; ctx.Err() == nil; time.Sleep(7 * time.Millisecond) {
					item, err := r.Get(t.Context(), ref)
					if err == nil && accepts(item.Value) {
						continue
					}
					item, _, err = r.Newer(t.Context(), ref, item.Value)
					if err != nil || !accepts(item.Value) {
						t.Errorf("a request failed: %v", err)
						return
					}
				}
			})
		}
		for i := 2; ctx.Err() == nil; i++ {
			time.Sleep(time.Second + 3*time.Millisecond)
			f.set(func() { f.values["github"] = fmt.Sprintf("v%d", i) })
		}
		wg.Wait()
	})
}

func TestResolveAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.delay = 50 * time.Millisecond
		refs := []Ref{ref, ref, testRef(t, "keychain:absent")}
		for i := range 10 {
			name := fmt.Sprintf("n%d", i)
			f.values[name] = "v"
			refs = append(refs, testRef(t, "keychain:"+name))
		}
		start := time.Now()
		errs := r.ResolveAll(t.Context(), refs)
		if d := time.Since(start); d != 50*time.Millisecond { // the bubble's clock is exact
			t.Errorf("it took %s: not side by side", d)
		}
		if len(errs) != 1 || !errors.Is(errs["keychain:absent"], ErrNotFound) {
			t.Errorf("errors %v, want keychain:absent alone", errs)
		}
		wantCalls(t, f, 12)
	})
}

func TestResolverDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		held := wantValue(t, r, ref, "v1").Value
		f.set(func() { f.values["github"] = "v2" })
		r.Drop()
		if held.Reveal() != "v1" {
			t.Error("a request under way lost its value")
		}
		wantValue(t, r, ref, "v2")
		wantCalls(t, f, 2)

		// What was in flight when it was dropped is not kept.
		f.set(func() { f.delay = time.Second })
		go func() { _, _, _ = r.Refresh(t.Context(), ref) }()
		synctest.Wait()
		f.set(func() { f.values["github"], f.delay = "v3", 0 })
		r.Drop()
		wantValue(t, r, ref, "v3")
		time.Sleep(time.Minute) // it ends meanwhile
		wantValue(t, r, ref, "v3")
	})
}

func TestResolverClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		first := wantValue(t, r, ref, "v1").Value
		var item Item // the third value: the first is no longer in the cache
		for _, value := range []string{"v2", "v3"} {
			f.set(func() { f.values["github"] = value })
			var err error
			if item, _, err = r.Refresh(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		}
		f.set(func() { f.delay = time.Minute })
		waiting := make(chan error)
		go func() { _, _, err := r.Refresh(context.Background(), ref); waiting <- err }()
		synctest.Wait()

		r.Close()
		r.Close()
		if first.Len() != 0 || item.Value.Len() != 0 {
			t.Error("Close left values in memory")
		}
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("who was waiting got %v, want ErrClosed", err)
		}
		if _, err := r.Get(t.Context(), ref); !errors.Is(err, ErrClosed) {
			t.Errorf("Get after Close: %v, want ErrClosed", err)
		}
		if len(r.Cached()) != 0 {
			t.Error("Cached has values after Close")
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.closed {
			t.Error("the backend was not closed")
		}
	})
}

func TestResolverGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		g := r.Generation()
		moved := func(want bool, what string) {
			t.Helper()
			now := r.Generation()
			if (now != g) != want {
				t.Errorf("%s: generation moved %t, want %t", what, now != g, want)
			}
			g = now
		}
		wantValue(t, r, ref, "v1")
		moved(true, "a first value")
		wantValue(t, r, ref, "v1")
		_, _, _ = r.Refresh(t.Context(), ref)
		moved(false, "the same value")
		f.set(func() { f.values["github"] = "v2" })
		_, _, _ = r.Refresh(t.Context(), ref)
		moved(true, "another value")
		r.Drop()
		moved(true, "none")
	})
}

// A backend that panics does not take the session with it, nor print what it holds.
func TestResolverCrash(t *testing.T) {
	r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
		"keychain": func() (Backend, error) { return crasher{}, nil },
		"file":     func() (Backend, error) { panic("sentinel") },
	}})
	defer r.Close()
	for _, s := range []string{"keychain:x", "file:x"} {
		if _, err := r.Get(t.Context(), testRef(t, s)); err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

type crasher struct{}

func (crasher) Get(context.Context, Ref) (Item, error) { panic("sentinel") }

var _ io.Closer = (*fake)(nil)

func BenchmarkResolverCached(b *testing.B) {
	f := &fake{values: map[string]string{"github": "v1"}}
	r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
		"keychain": func() (Backend, error) { return f, nil },
	}})
	defer r.Close()
	ref := testRef(b, "keychain:github")
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Get(ctx, ref); err != nil {
			b.Fatal(err)
		}
	}
}

// The warm path allocates nothing: a benchmark alone would only say so.
func TestResolverCachedAllocates(t *testing.T) {
	_, r, ref := newTest(t, ResolverConfig{})
	ctx := t.Context()
	if _, err := r.Get(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = r.Get(ctx, ref) }); n != 0 {
		t.Errorf("a cached Get allocates %v times", n)
	}
}

func TestResolverStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		one := func() Status {
			t.Helper()
			all := r.Statuses()
			if len(all) != 1 || all[0].Ref.String() != ref.String() {
				t.Fatalf("statuses %+v", all)
			}
			return all[0]
		}
		if all := r.Statuses(); len(all) != 0 {
			t.Errorf("before anybody asked: %+v", all)
		}
		began := time.Now()
		f.item = Item{Version: "lease-1", Expires: began.Add(time.Hour)}
		wantValue(t, r, ref, "v1")
		if s := one(); !s.Held || s.Stale || !s.Leased || !s.Fetched.Equal(began) || !s.Expires.Equal(began.Add(time.Hour)) {
			t.Errorf("held: %+v", s)
		}
		f.set(func() { f.err = ErrUnavailable })
		if _, _, err := r.Refresh(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if s := one(); !s.Held || !s.Stale || s.Note == "" || !s.Fetched.Equal(began) {
			t.Errorf("stale: %+v", s)
		}
		f.set(func() { f.err = ErrNotFound })
		_, _, _ = r.Refresh(t.Context(), ref)
		if s := one(); s.Held || s.Err == nil || strings.Contains(fmt.Sprintf("%+v", s), "v1") {
			t.Errorf("gone: %+v", s)
		}
		if n := f.count(); n != 3 {
			t.Errorf("%d calls of the backend: looking asks", n)
		}
	})
}
