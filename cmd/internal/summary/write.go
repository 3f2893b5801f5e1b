package summary

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Options say how a summary looks.
type Options struct {
	Width    int           // columns of the terminal; 0 cuts nothing, for a file or a pipe
	Color    bool          // SGR colours
	Session  string        // the id that `agentvault log` takes
	Duration time.Duration // of the session
}

// most is how many endpoints a section shows; `agentvault log` has the rest.
const most = 8

// Write writes the summary. What came from the network is escaped. Writing does not end
// the counting.
func (s *Summary) Write(w io.Writer, o Options) error {
	p := printer{state: s.state(), o: o, style: text.Style(o.Color)}
	if p.calls == 0 && len(p.endpoints) == 0 {
		p.title([]string{text.Duration(o.Duration), "nothing went through the proxy", "the command made no call, or ignores HTTPS_PROXY"})
		p.leases()
		_, err := io.WriteString(w, p.b.String())
		return err
	}
	p.head()
	p.sections()
	p.leases()
	p.next()
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	state
	o     Options
	style text.Style
	b     strings.Builder
}

// head writes the first line: the counts of what went well and of everything else.
func (p *printer) head() {
	parts := []string{text.Duration(p.o.Duration), text.Count(p.calls, "call")}
	for _, v := range []event.Verdict{event.Injected, event.Passed, event.Denied, event.Failed, event.Tunnelled, event.Bypassed} { // the uncovered follow
		if n := p.verdicts[v]; n > 0 {
			parts = append(parts, text.Number(n)+" "+string(v))
		}
	}
	if p.held > 0 {
		parts = append(parts, text.Number(p.held)+" held")
	}
	if p.open > 0 {
		parts = append(parts, text.Number(p.open)+" cut short")
	}
	if c := discover.CoverageOf(p.endpoints); c.Endpoints > 0 {
		parts = append(parts, "coverage "+strconv.Itoa(c.Percent)+" %")
	}
	p.title(parts)
}

// title writes the name and behind it the parts, in as many rows as they need.
func (p *printer) title(parts []string) {
	indent := len("agentvault  ")
	line, rows := "", []string{}
	for _, part := range parts {
		switch {
		case line == "":
			line = part
		case p.o.Width > 0 && indent+text.Width(line)+3+text.Width(part) > p.o.Width:
			rows, line = append(rows, line), part
		default:
			line += " · " + part
		}
	}
	p.b.WriteString(p.style.Strong("agentvault") + "  " + strings.Join(append(rows, line), "\n"+strings.Repeat(" ", indent)) + "\n")
}

// section is a heading and the endpoints under it.
type section struct {
	noun, title string // the heading is a count, the noun and the title
	// count says how many calls of an endpoint the section is about; none leaves it out.
	count func(e *discover.Endpoint) int
}

func (p *printer) sections() {
	connections := func(kind discover.Kind) func(e *discover.Endpoint) int {
		return func(e *discover.Endpoint) int {
			if e.Kind != kind {
				return 0
			}
			return e.Calls
		}
	}
	for _, s := range []section{
		{"endpoint", "without a service", missed},
		{"endpoint", "denied", func(e *discover.Endpoint) int {
			if e.Kind != discover.Call || missed(e) > 0 {
				return 0
			}
			return e.Denied
		}},
		{"endpoint", "failed", func(e *discover.Endpoint) int {
			if e.Kind != discover.Call {
				return 0
			}
			return e.Failed
		}},
		{"host", "without a call: certificate refused, no TLS, or out of reach", connections(discover.Handshake)},
		{"place", "reached around the proxy", connections(discover.Direct)},
	} {
		p.section(s)
	}
}

// leases writes what was issued for the session and could not be given back, with what
// gives it back by hand. None is left out: each is a credential that still works.
func (p *printer) leases() {
	if len(p.left) == 0 {
		return
	}
	p.b.WriteString("  " + p.style.Warning("⚠ "+text.Count(len(p.left), "lease")+" could not be given back") + "\n")
	for _, e := range p.left {
		why, how, _ := strings.Cut(event.Escape(e.Reason), "; to revoke it: ")
		p.b.WriteString("    " + why + "\n")
		if how != "" {
			p.b.WriteString("      to revoke it   " + how + "\n")
		}
	}
}

// missed counts the calls that no service covered, without those that a human let through
// with unmatched = "allow", those that did not get through anyway, and those that were
// refused for more than the want of a service.
func missed(e *discover.Endpoint) int {
	switch {
	case e.Kind != discover.Call, e.Covered, e.Verdict == event.Passed, e.Verdict == event.Failed,
		e.Verdict == event.Denied && len(e.Allow) == 0:
		return 0
	}
	return e.Missed
}

