package tui

import (
	"cmp"
	"strconv"
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
	// Endpoint is the path with ids folded.
	Endpoint string
	// Done says that the call has ended; a note is done from the start.
	Done bool
}

// Covered says whether a service covers the call.
func (c *Call) Covered() bool { return covered(&c.Event) }

// HostPort is the host, with the port where that is not the scheme's own.
func (c *Call) HostPort() string { return hostPort(c.Scheme, c.Host, c.Port) }

// URL is the call's address without its query.
func (c *Call) URL() string {
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
	switch c.Verdict {
	case event.Injected, event.Passed, "":
		return cmp.Or(c.Service, markOf(c.Verdict).word)
	}
	return markOf(c.Verdict).word
}

func hostPort(scheme, host string, port int) string {
	switch {
	case port == 0, port == 443 && scheme != "http" && scheme != "ws", port == 80 && (scheme == "http" || scheme == "ws"):
		return host
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// harmless clips and escapes every text of e.
func harmless(e event.Event) event.Event {
	for _, s := range []*string{
		&e.Session, &e.Method, &e.Scheme, &e.Host, &e.Path, &e.Service, &e.Secret, &e.Where,
		(*string)(&e.Verdict), &e.Reason, &e.Code, &e.Auth, &e.Client,
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
		{&end.Service, &start.Service},
		{&end.Secret, &start.Secret},
		{&end.Where, &start.Where},
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
