package auditlog

import (
	"bytes"
	"time"

	"agentvault/proxy/event"
)

// Query reads sessions and chooses calls.
type Query struct {
	Sessions []Session // in the order in which they are read
	Filter   *Filter   // nil chooses all
	Since    time.Time // calls that started before are left out; zero for none
	Timing   bool      // also read Event.Timing, which makes it slower
}

// Stats says what a query read.
type Stats struct {
	Lines int    // read, in all
	Calls int    // chosen
	Bad   int    // lines that are no event
	Torn  int    // logs that end inside a line
	Lost  uint64 // events that the sessions could not write
}

// Each calls fn for each chosen call, in the order in which they ended; notes are among
// them, and calls without an end come last, with the phase Start. The event and what it
// points to are fn's until it returns. An error of fn ends the query.
func (q Query) Each(fn func(call *event.Event) error) (Stats, error) {
	return q.each(func(call *event.Event, _ []byte) error { return fn(call) })
}

// EachLine is Each with the line that ended the call, without its newline, as it stands
// in the log; nil for a call without an end.
func (q Query) EachLine(fn func(call *event.Event, line []byte) error) (Stats, error) {
	return q.each(fn)
}

func (q Query) each(fn func(call *event.Event, line []byte) error) (Stats, error) {
	var stats Stats
	from := newPieces(q)
	for _, s := range q.Sessions {
		if err := q.session(s, from, &stats, fn); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

func (q Query) session(s Session, from *pieces, stats *Stats, fn func(*event.Event, []byte) error) error {
	f, err := event.Open(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	var calls event.Calls
	err = from.each(f, func(p *piece) error {
		for i := range p.lines {
			if err := q.line(&p.lines[i], &calls, stats, fn); err != nil {
				return err
			}
		}
		if p.torn {
			stats.Lines++
			stats.Torn++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, call := range calls.Open() {
		if err := q.offer(&call, nil, stats, fn); err != nil {
			return err
		}
	}
	return nil
}

func (q Query) line(l *line, calls *event.Calls, stats *Stats, fn func(*event.Event, []byte) error) error {
	stats.Lines++
	switch {
	case l.skipped:
		return nil
	case l.bad:
		stats.Bad++
		return nil
	}
	stats.Lost += l.event.Lost
	if !calls.Add(&l.event) {
		return nil
	}
	return q.offer(&l.event, l.bytes, stats, fn)
}

// skip reports that a line cannot be of a chosen call, without decoding it. A line that
// says nothing of the host is left to the decoder: it may belong to one that does.
func (q Query) skip(line []byte) bool {
	host := q.Filter.host()
	if host == "" || bytes.Contains(line, []byte(host)) {
		return false
	}
	// A host with a backslash in its spelling may be the one all the same.
	return bytes.Contains(line, []byte(`"host":"`)) && !bytes.Contains(line, []byte(`\u`))
}

func (q Query) offer(call *event.Event, line []byte, stats *Stats, fn func(*event.Event, []byte) error) error {
	if !q.Since.IsZero() && call.Time.Before(q.Since) || !q.Filter.Match(call) {
		return nil
	}
	stats.Calls++
	return fn(call, line)
}
