package infisical

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/infisical/go-sdk"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// lease is what a dynamic secret issued for this session.
type lease struct {
	dynamic
	id   string
	data map[string]any

	leasing.Life           // guarded by the backend's mu
	checked      time.Time // when the server last vouched for it; likewise
}

// dynamic is a dynamic secret.
type dynamic struct {
	place
	name, ttl string
}

// ref is how a human names it, without a field.
func (d dynamic) ref() string {
	return "infisical:" + d.name + "?" + url.Values{"project": {d.project}, "env": {d.env}, "path": {d.path}}.Encode()
}

// getDynamic gets a field of a lease of this session, which it takes where there is none.
func (b *Backend) getDynamic(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	d, err := b.dynamic(ref)
	if err != nil {
		return keyring.Item{}, err
	}
	l, err := b.takes.Do(ctx, b.ctx, fmt.Sprint(d), func(ctx context.Context) (*lease, error) {
		if l := b.held(d); l != nil && b.good(ctx, l) {
			return l, nil
		}
		return b.take(ctx, d)
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
	item.Lease = fmt.Sprintf("delete the lease %s of %s in the project %s, environment %s, folder %s", l.id, l.name, l.project, l.env, l.path)
	return item, nil
}

// dynamic reads a ref. Its project is a slug: Infisical's API of dynamic secrets knows no ids,
// and what the configuration says for other refs is one.
func (b *Backend) dynamic(ref keyring.Ref) (dynamic, error) {
	if err := checkRef(ref, "project", "env", "path", "ttl"); err != nil {
		return dynamic{}, err
	}
	if ref.Params.Get("project") == "" {
		return dynamic{}, errors.New("no project: want infisical:NAME#FIELD?project=SLUG&env=SLUG, with the project's slug")
	}
	p, err := b.place(ref)
	return dynamic{p, ref.Name, ref.Params.Get("ttl")}, err
}

// held returns the newest lease for d.
func (b *Backend) held(d dynamic) *lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range slices.Backward(b.leases) {
		if l.dynamic == d {
			return l
		}
	}
	return nil
}

// good asks whether l is still there and will be for a while, by renewing it: the resolver asks again after a
// credential was refused, and somebody may have deleted the lease. In doubt it is.
func (b *Backend) good(ctx context.Context, l *lease) bool {
	b.mu.Lock()
	ending, fresh := l.Ending(), time.Since(l.checked) < leasing.Together
	b.mu.Unlock()
	if ending || fresh {
		return !ending
	}
	if err := b.renew(ctx, l); errors.Is(err, keyring.ErrNotFound) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.leases = slices.DeleteFunc(b.leases, func(o *lease) bool { return o == l })
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !l.Ending()
}

// take leases the dynamic secret anew.
func (b *Backend) take(ctx context.Context, d dynamic) (*lease, error) {
	b.mu.Lock()
	released := b.released
	b.mu.Unlock()
	if released { // Release waits for what began before it
		return nil, leasing.ErrReleased
	}
	l, err := call(ctx, b, func(c client, access keyring.Secret) (*lease, error) {
		data, _, got, err := c.DynamicSecrets().Leases().Create(sdk.CreateDynamicSecretLeaseOptions{
			DynamicSecretName: d.name, ProjectSlug: d.project, EnvironmentSlug: d.env, SecretPath: d.path, TTL: d.ttl,
			Config: map[string]any{},
		})
		if err != nil {
			return nil, c.explain(err, access)
		}
		// The id becomes a part of paths, and the SDK does not escape it.
		if len(data) == 0 || keyring.CheckName(got.Id) != nil {
			return nil, fmt.Errorf("the answer is not a lease; is the site URL right? %w", keyring.ErrUnavailable)
		}
		return &lease{dynamic: d, id: got.Id, data: data, Life: leasing.NewLife(time.Until(got.ExpireAt)), checked: time.Now()}, nil
	})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = append(slices.DeleteFunc(b.leases, func(o *lease) bool { return o.Over() }), l)
	if !b.released {
		b.tasks.Go(func() {
			leasing.Keep(b.ctx, func() time.Time {
				b.mu.Lock()
				defer b.mu.Unlock()
				return l.Until
			}, func(ctx context.Context) error { return b.renew(ctx, l) })
		})
	}
	return l, nil
}

// renew prolongs l, up to the longest life that the dynamic secret allows.
func (b *Backend) renew(ctx context.Context, l *lease) error {
	until, err := call(ctx, b, func(c client, access keyring.Secret) (time.Time, error) {
		got, err := c.DynamicSecrets().Leases().RenewById(sdk.RenewDynamicSecretLeaseOptions{
			LeaseId: l.id, ProjectSlug: l.project, EnvironmentSlug: l.env, SecretPath: l.path, TTL: l.ttl,
		})
		if err != nil {
			return time.Time{}, c.explain(err, access)
		}
		return got.ExpireAt, nil
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l.checked = time.Now()
	if !until.IsZero() {
		l.Until = until
	}
	return nil
}

// giveBack deletes every lease, and returns what is left.
func (b *Backend) giveBack(ctx context.Context) []keyring.Leftover {
	b.mu.Lock()
	leases := slices.Clone(b.leases)
	b.mu.Unlock()
	errs := make([]error, len(leases))
	var wg sync.WaitGroup
	for i, l := range leases {
		wg.Go(func() { errs[i] = b.revoke(ctx, l) })
	}
	wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = nil
	var left []keyring.Leftover
	for i, l := range leases {
		if errs[i] == nil || errors.Is(errs[i], keyring.ErrNotFound) || l.Over() {
			l.data = nil
			continue
		}
		b.leases = append(b.leases, l)
		left = append(left, keyring.Leftover{Ref: l.ref(), Until: l.Until, Err: errs[i]})
	}
	return left
}

func (b *Backend) revoke(ctx context.Context, l *lease) error {
	_, err := call(ctx, b, func(c client, access keyring.Secret) (struct{}, error) {
		_, err := c.DynamicSecrets().Leases().DeleteById(sdk.DeleteDynamicSecretLeaseOptions{
			LeaseId: l.id, ProjectSlug: l.project, EnvironmentSlug: l.env, SecretPath: l.path,
		})
		if err != nil {
			err = c.explain(err, access)
		}
		return struct{}{}, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", keyring.ErrUnavailable)
	}
	return err
}

// pick takes one field out of a lease. Names of fields are no secrets, and listed.
func pick(data map[string]any, field string) (keyring.Item, error) {
	value, ok := data[field]
	if !ok {
		names := keyring.Excerpt(strings.Join(slices.Sorted(maps.Keys(data)), ", "))
		return keyring.Item{}, fmt.Errorf("no field %q (one of: %s): %w", field, names, keyring.ErrNotFound)
	}
	if s, ok := value.(string); ok {
		return keyring.Received([]byte(s))
	}
	if value == nil {
		return keyring.Item{}, keyring.ErrEmpty
	}
	text, err := json.Marshal(value) // a port
	if err != nil {
		return keyring.Item{}, errors.New("a field that is neither text nor JSON")
	}
	return keyring.Received(text)
}
