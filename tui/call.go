package tui

import (
	"cmp"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// keepText is the most bytes that are kept of one text of an event: more than any screen
// shows, and what makes KeepCalls a bound on memory.
const keepText = 1024

// Call is one row: a call that is under way or has ended, or a note. Its texts are safe
// to draw: escaped and clipped.
type Call struct {
	// Seq numbers the rows of a Store in the order in which they came, from 0.
	Seq uint64
	// Event holds what the start and the end of the call say together. Time is the
	// start's.
	event.Event
	// Endpoint is the path with ids folded, and the operation.
	Endpoint string
	// Done says that the call has ended; a note is done from the start.
	Done bool
}

// Covered says whether a service covers the call.
func (c *Call) Covered() bool { return covered(&c.Event) }

// ofSecret says that the row is no call: it tells what became of a secret.
func (c *Call) ofSecret() bool { return c.Phase == event.Note && c.State != "" && c.Host == "" }

// place is what the row is about: the host of a call, the ref of a secret.
func (c *Call) place() string {
	if c.ofSecret() {
		ref, _, _ := strings.Cut(c.Secret, "?") // where in its store it is is for the detail
		return cmp.Or(ref, "secrets")
	}
	return c.HostPort()
}

// mark is how the row is shown.
func (c *Call) mark() mark {
	if !c.ofSecret() {
		return markOf(c.Verdict)
	}
	switch c.State {
	case event.Stale, event.Left:
		return mark{"", "⚠", string(c.State), warning}
	}
	return mark{"", "○", string(c.State), quietly}
}

// URL is the call's address without its query.
func (c *Call) URL() string {
	if c.ofSecret() {
		return c.place()
	}
	scheme := cmp.Or(c.Scheme, "https")
	return scheme + "://" + c.HostPort() + c.Path
}

// elapsed is how long the call took, or has taken until now.
func (c *Call) elapsed(now time.Time) time.Duration {
	if c.Done {
		return c.Duration
	}
	return max(now.Sub(c.Time), 0)
}

// method is the call's method, or a dash for what has none.
func (c *Call) method() string { return cmp.Or(c.Method, "—") }

// label is what the verdict column says: the service where one answered for the call.
func (c *Call) label() string {
	if c.ofSecret() {
		return c.mark().word
	}
	switch c.Verdict {
	case event.Injected, event.Passed, "":
		return cmp.Or(c.Service, markOf(c.Verdict).word)
	}
	return markOf(c.Verdict).word
}

// harmless clips and escapes every text of e.
func harmless(e event.Event) event.Event {
	for _, s := range []*string{
		&e.Session, &e.Method, &e.Scheme, &e.Host, &e.Path, &e.Operation, &e.Service, &e.Secret, &e.Where,
		(*string)(&e.Verdict), (*string)(&e.State), &e.Label, &e.Reason, &e.Code, &e.Auth, &e.Client,
	} {
		*s = safe(*s)
	}
	return e
}

// safe clips s to keepText bytes and escapes it.
func safe(s string) string {
	if len(s) > keepText {
		// A clone lets go of the rest.
		s = strings.Clone(strings.ToValidUTF8(s[:keepText], "")) + ellipsis
	}
	return event.Escape(s)
}

// merge lets the end of a call say more than its start did, and never less.
func merge(start, end event.Event) event.Event {
	end.Time = start.Time
	for _, f := range []struct{ dst, src *string }{
		{&end.Method, &start.Method},
		{&end.Scheme, &start.Scheme},
		{&end.Host, &start.Host},
		{&end.Path, &start.Path},
		{&end.Operation, &start.Operation},
		{&end.Service, &start.Service},
		{&end.Secret, &start.Secret},
		{&end.Where, &start.Where},
		{&end.Label, &start.Label},
		{(*string)(&end.State), (*string)(&start.State)},
		{(*string)(&end.Verdict), (*string)(&start.Verdict)},
		{&end.Reason, &start.Reason},
		{&end.Auth, &start.Auth},
		{&end.Client, &start.Client},
	} {
		*f.dst = cmp.Or(*f.dst, *f.src)
	}
	end.Port = cmp.Or(end.Port, start.Port)
	return end
}
