package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// lease is what an engine issued for this session.
type lease struct {
	path      string
	id        string // empty: nothing to renew or to revoke
	data      map[string]any
	token     *token // whose end is the lease's end as well
	renewable bool

	leasing.Life           // guarded by the backend's mu
	checked      time.Time // when the server last vouched for it; likewise
}

// readLease gets a field of a lease of this session, which it takes where there is none.
func (b *Backend) readLease(ctx context.Context, t *token, ref keyring.Ref) (keyring.Item, error) {
	l, err := b.takes.Do(ctx, b.ctx, ref.Name, func(ctx context.Context) (*lease, error) {
		if l := b.held(t, ref.Name); l != nil && b.good(ctx, l) {
			return l, nil
		}
		return b.take(ctx, t, ref.Name)
	})
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := pick(l.data, ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	item.Version, item.Expires = l.id, l.Until
	if l.id != "" {
		item.Lease = cmp.Or(b.command(l.id), "revoke the lease of "+l.path)
	}
	if end := l.token.Until; l.id != "" && !end.IsZero() && (item.Expires.IsZero() || end.Before(item.Expires)) {
		item.Expires = end
	}
	return item, nil
}

// held returns the newest lease for path, if it was taken with t: with another token, it ends
// when that does.
func (b *Backend) held(t *token, path string) *lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range slices.Backward(b.leases) {
		if l.path == path {
			if l.token != t {
				return nil
			}
			return l
		}
	}
	return nil
}

// good asks whether l is still there and will be for a while: the resolver asks again after a credential was
// refused, and an operator may have revoked it. In doubt it is.
func (b *Backend) good(ctx context.Context, l *lease) bool {
	b.mu.Lock()
	ending, fresh := l.Ending(), time.Since(l.checked) < leasing.Together
	b.mu.Unlock()
	if ending || fresh {
		return !ending
	}
	var err error
	if l.renewable {
		err = b.renew(ctx, l)
	} else if _, err = b.as(l.token.value).WriteWithContext(ctx, "sys/leases/lookup", map[string]any{"lease_id": l.id}); err != nil {
		err = explain(ctx, err, l.token.value)
	}
	if errors.Is(err, errRequest) || errors.Is(err, keyring.ErrNotFound) {
		b.forget(l)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		l.checked = time.Now()
	}
	return !l.Ending()
}

// take asks the engine for a new lease.
func (b *Backend) take(ctx context.Context, t *token, path string) (*lease, error) {
	if _, err := b.usable(nil); err != nil { // Release waits for what began before it
		return nil, err
	}
	s, err := b.as(t.value).ReadWithContext(ctx, path)
	switch {
	case err != nil:
		return nil, explain(ctx, err, t.value)
	case versioned(s):
		return nil, errVersioned
	case s == nil || len(s.Data) == 0:
		return nil, keyring.ErrNotFound
	}
	l := &lease{path: path, id: s.LeaseID, data: s.Data, token: t, renewable: s.Renewable}
	if l.id == "" { // its lease_duration is advice only
		return l, nil
	}
	l.Life, l.checked = leasing.NewLife(seconds(s.LeaseDuration)), time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = append(slices.DeleteFunc(b.leases, func(o *lease) bool { return o.Over() }), l)
	if l.renewable && !b.released {
		b.tasks.Go(func() {
			b.keep(&l.Life, func(ctx context.Context) (time.Duration, error) { return b.renewLease(ctx, l) })
		})
	}
	return l, nil
}

func (b *Backend) forget(l *lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = slices.DeleteFunc(b.leases, func(o *lease) bool { return o == l })
}

// renew prolongs l by what it was first given.
func (b *Backend) renew(ctx context.Context, l *lease) error {
	left, err := b.renewLease(ctx, l)
	if err == nil {
		b.extend(&l.Life, left)
	}
	return err
}

func (b *Backend) renewLease(ctx context.Context, l *lease) (time.Duration, error) {
	s, err := b.as(l.token.value).WriteWithContext(ctx, "sys/leases/renew",
		map[string]any{"lease_id": l.id, "increment": int(l.Given / time.Second)})
	if err != nil {
		return 0, explain(ctx, err, l.token.value)
	}
	if s == nil {
		return 0, errRequest
	}
	return seconds(s.LeaseDuration), nil
}

// extend notes a new end; what it was first given for stays the measure.
func (b *Backend) extend(l *leasing.Life, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.Until = time.Now().Add(left)
}

// keep renews l until the backend is released.
func (b *Backend) keep(l *leasing.Life, renew func(context.Context) (time.Duration, error)) {
	leasing.Keep(b.ctx, func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return l.Until
	}, func(ctx context.Context) error {
		left, err := renew(ctx)
		if err == nil {
			b.extend(l, left)
		}
		return err
	})
}

// giveBack revokes every lease and then every token of ours, which takes with it what was
// leased with it. It returns what is left.
func (b *Backend) giveBack(ctx context.Context) []keyring.Leftover {
	b.mu.Lock()
	leases, tokens := slices.Clone(b.leases), slices.Clone(b.tokens)
	b.mu.Unlock()
	if len(leases) == 0 && len(tokens) == 0 {
		return nil
	}
	errs := make([]error, len(leases))
	var wg sync.WaitGroup
	for i, l := range leases {
		wg.Go(func() {
			errs[i] = b.revoke(ctx, l.token, "sys/leases/revoke", map[string]any{"lease_id": l.id, "sync": true})
		})
	}
	wg.Wait()
	gone := make([]bool, len(tokens))
	for i, t := range tokens {
		wg.Go(func() { gone[i] = b.revoke(ctx, t, "auth/token/revoke-self", map[string]any{}) == nil })
	}
	wg.Wait()

	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases, b.tokens = nil, nil
	var left []keyring.Leftover
	for i, l := range leases {
		parent := slices.Index(tokens, l.token)
		if errs[i] == nil || l.Over() || parent >= 0 && gone[parent] {
			l.data = nil
			continue
		}
		b.leases = append(b.leases, l)
		left = append(left, keyring.Leftover{Ref: "vault:" + l.path, Until: l.Until, Err: errs[i], Command: b.command(l.id)})
	}
	for i, t := range tokens {
		if !gone[i] { // a token that nobody renews ends by itself, and holds no more than the leases above
			b.tokens = append(b.tokens, t)
		}
	}
	return left
}

func (b *Backend) revoke(ctx context.Context, t *token, path string, body map[string]any) error {
	_, err := b.as(t.value).WriteWithContext(ctx, path, body)
	if err == nil {
		return nil
	}
	err = explain(ctx, err, t.value)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", keyring.ErrUnavailable)
	}
	return err
}

// command is what a human types to revoke a lease. The id came from the server: what a shell
// would not take as it is, is not shown.
func (b *Backend) command(id string) string {
	words := []string{"vault", "lease", "revoke", "-address=" + b.server}
	if ns := b.namespace(); ns != "" {
		words = append(words, "-namespace="+ns)
	}
	words = append(words, id)
	for _, w := range words {
		if strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:=[]") != "" {
			return ""
		}
	}
	return strings.Join(words, " ")
}
