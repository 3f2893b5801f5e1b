package keyring

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// provider takes some of the values of a secret, as an API would.
type provider struct {
	mu    sync.Mutex
	takes []string
	hits  []string
}

func (p *provider) set(values ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takes = values
}

func (p *provider) take(a *Attempts) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := a.Item().Value.Reveal()
	for _, item := range a.Rest() {
		text += "+" + item.Value.Reveal()
	}
	p.hits = append(p.hits, text)
	return slices.Contains(p.takes, text)
}

// send is one request that can be repeated: what the upstream saw, and whether it took the last.
func (p *provider) send(t *testing.T, r *Resolver, forbidden bool, refs ...Ref) (hits []string, ok bool, a Attempts) {
	t.Helper()
	p.hits = nil
	a, err := r.Begin(t.Context(), refs, true)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if p.take(&a) {
			a.Accepted()
			return p.hits, true, a
		}
		if !a.Refused(t.Context(), forbidden) {
			return p.hits, false, a
		}
	}
}

func (p *provider) want(t *testing.T, r *Resolver, ref Ref, ok bool, hits ...string) Attempts {
	t.Helper()
	got, taken, a := p.send(t, r, false, ref)
	if taken != ok || !slices.Equal(got, hits) {
		t.Errorf("hits %q, taken %t; want %q, %t", got, taken, hits, ok)
	}
	return a
}

// The new value is refused while the old one works: that one serves, without a refusal for
// every request, until the new one works.
func TestPropagationLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		p.set("v1")
		p.want(t, r, ref, true, "v1")
		f.set(func() { f.values["github"] = "v2" })
		if _, _, err := r.Refresh(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if a := p.want(t, r, ref, true, "v2", "v1"); !a.Previous() || !a.Rotated() {
			t.Error("it does not say that the previous value serves")
		}
		for range 3 {
			if a := p.want(t, r, ref, true, "v1"); !a.Previous() || a.Rotated() {
				t.Error("it does not say that the previous value serves")
			}
		}
		if item := wantValue(t, r, ref, "v1"); !item.Previous {
			t.Error("Get does not say that the value is the previous one")
		}
		// Now and then one request tries the new one.
		time.Sleep(probeEvery)
		p.want(t, r, ref, true, "v2", "v1")
		p.want(t, r, ref, true, "v1")
		if a, err := r.Begin(t.Context(), []Ref{ref}, false); err != nil || a.Item().Value.Reveal() != "v1" {
			t.Errorf("one that cannot be repeated gets %q, %v", a.Item().Value.Reveal(), err)
		}
		time.Sleep(probeEvery)
		p.set("v2", "v1")
		p.want(t, r, ref, true, "v2")
		if a := p.want(t, r, ref, true, "v2"); a.Previous() {
			t.Error("the new value works, and the previous one serves")
		}
		// A new value that the provider has long known is not doubted.
		p.set()
		p.want(t, r, ref, false, "v2", "v1")
		got, _, _ := p.send(t, r, true, ref)
		if !slices.Equal(got, []string{"v2"}) {
			t.Errorf("forbidden: hits %q, want one", got)
		}
	})
}

// The old value ends while it serves: the request goes out with the new one.
func TestPropagationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		p.set("v1")
		p.want(t, r, ref, true, "v1")
		f.set(func() { f.values["github"] = "v2" })
		_, _, _ = r.Refresh(t.Context(), ref)
		p.want(t, r, ref, true, "v2", "v1")
		p.set("v2")
		p.want(t, r, ref, true, "v1", "v2")
		p.want(t, r, ref, true, "v2")

		// A third value that comes while the first serves does not take its place as the
		// one that works.
		f.set(func() { f.values["github"] = "v3" })
		_, _, _ = r.Refresh(t.Context(), ref)
		p.want(t, r, ref, true, "v3", "v2")
		f.set(func() { f.values["github"] = "v4" })
		_, _, _ = r.Refresh(t.Context(), ref)
		p.want(t, r, ref, true, "v2")

		// Ten minutes after it was replaced it is over.
		p.set("v2")
		time.Sleep(previousGrace + time.Second)
		p.want(t, r, ref, false, "v4")
	})
}

// A provider that changes over between the two tries of one request.
func TestPropagationInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		p.set("v1")
		p.want(t, r, ref, true, "v1")
		f.set(func() { f.values["github"] = "v2" })
		_, _, _ = r.Refresh(t.Context(), ref)
		p.want(t, r, ref, true, "v2", "v1")
		time.Sleep(probeEvery)
		a, err := r.Begin(t.Context(), []Ref{ref}, true)
		if err != nil || a.Item().Value.Reveal() != "v2" || !a.Refused(t.Context(), false) || a.Item().Value.Reveal() != "v1" {
			t.Fatalf("tries %q, %v", a.Item().Value.Reveal(), err)
		}
		p.set("v2")
		if !a.Refused(t.Context(), false) || a.Item().Value.Reveal() != "v2" || a.Previous() {
			t.Errorf("after both: %q", a.Item().Value.Reveal())
		}
		if a.Refused(t.Context(), false) {
			t.Error("a fourth hit")
		}
	})
}

