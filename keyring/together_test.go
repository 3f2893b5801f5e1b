package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pairs issues fields that belong together; each call of rotate makes a new issue.
type pairs struct {
	issue    atomic.Int64
	restless bool // a new issue with every get
	left     []Leftover
	released atomic.Int64
}

func (p *pairs) Get(_ context.Context, ref Ref) (Item, error) {
	if p.restless {
		p.issue.Add(1)
	}
	n := fmt.Sprint(p.issue.Load())
	return Item{Value: NewSecret([]byte(ref.Name + ref.Field + n)), Version: n}, nil
}

func (p *pairs) Release(context.Context) []Leftover { p.released.Add(1); return p.left }

func newPairs(t *testing.T, p *pairs) *Resolver {
	r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
		"vault": func() (Backend, error) { return p, nil },
		"aws":   func() (Backend, error) { t.Error("opened a backend that no ref names"); return p, nil },
		"env":   func() (Backend, error) { return &fake{values: map[string]string{"X": "x"}}, nil },
	}})
	t.Cleanup(r.Close)
	return r
}

func TestGetTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pairs)
		r := newPairs(t, p)
		id, key := testRef(t, "vault:aws/creds/a#id"), testRef(t, "vault:aws/creds/a#key")
		another, plain := testRef(t, "vault:aws/creds/b#id"), testRef(t, "env:X")
		want := func(values ...string) {
			t.Helper()
			items, err := r.GetTogether(t.Context(), id, key, another, plain)
			var got []string
			for _, item := range items {
				got = append(got, item.Value.Reveal())
			}
			if err != nil || !slices.Equal(got, values) {
				t.Errorf("GetTogether: %q, %v; want %q", got, err, values)
			}
		}
		want("aws/creds/aid0", "aws/creds/akey0", "aws/creds/bid0", "x")
		p.issue.Store(1)
		if _, _, err := r.Refresh(t.Context(), key); err != nil { // one field moves on, as after its TTL
			t.Fatal(err)
		}
		want("aws/creds/aid1", "aws/creds/akey1", "aws/creds/bid0", "x")

		p.restless = true
		r.Drop()
		if _, err := r.GetTogether(t.Context(), id, key); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "change faster") {
			t.Errorf("a secret that never rests: %v", err)
		}
		if _, err := r.GetTogether(t.Context(), id, testRef(t, "env:ABSENT")); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
}

func TestRelease(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	p := &pairs{left: []Leftover{
		{Ref: "vault:b", Err: ErrUnavailable},
		{Ref: "vault:a", Until: end, Command: "vault lease revoke a/1", Err: ErrDenied},
	}}
	r := newPairs(t, p)
	if left := r.Release(t.Context()); len(left) != 0 || p.released.Load() != 0 {
		t.Errorf("before anything was opened: %v", left)
	}
	if errs := r.ResolveAll(t.Context(), []Ref{testRef(t, "vault:a/b#c"), testRef(t, "env:X")}); len(errs) != 0 {
		t.Fatal(errs)
	}
	left := r.Release(t.Context())
	if len(left) != 2 || left[0].Error() != "vault:a: still valid, until 2026-03-04T05:06:07Z: access denied" ||
		left[0].Hint() != "to revoke it: vault lease revoke a/1" || left[1].Error() != "vault:b: still valid: backend unavailable" {
		t.Errorf("left: %v", left)
	}
	if !errors.Is(left[0], ErrDenied) || left[1].Hint() == "" {
		t.Errorf("left: %v, %q", left[0], left[1].Hint())
	}
}

// Start of a session: ten secrets at a backend 50 ms away are there after 50 ms.
func TestTenSecretsTakeOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, _ := newTest(t, ResolverConfig{})
		f.delay = 50 * time.Millisecond
		refs := tenRefs(t, f)
		start := time.Now()
		if errs := r.ResolveAll(t.Context(), refs); len(errs) != 0 {
			t.Fatal(errs)
		}
		if d := time.Since(start); d >= 80*time.Millisecond { // the bubble's clock is exact
			t.Errorf("it took %s", d)
		}
	})
}

func tenRefs(t testing.TB, f *fake) []Ref {
	var refs []Ref
	for i := range 10 {
		name := fmt.Sprintf("n%d", i)
		f.values[name] = "v"
		refs = append(refs, testRef(t, "keychain:"+name))
	}
	return refs
}

// BenchmarkSessionStart is the same in real time, and says how much of it is ours.
func BenchmarkSessionStart(b *testing.B) {
	const latency = 50 * time.Millisecond
	f := &fake{values: map[string]string{}, delay: latency}
	refs := tenRefs(b, f)
	for b.Loop() {
		r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){
			"keychain": func() (Backend, error) { return f, nil },
		}})
		if errs := r.ResolveAll(b.Context(), refs); len(errs) != 0 {
			b.Fatal(errs)
		}
		r.Close()
	}
	per := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(per.Microseconds())/1000, "ms/start")
	b.ReportMetric(float64((per - latency).Microseconds()), "µs-ours/start")
}
