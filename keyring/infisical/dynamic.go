package infisical

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	sdk "github.com/infisical/go-sdk"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// lease is what a dynamic secret issued for this session.
type lease = leasing.Lease[dynamic]

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
	l, err := b.leases.Get(ctx, fmt.Sprint(d), func(*lease) bool { return true }, func(ctx context.Context) (*lease, error) { return b.take(ctx, d) })
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := l.Fields.Pick(ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	item.Version, item.Expires = l.ID, b.leases.Until(l)
	item.Lease = fmt.Sprintf("delete the lease %s of %s in the project %s, environment %s, folder %s", l.ID, d.name, d.project, d.env, d.path)
	return item, nil
}

// newLeases returns the leases of a session, of which there are none yet.
func (b *Backend) newLeases() *leasing.Set[dynamic] {
	return leasing.NewSet(b.ctx, leasing.Server[dynamic]{
		Renew:  b.renew,
		Gone:   func(err error) bool { return errors.Is(err, keyring.ErrNotFound) },
		Revoke: b.revoke,
	})
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

// take leases the dynamic secret anew.
func (b *Backend) take(ctx context.Context, d dynamic) (*lease, error) {
	return call(ctx, b, func(c client, access keyring.Secret) (*lease, error) {
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
		return &lease{Of: d, ID: got.Id, Fields: leasing.NewFields(data), Given: time.Until(got.ExpireAt), Renewable: true}, nil
	})
}

// renew prolongs l, up to the longest life that the dynamic secret allows.
func (b *Backend) renew(ctx context.Context, l *lease) (time.Time, error) {
	return call(ctx, b, func(c client, access keyring.Secret) (time.Time, error) {
		got, err := c.DynamicSecrets().Leases().RenewById(sdk.RenewDynamicSecretLeaseOptions{
			LeaseId: l.ID, ProjectSlug: l.Of.project, EnvironmentSlug: l.Of.env, SecretPath: l.Of.path, TTL: l.Of.ttl,
		})
		if err != nil {
			return time.Time{}, c.explain(err, access)
		}
		return got.ExpireAt, nil
	})
}

// giveBack deletes every lease, and returns what is left.
func (b *Backend) giveBack(ctx context.Context) (left []keyring.Leftover) {
	for _, l := range b.leases.Revoke(ctx) {
		left = append(left, keyring.Leftover{Ref: l.Lease.Of.ref(), Until: l.Until, Err: l.Err})
	}
	return left
}

func (b *Backend) revoke(ctx context.Context, l *lease) error {
	_, err := call(ctx, b, func(c client, access keyring.Secret) (struct{}, error) {
		_, err := c.DynamicSecrets().Leases().DeleteById(sdk.DeleteDynamicSecretLeaseOptions{
			LeaseId: l.ID, ProjectSlug: l.Of.project, EnvironmentSlug: l.Of.env, SecretPath: l.Of.path,
		})
		if err != nil {
			err = c.explain(err, access)
		}
		return struct{}{}, err
	})
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", keyring.ErrUnavailable)
	}
	return err
}