// A previous value that is refused as often as this is forgotten.
func TestPreviousIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		wantValue(t, r, ref, "v1")
		f.set(func() { f.values["github"] = "v2" })
		_, _, _ = r.Refresh(t.Context(), ref)
		for range maxMisses {
			p.want(t, r, ref, false, "v2", "v1")
		}
		p.want(t, r, ref, false, "v2")
		if len(r.Cached()) != 1 {
			t.Errorf("%d values are kept", len(r.Cached()))
		}
	})
}

// An agent that repeats a refused call as fast as it can: few calls of the backend, no
// second hit, and a new value is noticed all the same.
func TestRefusedInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		wantValue(t, r, ref, "v1")
		f.count()
		minute := func() (calls int) {
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				p.want(t, r, ref, false, "v1")
			}
			return f.count()
		}
		if n := minute(); n < 8 || n > 12 {
			t.Errorf("%d calls of the backend in the first minute, want about 11", n)
		}
		if n := minute(); n < 5 || n > 7 {
			t.Errorf("%d calls of the backend in the second minute, want about 6", n)
		}
		f.set(func() { f.values["github"] = "v2" })
		p.set("v2")
		start := time.Now()
		for {
			if _, ok, _ := p.send(t, r, false, ref); ok {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if d := time.Since(start); d > maxRefusalPause {
			t.Errorf("a new value was noticed after %s", d)
		}
	})
}

// Calls that are taken and refused in turn, as by an API that forbids one thing: the
// backend is asked four times a second at most, and a new value costs no request.
func TestRefusedAndTakenInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		p := new(provider)
		wantValue(t, r, ref, "v1")
		f.count()
		for i := 0; i < 400; i++ { // ten seconds and more
			p.set("v1")
			p.want(t, r, ref, true, "v1")
			p.set()
			p.want(t, r, ref, false, "v1")
			time.Sleep(25 * time.Millisecond)
		}
		if n := f.count(); n > 400 {
			t.Errorf("%d calls of the backend for 400 refusals", n)
		}
		p.set("v1")
		p.want(t, r, ref, true, "v1")
		p.set()
		p.want(t, r, ref, false, "v1")
		f.set(func() { f.values["github"] = "v2" })
		p.set("v2")
		p.want(t, r, ref, true, "v1", "v2")
	})
}

// Fields of one secret are tried as one set, and so are two secrets that are merely used
// together.
func TestAttemptsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issues, p := new(pairs), new(provider)
		r := newPairs(t, issues)
		refs := []Ref{testRef(t, "vault:aws/creds/a#key"), testRef(t, "vault:aws/creds/a#id")}
		set := func(n int) string { return fmt.Sprintf("aws/creds/akey%d+aws/creds/aid%d", n, n) }
		want := func(ok bool, hits ...string) {
			t.Helper()
			got, taken, _ := p.send(t, r, false, refs...)
			if taken != ok || !slices.Equal(got, hits) {
				t.Errorf("hits %q, taken %t; want %q, %t", got, taken, hits, ok)
			}
		}
		p.set(set(0))
		want(true, set(0))
		issues.issue.Store(1)
		p.set(set(1))
		want(true, set(0), set(1))
		issues.issue.Store(2)
		_, _, _ = r.Refresh(t.Context(), refs[0]) // one of them is refreshed ahead
		want(true, set(2), set(1))
		want(true, set(1))
		p.set(set(2))
		want(true, set(1), set(2))
		want(true, set(2))
	})
}

// The hot path of a request with one secret allocates nothing.
func TestBeginAllocates(t *testing.T) {
	_, r, ref := newTest(t, ResolverConfig{})
	ctx, refs := context.Background(), []Ref{ref}
	once := func() {
		a, err := r.Begin(ctx, refs, true)
		if err != nil {
			t.Fatal(err)
		}
		a.Accepted()
	}
	once()
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Errorf("a request allocates %v times", n)
	}
}

func BenchmarkBegin(b *testing.B) {
	f := &fake{values: map[string]string{"github": "v1"}}
	r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
		"keychain": func() (Backend, error) { return f, nil },
	}})
	defer r.Close()
	ctx, refs := b.Context(), []Ref{testRef(b, "keychain:github")}
	b.ReportAllocs()
	for b.Loop() {
		a, err := r.Begin(ctx, refs, true)
		if err != nil {
			b.Fatal(err)
		}
		a.Accepted()
	}
}
