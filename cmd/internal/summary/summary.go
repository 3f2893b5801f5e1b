// Package summary says at the end of a session, on stderr, what happened in it: the calls
// and their verdicts, what no service covers, what was denied or failed, and what to type
// next. It is what somebody reads who looked away.
package summary

import (
	"slices"
	"sync"

	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
)

// Summary counts the events of one session as they come. It is safe for concurrent use,
// the zero Summary is ready for use, and its memory is bounded: calls are folded into
// endpoints, of which it keeps at most 20,000.
type Summary struct {
	mu       sync.Mutex
	folder   discover.Folder
	calls    int // that have ended
	verdicts map[event.Verdict]int
	held     int // calls that waited for the human
	left     []event.Event
	lost     int // events that the log could not keep
}

// keepLeft bounds the leases that are told of.
const keepLeft = 100

// Add counts one event.
func (s *Summary) Add(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += int(e.Lost)
	switch {
	case e.Phase == event.Start && e.Verdict == event.Held:
		s.held++
	case e.Phase == event.Note && e.State == event.Left && len(s.left) < keepLeft:
		s.left = append(s.left, e)
	}
	if !s.folder.Add(&e) || e.Host == "" {
		return
	}
	if s.verdicts == nil {
		s.verdicts = make(map[event.Verdict]int)
	}
	s.verdicts[e.Verdict]++
	if e.Phase != event.Note {
		s.calls++
	}
}

// Endpoints are those of the session so far, for `discover`, and how many calls went to
// more endpoints than are kept.
func (s *Summary) Endpoints() (endpoints []discover.Endpoint, over int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folder.Endpoints(), s.folder.Over()
}

// state is what Write writes, taken at once.
type state struct {
	endpoints []discover.Endpoint
	over      int
	calls     int // the open ones included
	open      int
	held      int
	left      []event.Event // a note for each lease that could not be given back
	verdicts  map[event.Verdict]int
	lost      int
}

func (s *Summary) state() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := state{endpoints: s.folder.Endpoints(), over: s.folder.Over(), calls: s.calls, lost: s.lost, held: s.held, left: slices.Clone(s.left), verdicts: make(map[event.Verdict]int)}
	for v, n := range s.verdicts {
		x.verdicts[v] = n
	}
	for i := range x.endpoints {
		x.open += x.endpoints[i].Open
	}
	x.calls += x.open
	return x
}
