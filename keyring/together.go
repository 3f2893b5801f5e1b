package keyring

import (
	"context"
	"fmt"
	"slices"
)

// GetTogether returns the secrets of refs, in their order, such that fields of one secret
// belong together: an access key's id is never returned with the secret of its successor.
// Where the cache has fields of different versions, because one of them was refreshed
// earlier than the other, the older ones are asked for again. Refs of different secrets
// are merely got, and so are those of backends that know no versions.
func (r *Resolver) GetTogether(ctx context.Context, refs ...Ref) ([]Item, error) {
	items, err := r.together(ctx, refs)
	if err != nil {
		return nil, err
	}
	for i, ref := range refs {
		e := r.entry(ref)
		if !e.used.Load() {
			e.used.Store(true)
		}
		if s := e.state.Load(); s != nil && s.back {
			items[i] = s.fallback(r.c.Clock())
		}
	}
	return items, nil
}

// together is GetTogether without regard to what upstreams took and refused.
func (r *Resolver) together(ctx context.Context, refs []Ref) ([]Item, error) {
	items := make([]Item, len(refs))
	for i, ref := range refs {
		item, err := r.current(ctx, ref)
		if err != nil {
			return nil, err
		}
		items[i] = item
	}
	// A secret that changes while it is read needs a second round; one that changes faster
	// than that cannot be read at all.
	for range 3 {
		apart := mismatched(refs, items)
		if len(apart) == 0 {
			return items, nil
		}
		if r.olderTogether(refs, items, apart) { // the backend is out of reach
			return items, nil
		}
		for _, i := range apart {
			item, _, err := r.Refresh(ctx, refs[i])
			if err != nil {
				return nil, err
			}
			items[i] = item
		}
	}
	if apart := mismatched(refs, items); len(apart) > 0 {
		return nil, fmt.Errorf("%s: its fields change faster than they can be read: %w", refs[apart[0]], ErrUnavailable)
	}
	return items, nil
}

// olderTogether is for a secret of which one field was read before its backend went out of
// reach and another after it had changed: the values before still belong together.
func (r *Resolver) olderTogether(refs []Ref, items []Item, apart []int) bool {
	older := slices.Clone(items)
	for _, stale := range apart {
		if !items[stale].Stale {
			continue
		}
		for _, i := range apart {
			if !sameSecret(refs[i], refs[stale]) || items[i].Version == items[stale].Version {
				continue
			}
			before, ok := r.Previous(refs[i])
			if !ok || before.Version != items[stale].Version {
				return false
			}
			older[i] = before
		}
	}
	if len(mismatched(refs, older)) > 0 {
		return false
	}
	copy(items, older)
	return true
}

// mismatched returns the indices of all fields of secrets of which there is more than one
// version.
func mismatched(refs []Ref, items []Item) []int {
	var apart []int
	for i := range refs {
		for j := range refs {
			if sameSecret(refs[i], refs[j]) && items[i].Version != items[j].Version {
				apart = append(apart, i)
				break
			}
		}
	}
	return apart
}

// sameSecret reports whether a and b name fields of one secret.
func sameSecret(a, b Ref) bool {
	return a.Scheme == b.Scheme && a.Name == b.Name && a.Stage == b.Stage && a.Params.Encode() == b.Params.Encode()
}
