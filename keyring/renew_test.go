package keyring

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, ref := newTest(t, ResolverConfig{})
		f.values["HOME"], f.values["other"] = "h1", "o1"
		env, other := testRef(t, "env:HOME"), testRef(t, "keychain:other")
		wantValue(t, r, ref, "v1")
		wantValue(t, r, env, "h1")
		wantValue(t, r, other, "o1")
		f.count()
		f.set(func() { f.values["github"], f.values["HOME"] = "v2", "h2" })
		got := r.Renew(t.Context())
		if len(got) != 3 || !got[0].Kept || !got[1].Changed || got[2].Changed || got[1].Ref.String() != ref.String() {
			t.Errorf("%+v", got)
		}
		wantCalls(t, f, 2)
		wantValue(t, r, ref, "v2")
		wantValue(t, r, env, "h1")
		if old, ok := r.Previous(ref); !ok || old.Value.Reveal() != "v1" {
			t.Error("the value before was forgotten")
		}

		// What began before is not an answer.
		f.set(func() { f.delay = time.Second })
		go func() { _, _, _ = r.Refresh(t.Context(), ref) }()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		f.set(func() { f.values["github"] = "v3" })
		if got := r.Renew(t.Context()); !got[1].Changed {
			t.Errorf("%+v", got)
		}
		wantValue(t, r, ref, "v3")

		f.set(func() { f.delay, f.err = 0, ErrUnavailable })
		if got := r.Renew(t.Context()); !got[1].Stale || got[1].Note == "" || got[1].Err != nil {
			t.Errorf("out of reach: %+v", got)
		}
		f.set(func() { f.err = ErrDenied })
		if got := r.Renew(t.Context()); !errors.Is(got[1].Err, ErrDenied) {
			t.Errorf("denied: %+v", got)
		}
	})
}

// A value that is read once is served to its end and not a moment longer, and nothing asks
// for it again.
func TestReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, _ := newTest(t, ResolverConfig{})
		ref := testRef(t, "env:github")
		f.item = Item{Expires: time.Now().Add(time.Hour)}
		used := wantValue(t, r, ref, "v1").Value
		f.set(func() { f.values["github"] = "v2" })
		for range 59 {
			time.Sleep(time.Minute)
			wantValue(t, r, ref, "v1")
		}
		if item, newer, err := r.Newer(t.Context(), ref, used); err != nil || newer || item.Value.Reveal() != "v1" {
			t.Errorf("Newer: %t, %v", newer, err)
		}
		if _, changed, err := r.Refresh(t.Context(), ref); err != nil || changed {
			t.Errorf("Refresh: %t, %v", changed, err)
		}
		time.Sleep(2 * time.Minute)
		_, err := r.Get(t.Context(), ref)
		var h interface{ Hint() string }
		if err == nil || !errors.As(err, &h) {
			t.Errorf("after its end: %v", err)
		}
		wantCalls(t, f, 1)
	})
}

// What becomes of a secret beside the requests is told, once.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Happening
		f, r, ref := newTest(t, ResolverConfig{Notify: func(c Change) { told = append(told, c.What) }})
		want := func(what ...Happening) {
			t.Helper()
			_, _, _ = r.Refresh(t.Context(), ref)
			synctest.Wait()
			if len(told) != len(what) || len(what) > 0 && told[0] != what[0] {
				t.Errorf("told %q, want %q", told, what)
			}
			told = nil
		}
		want()
		want()
		f.set(func() { f.values["github"] = "v2" })
		want(Rotated)
		f.set(func() { f.err = ErrUnavailable })
		want(Stale)
		want()
		f.set(func() { f.err = nil })
		want(Reachable)
		f.set(func() { f.err = ErrDenied })
		want()
	})
}
