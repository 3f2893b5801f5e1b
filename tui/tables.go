package tui

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// endpointSort is the order of the endpoints. Ties keep the order of first sight.
type endpointSort int

const (
	byCover endpointSort = iota
	bySeen
	byCalls
	byHost
	byLast
	sortCount
)

var sortNames = [sortCount]string{"cover", "first seen", "calls", "host", "last seen"}

func (s endpointSort) next() endpointSort { return (s + 1) % sortCount }

func (s endpointSort) compare(a, b *Endpoint) int {
	switch s {
	case byCover:
		return cmp.Compare(rank(a), rank(b))
	case byCalls:
		return cmp.Compare(b.Calls, a.Calls)
	case byHost:
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Template, b.Template), strings.Compare(a.Method, b.Method))
	case byLast:
		return b.Last.Compare(a.Last)
	}
	return 0
}

// rank puts first what needs a service, then what was refused, then what no service
// covers and nobody minds.
func rank(p *Endpoint) int {
	switch {
	case p.uncovered():
		return 0
	case p.Alert != "":
		return 1
	case !p.Covered() && !p.opaque:
		return 2
	}
	return 3
}

// asCall is the endpoint as a call: for a filter, and for what would cover it.
func (p *Endpoint) asCall() *Call {
	c := &Call{Endpoint: p.Template, Done: true}
	c.Phase, c.Method, c.Scheme, c.Host, c.Port, c.Path = event.End, p.Method, p.Scheme, p.Host, p.Port, p.Path
	c.Status, c.Verdict, c.Service, c.Reason, c.Auth = p.Status, p.Verdict, p.Service, p.Reason, p.Auth
	return c
}

// endpointColumns shares the width out for the endpoints: sign, method and address stay.
type endpointColumns struct {
	method, address, calls, status, last, service, why int
}

func endpointColumnsFor(width int) endpointColumns {
	if width < 60 {
		c := endpointColumns{method: methodWidth - 1, calls: 4}
		c.address = max(width-2-2-c.method-1-1-c.calls, 1)
		return c
	}
	c := endpointColumns{method: methodWidth, calls: 6, status: 4}
	flex := width - 2 - 2 - c.method - 1 - c.calls - 1 - c.status - 1
	c.service = 12
	flex -= c.service + 2
	if width >= 76 {
		c.last = clockWidth
		flex -= c.last + 2
	}
	c.address = max(flex, 1)
	if width >= 110 {
		c.address = min(flex*3/5, 96)
		c.why = flex - c.address - 2
	}
	return c
}

func (c endpointColumns) header(st *Styles) string {
	b := "    " + left("METHOD", c.method) + " " + left("ENDPOINT", c.address)
	if c.status > 0 {
		b += " " + right("CALLS", c.calls) + " " + right("LAST", c.status)
	}
	b += behind(c.last, 2, left("AT", c.last)) + behind(c.service, 2, left("SERVICE", c.service)) + behind(c.why, 2, left("WHY", c.why))
	return st.in(quietly, strings.TrimRight(b, " "))
}

func (c endpointColumns) row(st *Styles, p *Endpoint, now time.Time, chosen bool) string {
	m, text := markOf(p.Verdict), plain
	if chosen {
		text = strong
	}
	status := text
	if p.Status >= 400 {
		status = warning
	}
	b := pointer(st, chosen) + st.in(m.tone, m.sign) + " " +
		st.in(text, left(cmp.Or(p.Method, "—"), c.method)) + " " +
		st.in(text, pad(target(p.HostPort(), p.Template, c.address), c.address)) + " "
	if c.status == 0 {
		return b + st.in(text, right("×"+strconv.FormatUint(p.Calls, 10), c.calls))
	}
	b += st.in(text, right(strconv.FormatUint(p.Calls, 10), c.calls)) + " " +
		st.in(status, right(fmtStatus(p.Status), c.status))
	return b + behind(c.last, 2, st.in(quietly, left(clock(p.Last, now), c.last))) +
		behind(c.service, 2, st.in(m.tone, left(cmp.Or(p.Service, m.word), c.service))) +
		behind(c.why, 2, st.in(quietly, left(p.Reason, c.why)))
}
