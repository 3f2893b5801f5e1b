package event

import "slices"

// Calls joins the two events of a call into one. The zero Calls is ready for use; it is
// not safe for concurrent use. It holds one event for each call that has not ended.
type Calls struct {
	open map[callKey]*Event
	free []*Event
}

type callKey struct {
	session string
	call    uint64
}

// Add takes the next event of a log and reports whether it completes a call. Then e is
// the whole call: the end, with what it does not say taken from the start, and with the
// start's time. A note, and an end whose start was never seen, are left as they are and
// complete. For a start the answer is no: the call is open.
func (c *Calls) Add(e *Event) (whole bool) {
	key := callKey{e.Session, e.Call}
	switch e.Phase {
	case Start:
		if c.open == nil {
			c.open = make(map[callKey]*Event)
		}
		p := c.open[key]
		if p == nil {
			p = c.take()
			c.open[key] = p
		}
		*p = *e
		return false
	case End:
		if p := c.open[key]; p != nil {
			e.fill(p)
			delete(c.open, key)
			c.free = append(c.free, p)
		}
	}
	return true
}

// take gives an event to write to, one that was used before if there is one.
func (c *Calls) take() *Event {
	n := len(c.free)
	if n == 0 {
		return new(Event)
	}
	p := c.free[n-1]
	c.free = c.free[:n-1]
	return p
}

// Open returns the calls that have started and not ended, in the order of their start.
func (c *Calls) Open() []Event {
	open := make([]Event, 0, len(c.open))
	for _, p := range c.open {
		open = append(open, *p)
	}
	slices.SortFunc(open, func(a, b Event) int {
		if d := a.Time.Compare(b.Time); d != 0 {
			return d
		}
		return int(a.Call) - int(b.Call)
	})
	return open
}

// fill sets what e, an end, does not say to what start said.
func (e *Event) fill(start *Event) {
	e.Time = start.Time
	fill(&e.Method, start.Method)
	fill(&e.Scheme, start.Scheme)
	fill(&e.Host, start.Host)
	fill(&e.Port, start.Port)
	fill(&e.Path, start.Path)
	fill(&e.Operation, start.Operation)
	fill(&e.Service, start.Service)
	fill(&e.Secret, start.Secret)
	fill(&e.Where, start.Where)
	fill(&e.Label, start.Label)
	fill(&e.State, start.State)
	fill(&e.Verdict, start.Verdict)
	fill(&e.Reason, start.Reason)
	fill(&e.Code, start.Code)
	fill(&e.Asked, start.Asked)
	fill(&e.Sent, start.Sent)
	fill(&e.Auth, start.Auth)
	fill(&e.Client, start.Client)
	e.Lost += start.Lost
}

func fill[T comparable](to *T, from T) {
	var zero T
	if *to == zero {
		*to = from
	}
}
