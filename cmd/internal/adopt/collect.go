// Package adopt keeps what a session's child sent as credentials of its own, so that the
// human can have them moved into a store when the session has ended.
//
// Values are held as keyring.Secret, in memory alone, for the one session, and a bounded
// number of them. They are looked at only to tell what kind of credential each is.
// Whoever made a Collector wipes it.
package adopt

import (
	"slices"
	"sync"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

const (
	// maxCandidates and maxPlaces bound what a child can make us keep by making
	// credentials up; no real session comes near.
	maxCandidates = 64
	maxPlaces     = 64
	// maxOpen calls wait for their answer at once.
	maxOpen = 4096
)

// Place is where a credential was sent, and how.
type Place struct {
	Scheme, Host string
	Port         int
	Kind         string // as in Event.Auth
	User         string // of basic auth
	AsUser       bool   // the credential stood where basic auth has the user
	Calls        int
	Taken        int // of them, those answered with neither 401 nor 403
}

// Candidate is one credential that the child sent by itself.
type Candidate struct {
	Value  keyring.Secret
	Places []*Place // in the order in which they were seen
}

// Calls is how many calls carried it.
func (c *Candidate) Calls() int {
	n := 0
	for _, p := range c.Places {
		n += p.Calls
	}
	return n
}

// Collector collects candidates. It is safe for concurrent use; the zero Collector is
// ready for use.
type Collector struct {
	mu     sync.Mutex
	found  []*Candidate
	open   map[uint64]*Place // by the number of the call
	over   int
	closed bool
}

// Own takes the credential of a call that begins; see proxy.Config.Own.
func (c *Collector) Own(e event.Event, own inject.Own) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.place(e, own)
	if place == nil {
		c.over++
		return
	}
	place.Calls++
	if c.open == nil {
		c.open = make(map[uint64]*Place)
	}
	if len(c.open) < maxOpen {
		c.open[e.Call] = place
	}
}

// place finds where the call belongs, or makes it; nil where there is no room.
func (c *Collector) place(e event.Event, own inject.Own) *Place {
	i := slices.IndexFunc(c.found, func(f *Candidate) bool { return f.Value.Equal(own.Value) })
	switch {
	case c.closed, i < 0 && len(c.found) >= maxCandidates:
		own.Value.Wipe()
		return nil
	case i < 0:
		i = len(c.found)
		c.found = append(c.found, &Candidate{Value: own.Value})
	default:
		own.Value.Wipe() // it is held already
	}
	f := c.found[i]
	for _, p := range f.Places {
		if p.Scheme == e.Scheme && p.Host == e.Host && p.Port == e.Port && p.Kind == own.Kind && p.User == own.User && p.AsUser == own.AsUser {
			return p
		}
	}
	if len(f.Places) >= maxPlaces {
		return nil
	}
	p := &Place{Scheme: e.Scheme, Host: e.Host, Port: e.Port, Kind: own.Kind, User: own.User, AsUser: own.AsUser}
	f.Places = append(f.Places, p)
	return p
}

// Add takes an event; the end of a call tells what the server made of its credential.
func (c *Collector) Add(e *event.Event) {
	if e.Phase != event.End {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.open[e.Call]
	if p == nil {
		return
	}
	delete(c.open, e.Call)
	if e.Status != 0 && e.Status != 401 && e.Status != 403 && e.Code == "" {
		p.Taken++
	}
}

// Candidates are those that were found, the first seen first. They stay the Collector's.
func (c *Collector) Candidates() []*Candidate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.found)
}

// Over is how many calls carried a credential for which there was no room.
func (c *Collector) Over() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Wipe overwrites every value. Nothing is taken any more.
func (c *Collector) Wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.found {
		f.Value.Wipe()
	}
	c.found, c.open, c.closed = nil, nil, true
}
