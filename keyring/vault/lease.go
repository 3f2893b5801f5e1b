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

// of is what we have to know of a lease.
type of struct {
	path  string
	token *token // whose end is the lease's end as well
}

type lease = leasing.Lease[of]

// newLeases returns the leases of a session, of which there are none yet.
func (b *Backend) newLeases() *leasing.Set[of] {
	return leasing.NewSet(b.ctx, leasing.Server[of]{
		Renew: b.renewLease,
		Vouch: func(ctx context.Context, l *lease) error {
			return b.call(ctx, l.Of.token, "sys/leases/lookup", map[string]any{"lease_id": l.ID})
		},
		Gone: func(err error) bool { return errors.Is(err, errRequest) || errors.Is(err, keyring.ErrNotFound) },
		Revoke: func(ctx context.Context, l *lease) error {
			return b.revoke(ctx, l.Of.token, "sys/leases/revoke", map[string]any{"lease_id": l.ID, "sync": true})
		},
	})
}

// readLease gets a field of a lease of this session, which it takes where there is none. One
// that was taken with another token ends when that does.
func (b *Backend) readLease(ctx context.Context, t *token, ref keyring.Ref) (keyring.Item, error) {
	l, err := b.leases.Get(ctx, ref.Name, func(l *lease) bool { return l.Of.token == t }, func(ctx context.Context) (*lease, error) {
		return b.take(ctx, t, ref.Name)
	})
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := l.Fields.Pick(ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	item.Version, item.Expires = l.ID, b.leases.Until(l)
	if l.ID == "" {
		return item, nil
	}
	item.Lease = cmp.Or(b.command(l.ID), "revoke the lease of "+l.Of.path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if end := l.Of.token.Until; !end.IsZero() && (item.Expires.IsZero() || end.Before(item.Expires)) {
		item.Expires = end
	}
	return item, nil
}

// take asks the engine for a new lease.
func (b *Backend) take(ctx context.Context, t *token, path string) (*lease, error) {
	s, err := b.as(t.value).ReadWithContext(ctx, path)
	switch {
	case err != nil:
		return nil, explain(ctx, err, t.value)
	case versioned(s):
		return nil, errVersioned
	case s == nil || len(s.Data) == 0:
		return nil, keyring.ErrNotFound
	}
	l := &lease{Of: of{path, t}, ID: s.LeaseID, Fields: leasing.NewFields(s.Data), Renewable: s.Renewable}
	if l.ID != "" { // otherwise its lease_duration is advice only
		l.Given = seconds(s.LeaseDuration)
	}
	return l, nil
}

// renewLease prolongs l by what it was first given.
func (b *Backend) renewLease(ctx context.Context, l *lease) (time.Time, error) {
	s, err := b.as(l.Of.token.value).WriteWithContext(ctx, "sys/leases/renew",
		map[string]any{"lease_id": l.ID, "increment": int(l.Given / time.Second)})
	if err != nil {
		return time.Time{}, explain(ctx, err, l.Of.token.value)
	}
	if s == nil {
		return time.Time{}, errRequest
	}
	return time.Now().Add(seconds(s.LeaseDuration)), nil
}

// keep renews what a token has left until the backend is released.
func (b *Backend) keep(t *token) {
	leasing.Keep(b.ctx, func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return t.Until
	}, func(ctx context.Context) error {
		left, err := b.renewToken(ctx, t)
		if err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Until = time.Now().Add(left) // what it was first given for stays the measure
		}
		return err
	})
}

// giveBack revokes every lease and then every token of ours, which takes with it what was
// leased with it. It returns what is left.
func (b *Backend) giveBack(ctx context.Context) (left []keyring.Leftover) {
	leases := b.leases.Revoke(ctx)
	b.mu.Lock()
	tokens := slices.Clone(b.tokens)
	b.mu.Unlock()
	gone := make([]bool, len(tokens))
	var wg sync.WaitGroup
	for i, t := range tokens {
		wg.Go(func() { gone[i] = b.revoke(ctx, t, "auth/token/revoke-self", map[string]any{}) == nil })
	}
	wg.Wait()
	for _, l := range leases {
		if i := slices.Index(tokens, l.Lease.Of.token); i >= 0 && gone[i] {
			b.leases.Forget(l.Lease)
			continue
		}
		left = append(left, keyring.Leftover{Ref: "vault:" + l.Lease.Of.path, Until: l.Until, Err: l.Err, Command: b.command(l.Lease.ID)})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = nil
	for i, t := range tokens {
		if !gone[i] { // a token that nobody renews ends by itself, and holds no more than the leases above
			b.tokens = append(b.tokens, t)
		}
	}
	return left
}

func (b *Backend) call(ctx context.Context, t *token, path string, body map[string]any) error {
	if _, err := b.as(t.value).WriteWithContext(ctx, path, body); err != nil {
		return explain(ctx, err, t.value)
	}
	return nil
}

func (b *Backend) revoke(ctx context.Context, t *token, path string, body map[string]any) error {
	err := b.call(ctx, t, path, body)
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
