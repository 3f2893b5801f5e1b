package vault

import (
	"context"
	"errors"
	"sync"
	"time"
)

// callTime bounds a call that several gets wait for. Making a database user or an IAM user
// takes seconds; the resolver stops waiting earlier, and finds the result at its next try.
const callTime = 30 * time.Second

// errClosed is what a released backend answers.
var errClosed = errors.New("the session's leases were given back")

// flights shares one call per key among those who ask for it while it is under way, and its
// failure as well: ten refs and a wrong credential are one sign-in, not ten. A call belongs
// to the backend and not to who began it, so that what it took is never lost.
type flights[T any] struct {
	mu     sync.Mutex
	flying map[string]*flight[T]
}

type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// do waits for the call under way, or makes it; call is given a context that ends with
// session.
func (f *flights[T]) do(ctx, session context.Context, key string, call func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	if f.flying == nil {
		f.flying = map[string]*flight[T]{}
	}
	c := f.flying[key]
	if c == nil {
		c = &flight[T]{done: make(chan struct{})}
		f.flying[key] = c
		go func() {
			ctx, cancel := context.WithTimeout(session, callTime)
			defer cancel()
			c.value, c.err = call(ctx)
			f.mu.Lock()
			delete(f.flying, key)
			f.mu.Unlock()
			close(c.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// wait returns when nothing is under way, or ctx has ended.
func (f *flights[T]) wait(ctx context.Context) {
	for {
		f.mu.Lock()
		var one *flight[T]
		for _, c := range f.flying {
			one = c
		}
		f.mu.Unlock()
		if one == nil {
			return
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return
		}
	}
}
