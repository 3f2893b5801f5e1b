package keyring

import (
	"cmp"
	"slices"
	"time"
)

// Status is how the cache stands with one secret. It holds no value.
type Status struct {
	Ref  Ref
	Held bool // a value is there to be served
	// Stale says that the backend is out of reach and an older value serves, until Expires
	// or for an hour, whichever ends first.
	Stale bool
	// Leased says that the value was issued for this session, which gives it back.
	Leased  bool
	Fetched time.Time // when the backend last gave it; zero where it never has
	Expires time.Time // when the value ends; zero where nobody knows
	Note    string    // one line for the human, see Item.Note
	Err     error     // why there is no value
}

// Statuses tells of every secret that was asked for, by ref. It asks no backend.
func (r *Resolver) Statuses() []Status {
	var all []Status
	for _, e := range *r.entries.Load() {
		s := e.state.Load()
		if s == nil {
			continue // under way for the first time, or dropped
		}
		item := &s.item
		st := Status{Ref: e.ref, Err: s.err, Held: s.err == nil && item.Value.Len() > 0}
		if st.Held {
			st.Stale, st.Fetched, st.Expires, st.Note = item.Stale, s.fetched, item.Expires, item.Note
			// A version that ends is one issue of many; one that does not is a state of a store.
			st.Leased = item.Version != "" && !item.Expires.IsZero()
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Ref.String(), b.Ref.String()) })
	return all
}
