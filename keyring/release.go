package keyring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Releaser is a Backend that takes things for a session, such as leased credentials, and
// gives them back. Release ends with ctx; after it the backend takes nothing more, and what
// it gave out is no longer good. It returns what could not be given back, and may be called
// again to try that once more.
type Releaser interface {
	Release(ctx context.Context) []Leftover
}

// Leftover is something that was taken for the session and could not be given back. It is an
// error whose hint says what a human can do.
type Leftover struct {
	// Ref is what it was taken for, without a field: vault:aws/creds/agent.
	Ref string
	// Until is when it ends by itself; zero where nobody knows.
	Until time.Time
	// Command gives it back by hand; empty where there is none.
	Command string
	// Err says why we could not.
	Err error
}

// Error implements error.
func (l Leftover) Error() string {
	if l.Until.IsZero() {
		return fmt.Sprintf("%s: still valid: %v", l.Ref, l.Err)
	}
	return fmt.Sprintf("%s: still valid, until %s: %v", l.Ref, l.Until.Format(time.RFC3339), l.Err)
}

// Unwrap returns the reason.
func (l Leftover) Unwrap() error { return l.Err }

// Hint says how to give it back by hand.
func (l Leftover) Hint() string {
	if l.Command == "" {
		return "revoke it where it was issued"
	}
	return "to revoke it: " + l.Command
}

// Release gives back what the backends have leased, side by side, and returns what could
// not be, sorted by ref. It is called once no request needs a secret any more, and before
// Close, which tries the same in a shorter time and tells nobody.
func (r *Resolver) Release(ctx context.Context) []Leftover {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		left []Leftover
	)
	for _, b := range r.opened() {
		releaser, ok := b.(Releaser)
		if !ok {
			continue
		}
		wg.Go(func() {
			l := releaser.Release(ctx)
			mu.Lock()
			defer mu.Unlock()
			left = append(left, l...)
		})
	}
	wg.Wait()
	slices.SortFunc(left, func(a, b Leftover) int { return cmp.Compare(a.Ref, b.Ref) })
	return left
}

// opened returns the backends that are open. One that is still opening has leased nothing.
func (r *Resolver) opened() []Backend {
	var all []Backend
	for _, o := range r.backends {
		select {
		case o.gate <- struct{}{}:
			if o.backend != nil {
				all = append(all, o.backend)
			}
			<-o.gate
		default:
		}
	}
	return all
}
