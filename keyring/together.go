package keyring

import (
	"context"
	"fmt"
)

// GetTogether returns the secrets of refs, in their order, such that fields of one secret
// belong together: an access key's id is never returned with the secret of its successor.
// Where the cache has fields of different versions, because one of them was refreshed
// earlier than the other, the older ones are asked for again. Refs of different secrets
// are merely got, and so are those of backends that know no versions.
func (r *Resolver) GetTogether(ctx context.Context, refs ...Ref) ([]Item, error) {
	items := make([]Item, len(refs))
	for i, ref := range refs {
		item, err := r.Get(ctx, ref)
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
