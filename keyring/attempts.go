package keyring

import "context"

// maxAttempts is how often one request is sent: with what the cache has, with what the
// backend has, and with the value before that.
const maxAttempts = 3

// Attempts are the tries of one request with the secrets that it needs: with which values
// it is sent, and with which it is sent again where the upstream refuses it.
//
// A value that its backend has not changed is tried once. One that has changed is tried
// after the old one was refused, and the one before it after that: a provider may take a
// while to accept a new key everywhere. Where the previous value works it serves, for ten
// minutes at most, until the new one works or it does not any more.
//
// Attempts belong to one goroutine.
type Attempts struct {
	r     *Resolver
	refs  []Ref
	first Item
	rest  []Item // of refs[1:]

	tried   [][]Secret // that were refused
	rotated bool       // what is tried now differs from what the cache had
	before  bool       // it is the value before the current one, which was refused
	wasBack bool       // the previous value was known to work when it was tried
}

// Begin returns the first try, with refs that belong together (see GetTogether). again
// says that the request can be sent a second time: only such a one tries whether a new
// value works by now.
func (r *Resolver) Begin(ctx context.Context, refs []Ref, again bool) (a Attempts, err error) {
	a.r, a.refs = r, refs
	if len(refs) == 1 {
		if a.first, err = r.Get(ctx, refs[0]); err != nil || !again || !a.first.Previous {
			return a, err
		}
	} else {
		items, err := r.GetTogether(ctx, refs...)
		if err != nil {
			return a, err
		}
		if a.first, a.rest = items[0], items[1:]; !again || !a.previous() {
			return a, nil
		}
	}
	if r.probe(refs[0]) {
		a.latest(ctx)
	}
	return a, nil
}

// Item is what the first ref names.
func (a *Attempts) Item() Item { return a.first }

// Rest is what the other refs name, in their order.
func (a *Attempts) Rest() []Item { return a.rest }

// Rotated says that the values of this try are not those of the first.
func (a *Attempts) Rotated() bool { return a.rotated }

// Stale says that a backend is out of reach; the item's Note says since when.
func (a *Attempts) Stale() bool {
	for i := range a.refs {
		if a.item(i).Stale {
			return true
		}
	}
	return false
}

// Previous says that the values are those before the current ones.
func (a *Attempts) Previous() bool { return a.previous() }

func (a *Attempts) item(i int) *Item {
	if i == 0 {
		return &a.first
	}
	return &a.rest[i-1]
}

func (a *Attempts) previous() bool {
	for i := range a.refs {
		if a.item(i).Previous {
			return true
		}
	}
	return false
}

// Accepted says that the upstream took the values.
func (a *Attempts) Accepted() {
	for i, ref := range a.refs {
		switch item := a.item(i); {
		case !item.Previous:
			if !a.before { // beside a previous value it proves nothing
				a.r.accepted(ref, item.Value)
			}
		case a.before:
			a.r.prefer(ref, item.Value)
		}
	}
}

// Refused says that the upstream refused the values, forbidden that it knows them and
// does not let them do what was asked (403, not 401). If there are others that may work, they
// are the next try and the answer is true.
func (a *Attempts) Refused(ctx context.Context, forbidden bool) bool {
	wasPrevious := a.previous()
	if wasPrevious {
		for i, ref := range a.refs {
			if item := a.item(i); item.Previous {
				a.r.missed(ref, item.Value)
			}
		}
	}
	a.tried = append(a.tried, a.values())
	if len(a.tried) >= maxAttempts {
		return false
	}
	if !wasPrevious && a.known() && a.older(forbidden) {
		return true // others found that it works: no need to ask first
	}
	if a.newer(ctx) {
		return true
	}
	if wasPrevious {
		// It worked a moment ago: the provider changes over just now.
		return a.wasBack && a.latest(ctx)
	}
	return a.older(forbidden)
}

// Suspect says that the upstream refused the values of a request that cannot be repeated:
// the next one shall have newer ones, if there are any. It does not wait.
func (a *Attempts) Suspect() {
	refs, values := a.refs, a.values()
	r := a.r
	go func() {
		for i, ref := range refs {
			_, _, _ = r.Newer(r.ctx, ref, values[i]) // whoever gets it next is told what is wrong
		}
	}()
}

// newer takes values that were not tried, if the backends have some.
func (a *Attempts) newer(ctx context.Context) bool {
	for i, ref := range a.refs {
		if _, _, err := a.r.Newer(ctx, ref, a.item(i).Value); err != nil {
			return false
		}
	}
	items, err := a.r.together(ctx, a.refs)
	if err != nil || a.wasTried(items) {
		return false
	}
	a.take(items)
	a.rotated, a.before = true, false
	return true
}

// latest takes the current values, tried or not.
func (a *Attempts) latest(ctx context.Context) bool {
	items, err := a.r.together(ctx, a.refs)
	if err != nil {
		return false
	}
	a.take(items)
	a.rotated, a.before, a.wasBack = len(a.tried) > 0, false, false
	return true
}

// older takes the values before the current ones. A refusal that says "forbidden" of a
// value that has worked is no reason to.
func (a *Attempts) older(forbidden bool) bool {
	items := make([]Item, len(a.refs))
	found, proven, back := false, true, false
	for i, ref := range a.refs {
		items[i] = *a.item(i)
		if old, ok := a.r.Previous(ref); ok {
			items[i], found = old, true
			proven = proven && a.r.entry(ref).proven.Load()
			back = back || a.r.isBack(ref)
		}
	}
	if !found || forbidden && proven || a.wasTried(items) {
		return false
	}
	a.take(items)
	a.rotated, a.before, a.wasBack = true, true, back
	return true
}

// known says that the previous values serve at present.
func (a *Attempts) known() bool {
	for _, ref := range a.refs {
		if a.r.isBack(ref) {
			return true
		}
	}
	return false
}

func (a *Attempts) take(items []Item) { a.first, a.rest = items[0], items[1:] }

func (a *Attempts) values() []Secret {
	values := make([]Secret, len(a.refs))
	for i := range a.refs {
		values[i] = a.item(i).Value
	}
	return values
}

func (a *Attempts) wasTried(items []Item) bool {
	for _, values := range a.tried {
		same := true
		for i := range items {
			same = same && values[i].Equal(items[i].Value)
		}
		if same {
			return true
		}
	}
	return false
}
