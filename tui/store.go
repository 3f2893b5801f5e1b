package tui

import (
	"maps"
	"slices"
	"time"

	"agentvault/proxy/event"
)

// KeepCalls is how many calls a Store remembers: an hour of a busy agent, and some ten
// megabytes at the worst.
const KeepCalls = 10_000

// keepOpen bounds what is remembered of calls that were still under way when their row
// was forgotten: streams and tunnels, whose number the proxy's sockets bound as well.
const keepOpen = 4096

// Store folds events into what the views show. Everything it holds is bounded; what is
// forgotten has been counted. The zero Store is not ready: use NewStore. It is not safe
// for concurrent use.
type Store struct {
	template func(host, path string) string

	ring []*Call // row n is at n % KeepCalls
	next uint64  // the row that comes next
	byID map[uint64]*Call
	// open holds the verdict of calls that were forgotten before they ended.
	open      map[uint64]event.Verdict
	forgotten uint64 // the highest call number that left the ring

	calls    uint64
	verdicts [len(marks)]uint64
	first    time.Time
	last     time.Time

	endpoints endpoints
	services  services
}

// NewStore returns an empty Store. template folds the ids of a path ("/users/7" to
// "/users/*"); nil leaves paths as they are.
func NewStore(template func(host, path string) string) *Store {
	if template == nil {
		template = func(_, path string) string { return path }
	}
	return &Store{
		template: template,
		byID:     make(map[uint64]*Call),
		open:     make(map[uint64]event.Verdict),
	}
}

// Apply folds one event. An event that was applied before changes nothing, so a backlog
// may overlap with what follows it (a note excepted: it has no number).
func (s *Store) Apply(e event.Event) {
	folded := ""
	if e.Path != "" { // a connection has none
		folded = e.WithOperation(s.template(e.Host, e.Path))
	}
	e = harmless(e)
	if s.first.IsZero() {
		s.first = e.Time
	}
	if e.Time.After(s.last) {
		s.last = e.Time
	}
	switch e.Phase {
	case event.Start:
		if !s.known(e.Call) {
			s.calls++
			s.add(e, safe(folded), false)
		} else if c := s.byID[e.Call]; c != nil && c.Verdict == event.Held && !c.Done {
			s.release(c, e)
		}
	case event.End:
		s.end(e, safe(folded))
	case event.Note:
		s.add(e, safe(folded), true)
	}
}

// known says whether the call has been counted.
func (s *Store) known(call uint64) bool {
	if call <= s.forgotten {
		return true
	}
	_, ok := s.byID[call]
	return ok
}

func (s *Store) end(e event.Event, folded string) {
	if c, ok := s.byID[e.Call]; ok {
		if !c.Done {
			s.finish(c, e)
		}
		return
	}
	if v, ok := s.open[e.Call]; ok {
		delete(s.open, e.Call)
		s.recount(v, e.Verdict)
		s.endpoints.end(e, folded, v)
		s.services.count(e)
		return
	}
	if s.known(e.Call) {
		return
	}
	// Its start was dropped on the way here.
	s.calls++
	e.Time = e.Time.Add(-e.Duration)
	s.add(e, folded, true)
}

// add makes a row of e, which is a start, a note, or an end without a start.
func (s *Store) add(e event.Event, folded string, done bool) {
	c := &Call{Seq: s.next, Event: e, Endpoint: folded, Done: done}
	if s.next < KeepCalls {
		s.ring = append(s.ring, c)
	} else {
		s.forget(s.ring[s.next%KeepCalls])
		s.ring[s.next%KeepCalls] = c
	}
	s.next++
	s.verdicts[markIndex(e.Verdict)]++
	if e.Phase == event.Note {
		return
	}
	s.byID[e.Call] = c
	s.endpoints.start(e, folded)
	if done {
		s.endpoints.end(e, folded, e.Verdict)
		s.services.count(e)
	}
}

func (s *Store) finish(c *Call, e event.Event) {
	before := c.Verdict
	c.Event = merge(c.Event, e)
	c.Done = true
	s.recount(before, c.Verdict)
	s.endpoints.end(c.Event, c.Endpoint, before)
	s.services.count(c.Event)
}

// release is a held call that goes out after all: it has a second start.
func (s *Store) release(c *Call, e event.Event) {
	c.Event = merge(c.Event, e)
	c.Verdict = e.Verdict // which a start may leave open
	s.recount(event.Held, c.Verdict)
	s.endpoints.judge(c.Event, c.Endpoint, event.Held)
}

func (s *Store) recount(before, after event.Verdict) {
	s.verdicts[markIndex(before)]--
	s.verdicts[markIndex(after)]++
}

func (s *Store) forget(c *Call) {
	if c.Phase == event.Note {
		return
	}
	delete(s.byID, c.Call)
	s.forgotten = max(s.forgotten, c.Call)
	if !c.Done && len(s.open) < keepOpen {
		s.open[c.Call] = c.Verdict
	}
}

// Calls is how many calls there were, forgotten ones included.
func (s *Store) Calls() uint64 { return s.calls }

// Count is how many calls, or notes, have this verdict now, forgotten ones included.
func (s *Store) Count(v event.Verdict) uint64 { return s.verdicts[markIndex(v)] }

// Next is the Seq that the next row will have: what tells new rows from old ones.
func (s *Store) Next() uint64 { return s.next }

// Rows appends the rows that are remembered to dst, oldest first. They change when their
// call ends; who keeps them sees that.
func (s *Store) Rows(dst []*Call) []*Call {
	for n := s.next - uint64(len(s.ring)); n < s.next; n++ {
		dst = append(dst, s.ring[n%KeepCalls])
	}
	return dst
}

// Last returns the last n rows, oldest first.
func (s *Store) Last(n int) []*Call {
	n = max(0, min(n, len(s.ring)))
	rows := make([]*Call, 0, n)
	for i := s.next - uint64(n); i < s.next; i++ {
		rows = append(rows, s.ring[i%KeepCalls])
	}
	return rows
}

// Newest is the newest row, nil when there is none.
func (s *Store) Newest() *Call {
	if s.next == 0 {
		return nil
	}
	return s.ring[(s.next-1)%KeepCalls]
}

// Span is the time of the first event and of the last.
func (s *Store) Span() (first, last time.Time) { return s.first, s.last }

// Copy is a Store that goes its own way from here: what a view starts from that is
// opened in the middle of a session.
func (s *Store) Copy() *Store {
	d := *s
	d.open = maps.Clone(s.open)
	d.byID = make(map[uint64]*Call, len(s.byID))
	d.ring = make([]*Call, len(s.ring))
	for i, c := range s.ring {
		own := *c
		d.ring[i] = &own
		if s.byID[c.Call] == c {
			d.byID[c.Call] = &own
		}
	}
	d.endpoints = s.endpoints.copy()
	d.services = services{list: slices.Clone(s.services.list)}
	for i, v := range d.services.list {
		own := *v
		d.services.list[i] = &own
	}
	return &d
}
