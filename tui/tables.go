package tui

import (
	"cmp"
	"strconv"
	"strings"
	"time"
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

// asCall lets an endpoint answer a filter.
func (p *Endpoint) asCall() *Call {
	c := &Call{}
	c.Method, c.Scheme, c.Host, c.Port, c.Path = p.Method, p.Scheme, p.Host, p.Port, p.Template
	c.Status, c.Verdict, c.Service, c.Reason, c.Auth = p.Status, p.Verdict, p.Service, p.Reason, p.Auth
	return c
}

// endpointColumns shares the width out for the endpoints: sign, method and address stay.
type endpointColumns struct {
	address, calls, status, last, service, why int
}

func endpointColumnsFor(width int) endpointColumns {
	c := endpointColumns{calls: 6, status: 4}
	flex := width - 2 - 2 - methodWidth - 1 - c.calls - 1 - c.status - 1
	if width >= 60 {
		c.service = 12
		flex -= c.service + 2
	}
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
	b := "    " + left("METHOD", methodWidth) + " " + left("ENDPOINT", c.address) + " " + right("CALLS", c.calls) + " " + right("LAST", c.status)
	if c.last > 0 {
		b += "  " + left("AT", c.last)
	}
	if c.service > 0 {
		b += "  " + left("SERVICE", c.service)
	}
	if c.why > 0 {
		b += "  " + left("WHY", c.why)
	}
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
		st.in(text, left(p.Method, methodWidth)) + " " +
		st.in(text, pad(target(p.HostPort(), p.Template, c.address), c.address)) + " " +
		st.in(text, right(strconv.FormatUint(p.Calls, 10), c.calls)) + " " +
		st.in(status, right(fmtStatus(p.Status), c.status))
	if c.last > 0 {
		b += "  " + st.in(quietly, left(clock(p.Last, now), c.last))
	}
	if c.service > 0 {
		b += "  " + st.in(m.tone, left(cmp.Or(p.Service, m.word), c.service))
	}
	if c.why > 0 {
		b += "  " + st.in(quietly, left(p.Reason, c.why))
	}
	return b
}

// servicesHeader and serviceRow draw the services: name and calls stay.
func servicesHeader(st *Styles, width int) string {
	b := "  " + left("SERVICE", 16) + right("CALLS", 7)
	if width >= 56 {
		b += right("INJECTED", 10) + right("REFUSED", 9) + right("FAILED", 8)
	}
	if width >= 76 {
		b += "  " + left("AT", clockWidth)
	}
	if width >= 90 {
		b += "  SECRET AND SLOT"
	}
	return st.in(quietly, b)
}

func serviceRow(st *Styles, v *Service, now time.Time, chosen bool, width int) string {
	text := plain
	if chosen {
		text = strong
	}
	n := func(x uint64, w int) string { return right(strconv.FormatUint(x, 10), w) }
	b := pointer(st, chosen) + st.in(text, left(v.Name, 16)+n(v.Calls, 7))
	if width >= 56 {
		refused := text
		if v.Refused+v.Failed > 0 {
			refused = warning
		}
		b += st.in(text, n(v.Injected, 10)) + st.in(refused, n(v.Refused, 9)+n(v.Failed, 8))
	}
	if width >= 76 {
		b += "  " + st.in(quietly, left(clock(v.Last, now), clockWidth))
	}
	if width >= 90 {
		slot := v.Secret
		if v.Where != "" {
			slot += " in " + v.Where
		}
		b += "  " + st.in(quietly, cut(slot, width-2-16-7-27-10-2))
	}
	return b
}
