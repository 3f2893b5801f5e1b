package keyring

import (
	"testing"
	"testing/synctest"
)

// Of many who miss a value at once, whoever comes when it is there has it from the cache: it is
// not asked for again, and what is read once a session is not taken for expired.
func TestJoinSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, _ := newTest(t, ResolverConfig{})
		ref := testRef(t, "env:github")
		e := r.entry(ref)
		missed := e.state.Load()
		wantValue(t, r, ref, "v1")
		wantCalls(t, f, 1)
		for _, forced := range []bool{false, true} {
			if fl, _ := r.joinSince(e, missed, forced); fl != nil {
				t.Errorf("asked again, forced %t", forced)
			}
		}
		if fl, joined := r.joinSince(e, e.state.Load(), true); fl == nil || joined {
			t.Errorf("what has not changed since is not asked for: %v, joined %t", fl, joined)
		}
		synctest.Wait()
		wantCalls(t, f, 1)
	})
}