// section writes the endpoints that it is about, those that matter most first.
func (p *printer) section(s section) {
	var found []counted
	for i := range p.endpoints {
		if n := s.count(&p.endpoints[i]); n > 0 {
			found = append(found, counted{&p.endpoints[i], n})
		}
	}
	if len(found) == 0 {
		return
	}
	slices.SortStableFunc(found, func(a, b counted) int {
		return cmp.Or(cmp.Compare(weight(a.Endpoint), weight(b.Endpoint)), cmp.Compare(b.n, a.n))
	})
	p.b.WriteString("  " + p.style.Warning("⚠ "+text.Count(len(found), s.noun)+" "+s.title) + "\n")
	more := 0
	if len(found) > most {
		more = len(found) - most + 1
		found = found[:most-1]
	}
	p.rows(found)
	if more > 0 {
		p.b.WriteString("    " + p.style.Dim("and "+text.Number(more)+" more") + "\n")
	}
}

// counted is an endpoint and how many of its calls a section is about.
type counted struct {
	*discover.Endpoint
	n int
}

// weight is the order of the grades.
func weight(e *discover.Endpoint) int {
	return slices.Index([]discover.Grade{discover.Credential, discover.Refused, discover.Writes, discover.Reads, ""}, e.Grade)
}

// columns are the widths of the columns, or a row of them.
type columns[T any] struct{ method, place, calls, status, note T }

// rows writes endpoints in columns: method, host and path, calls, last status, reason.
func (p *printer) rows(found []counted) {
	rows := make([]columns[string], len(found))
	var w columns[int]
	for i, e := range found {
		x := columns[string]{method: event.Escape(e.Method), place: event.Escape(e.HostPort() + e.Target()), calls: text.Count(e.n, "call"), note: why(e.Endpoint)}
		if e.Kind != discover.Call {
			x.method, x.calls = "", text.Count(e.n, "connection")
		}
		if e.LastStatus != 0 {
			x.status = "last " + strconv.Itoa(e.LastStatus)
		}
		rows[i] = x
		w.method, w.place, w.calls = max(w.method, text.Width(x.method)), max(w.place, text.Width(x.place)), max(w.calls, text.Width(x.calls))
		w.status, w.note = max(w.status, text.Width(x.status)), max(w.note, text.Width(x.note))
	}
	p.fit(&w)
	for _, x := range rows {
		p.row(x, w)
	}
}

// fit shares what is left beside the short columns between place and note.
func (p *printer) fit(w *columns[int]) {
	if p.o.Width <= 0 {
		return
	}
	left := p.o.Width - len("    ") - 3 - w.calls - 3
	if w.method > 0 {
		left -= w.method + 1
	}
	if w.status > 0 {
		left -= w.status + 3
	}
	if left = max(left, 20); w.place+w.note > left {
		w.note = min(w.note, max(left/3, left-w.place))
		w.place = min(w.place, left-w.note)
	}
}

func (p *printer) row(x columns[string], w columns[int]) {
	line := "    "
	if w.method > 0 {
		line += text.Left(x.method, w.method) + " "
	}
	line += text.Left(text.Cut(x.place, w.place), w.place) + "   " + text.Right(x.calls, w.calls)
	if w.status > 0 {
		line += "   " + text.Left(x.status, w.status)
	}
	if note := text.CutEnd(x.note, w.note); note != "" {
		line += "   " + p.style.Dim(note)
	}
	p.b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// why is the reason that the proxy gave, where that is more than "no service".
func why(e *discover.Endpoint) string {
	if e.Kind != discover.Call {
		if e.Client != "" {
			return event.Escape("by " + e.Client)
		}
		return event.Escape(e.Reason)
	}
	switch {
	case e.Trouble != "":
		return event.Escape(e.Trouble)
	case e.Service != "" && e.Reason != "":
		return event.Escape(e.Reason)
	}
	return discover.NoteOf(e)
}

// next writes what to type.
func (p *printer) next() {
	if p.over > 0 {
		p.b.WriteString("  and " + text.Count(p.over, "call") + " to more endpoints than are counted\n")
	}
	if p.lost > 0 {
		p.b.WriteString("  " + p.style.Warning("⚠ the log lacks "+text.Count(p.lost, "event")+" that could not be written") + "\n")
	}
	if p.o.Session == "" {
		return
	}
	id := event.Escape(p.o.Session)
	// Only what --write can cover.
	if slices.ContainsFunc(p.endpoints, func(e discover.Endpoint) bool { return missed(&e) > 0 && len(e.Allow) > 0 }) {
		p.b.WriteString("  cover them   agentvault discover --from " + id + " --write\n")
	}
	p.b.WriteString("  log          agentvault log " + id + "\n")
}
