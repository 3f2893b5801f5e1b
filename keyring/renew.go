package keyring

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Renewal is what Renew did to one secret.
type Renewal struct {
	Ref     Ref
	Changed bool  // there is another value now
	Kept    bool  // it is read once a session, and was left alone
	Stale   bool  // its backend is out of reach: the old value serves, see Item.Note
	Err     error // the backend has no value for us, and the old one does not serve any more
	Note    string
}

// Renew asks the backends anew for every secret that the session has, side by side, and
// believes the answers, like Refresh; a value that is replaced is remembered all the same.
// The answer is sorted by ref.
func (r *Resolver) Renew(ctx context.Context) []Renewal {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		done []Renewal
	)
	for _, e := range *r.entries.Load() {
		if e.state.Load() == nil {
			continue
		}
		wg.Go(func() {
			renewed := r.renew(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			done = append(done, renewed)
		})
	}
	wg.Wait()
	slices.SortFunc(done, func(a, b Renewal) int { return cmp.Compare(a.Ref.String(), b.Ref.String()) })
	return done
}

func (r *Resolver) renew(ctx context.Context, e *entry) Renewal {
	if r.once(e.ref) {
		return Renewal{Ref: e.ref, Kept: true}
	}
	var before Secret
	if s := e.state.Load(); s != nil {
		before = s.item.Value
	}
	for range 2 { // a call that was under way may have read the value before it was changed
		fl, joined := r.join(e, true)
		item, _, err := fl.wait(ctx, e.ref)
		if err != nil {
			return Renewal{Ref: e.ref, Err: err}
		}
		if !joined || fl.forced {
			e.mu.Lock()
			e.asked, e.pause = time.Time{}, 0 // the human says that there is news: the next refusal asks again
			e.mu.Unlock()
			return Renewal{Ref: e.ref, Changed: !item.Value.Equal(before), Stale: item.Stale, Note: item.Note}
		}
	}
	return Renewal{Ref: e.ref, Err: ctx.Err()}
}
