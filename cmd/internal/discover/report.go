package discover

import (
	"io"
	"slices"
	"strings"
	"time"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Options say how a report looks and what it knows.
type Options struct {
	Width   int    // columns of the terminal; 0 cuts nothing, for a file or a pipe
	Color   bool   // SGR colours
	Session string // the id, if the report is of one session
	// Again are the flags that make the same report from logs (--from 7f3a); empty leaves
	// the commands that need them out.
	Again string
	// Written says that the suggestions are being written, so that no command has to.
	Written bool
	// Open leaves what to type out of the report: it is still being talked about.
	Open bool
	// Location is that of the times; nil is UTC.
	Location *time.Location
	Knowledge
	Over int // calls that Folder.Over could not place
}

// Report writes the endpoints, which are in the order of Endpoints, grouped by host: what
// is covered by which service and what is not, the coverage, and the commands that cover
// the rest. What came from the network is escaped.
func Report(w io.Writer, endpoints []Endpoint, o Options) error {
	r := report{o: o, style: text.Style(o.Color)}
	if len(endpoints) == 0 {
		_, err := io.WriteString(w, "No call went through the proxy, so there is nothing to cover.\n"+
			"A program that ignores HTTPS_PROXY is not seen; agentvault demo shows one that is.\n")
		return err
	}
	r.span(endpoints)
	for i := range endpoints {
		r.rows = append(r.rows, r.row(&endpoints[i]))
	}
	r.layout()
	for i, row := range r.rows {
		if i == 0 || row.place != r.rows[i-1].place {
			r.heading(endpoints, row)
		}
		r.write(row)
	}
	r.end(endpoints)
	_, err := io.WriteString(w, r.b.String())
	return err
}

type report struct {
	o     Options
	style text.Style
	rows  []row
	b     strings.Builder

	first, last time.Time // of all
	oneDay      bool

	method, path, calls, status, note int // widths
	median, size, when                int // also widths, 0 where there is no room
}

// row is one line, ready but for its widths.
type row struct {
	place, host               string
	port                      int
	kind                      Kind
	sign, method, path, calls string
	status, note              string
	median, size, when        string
	warn, quiet               bool
}

func (r *report) row(e *Endpoint) row {
	x := row{
		place: e.HostPort(), host: e.Host, port: e.Port, kind: e.Kind,
		method: event.Escape(e.Method), path: event.Escape(e.Target()), calls: text.Count(e.Calls, "call"), status: statuses(e),
		median: "—", size: text.Bytes(e.Sent + e.Received), when: r.times(e.First, e.Last),
	}
	if e.Median > 0 {
		x.median = text.Duration(e.Median)
	}
	switch e.Kind {
	case Tunnel:
		x.sign, x.path, x.quiet = "≡", "not intercepted", true
	case Handshake:
		x.sign, x.path, x.note, x.warn = "✕", "no call got through", event.Escape(e.Reason), true
	case Direct:
		x.sign, x.path, x.note, x.warn = "✕", "direct", event.Escape(e.Reason), true
		if e.Client != "" {
			x.path = "direct, by " + event.Escape(e.Client)
		}
	default:
		x.sign, x.note, x.warn = signOf(e), NoteOf(e), !e.Covered && (e.Grade == Credential || e.Grade == Refused || e.Service != "")
		if r.o.coveredNow(e) {
			x.sign, x.note, x.warn = "●", "covered by now", false
		}
		x.quiet = !x.warn
		return x
	}
	x.method, x.calls, x.status, x.median = "", text.Count(e.Calls, "connection"), "", ""
	if e.Label != "" {
		x.note = strings.TrimSuffix(e.Label+", "+x.note, ", ")
	}
	return x
}

func (r *report) local(t time.Time) time.Time {
	if r.o.Location == nil {
		return t.UTC()
	}
	return t.In(r.o.Location)
}

// span finds the first call and the last.
func (r *report) span(endpoints []Endpoint) {
	for i := range endpoints {
		e := &endpoints[i]
		if r.first.IsZero() || e.First.Before(r.first) {
			r.first = e.First
		}
		if e.Last.After(r.last) {
			r.last = e.Last
		}
	}
	r.first, r.last = r.local(r.first), r.local(r.last)
	r.oneDay = r.first.Format(time.DateOnly) == r.last.Format(time.DateOnly)
}

// times gives the first and the last call of an endpoint: the time of day where that
// says it, otherwise the days.
func (r *report) times(first, last time.Time) string {
	form := "01-02"
	if r.oneDay {
		form = "15:04"
	}
	from, to := r.local(first).Format(form), r.local(last).Format(form)
	if from == to {
		return from
	}
	return from + "–" + to
}

// layout finds the widths of the columns: what is left beside the short ones is shared
// by path and note.
func (r *report) layout() {
	for _, x := range r.rows {
		if x.kind == Call {
			r.method = max(r.method, text.Width(x.method))
			r.calls = max(r.calls, text.Width(x.calls))
			r.status = max(r.status, text.Width(x.status))
		}
		r.path = max(r.path, text.Width(x.path))
		r.note = max(r.note, text.Width(x.note))
		if r.o.Width <= 0 || r.o.Width >= wide {
			r.when = max(r.when, text.Width(x.when))
		}
		if r.o.Width <= 0 || r.o.Width >= medium {
			r.median, r.size = max(r.median, text.Width(x.median)), max(r.size, text.Width(x.size))
		}
	}
	if r.o.Width <= 0 {
		return
	}
	left := max(r.o.Width-r.fixed(), 20)
	if r.path+r.note <= left {
		return
	}
	r.note = min(r.note, max(left/3, left-r.path))
	r.path = left - r.note
}

// margin is what stands before the method: two blanks, the sign, a blank.
const margin = 4

// From these widths of a terminal on there is room for duration and bytes, and for times.
const medium, wide = 100, 120

// fixed is the width of all that is neither path nor note.
func (r *report) fixed() int {
	n := margin + r.method + 1 + 2 + r.calls + 3 + r.status + 3
	for _, column := range []int{r.median, r.size, r.when} {
		if column > 0 {
			n += 2 + column
		}
	}
	return n
}

// heading writes the line of a host and what stands behind it.
func (r *report) heading(endpoints []Endpoint, x row) {
	state, warn := r.state(endpoints, x)
	if r.b.Len() > 0 {
		r.b.WriteByte('\n')
	}
	column := margin + r.method + 1 + r.path + 2
	if r.o.Width > 0 {
		column = min(column, max(r.o.Width-text.Width(state), 0))
	}
	host := event.Escape(x.place)
	if r.o.Width > 0 {
		host = text.Cut(host, max(r.o.Width-2-text.Width(state), 12))
	}
	gap := strings.Repeat(" ", max(column-text.Width(host), 2))
	if warn {
		state = r.style.Warning(state)
	} else {
		state = r.style.Dim(state)
	}
	r.b.WriteString(r.style.Strong(host) + gap + state + "\n")
}

// state says what stands behind a host: its services, the catalogue, or nothing.
func (r *report) state(endpoints []Endpoint, x row) (state string, warn bool) {
	var services []string
	calls := false
	for i := range endpoints {
		if e := &endpoints[i]; e.Host == x.host && e.Port == x.port {
			calls = calls || e.Kind == Call
			name := event.Escape(e.Service)
			if r.o.coveredNow(e) {
				name, _ = r.o.Now(e)
				name = event.Escape(name)
			}
			if name != "" && !slices.Contains(services, name) {
				services = append(services, name)
			}
		}
	}
	switch {
	case len(services) == 1:
		return "service " + services[0], false
	case len(services) > 1:
		return "services " + strings.Join(services, ", "), false
	case !calls:
		return "connections only", false
	}
	if r.o.entry(x.host, x.port).Name != "" {
		return "known service, not configured", true
	}
	return "unknown", true
}

func (r *report) write(x row) {
	sign := x.sign
	switch {
	case x.warn:
		sign = r.style.Warning(sign)
	case x.sign == "●":
		sign = r.style.Accent(sign)
	case x.quiet:
		sign = r.style.Dim(sign)
	}
	line := "  " + sign + " "
	if x.kind == Call {
		line += text.Left(x.method, r.method) + " " + text.Left(text.Cut(x.path, r.path), r.path) +
			"  " + text.Right(x.calls, r.calls) + "   " + text.Left(x.status, r.status)
	} else { // over the columns of method and path, and of calls and statuses
		wide := r.method + 1 + r.path
		line += text.Left(text.Cut(x.path, wide), wide) + "  " + text.Left(x.calls, r.calls+3+r.status)
	}
	for _, column := range []struct {
		text  string
		width int
	}{{x.median, r.median}, {x.size, r.size}, {x.when, r.when}} {
		if column.width > 0 {
			line += "  " + r.style.Dim(text.Right(column.text, column.width))
		}
	}
	if note := text.CutEnd(x.note, r.note); note != "" {
		if x.warn {
			note = r.style.Warning(note)
		} else {
			note = r.style.Dim(note)
		}
		line += "   " + note
	}
	r.b.WriteString(strings.TrimRight(line, " ") + "\n")
}
