package discover

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Options say how a report looks and what it knows.
type Options struct {
	Width   int    // columns of the terminal; 0 cuts nothing, for a file or a pipe
	Color   bool   // SGR colours
	Session string // the id that `--from` takes; empty leaves the commands that need it out
	Known   Known  // the catalogue; nil knows nothing
	Over    int    // calls that Folder.Over could not place
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

	method, path, calls, status, note int // widths
}

// row is one line, ready but for its widths.
type row struct {
	place, host               string
	port                      int
	kind                      Kind
	sign, method, path, calls string
	status, note              string
	warn, quiet               bool
}

func (r *report) row(e *Endpoint) row {
	x := row{
		place: e.HostPort(), host: e.Host, port: e.Port, kind: e.Kind,
		method: event.Escape(e.Method), path: event.Escape(e.Path), calls: text.Count(e.Calls, "call"), status: statuses(e),
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
		x.quiet = !x.warn
		return x
	}
	x.method, x.calls, x.status = "", text.Count(e.Calls, "connection"), ""
	return x
}

// signOf is the sign before a call.
func signOf(e *Endpoint) string {
	switch {
	case e.Verdict == event.Denied, e.Verdict == event.Failed && e.Covered:
		return "✕"
	case e.Covered && e.Verdict == event.Passed:
		return "○"
	case e.Covered:
		return "●"
	case e.Grade == Credential, e.Grade == Refused, e.Service != "":
		return "⚠"
	}
	return "○"
}

// NoteOf says in a few words why an endpoint of kind call is as it is; empty for one that
// is covered and went well. It is escaped.
func NoteOf(e *Endpoint) string {
	var note string
	switch {
	case e.Verdict == event.Denied && e.Reason != "", e.Verdict == event.Failed && e.Reason != "":
		note = event.Escape(e.Reason)
	case e.Verdict == event.Denied:
		note = "denied"
	case e.Verdict == event.Failed:
		note = "failed"
	case e.Covered:
		return ""
	case e.Service != "":
		note = "not in allow"
	case len(e.Auth) > 0:
		note = carried(e.Auth[0])
	case e.Grade == Refused:
		note = "refused, no credential"
	default:
		note = "no credential"
	}
	if e.Label != "" {
		note = e.Label + ", " + note
	}
	return note
}

// carried says which credential of its own the child sent.
func carried(auth string) string {
	kind, name, _ := strings.Cut(auth, ":")
	switch kind {
	case "bearer", "token", "apikey", "key", "oauth", "authorization", "dpop":
		return "own key in Authorization"
	case "basic", "digest":
		return "own user and password"
	case "cookie":
		return "own cookie"
	case "query":
		return "own key in ?" + event.Escape(name)
	case "sigv4":
		return "own AWS signature"
	case "placeholder":
		return "a placeholder"
	case "negotiate", "ntlm", "hawk", "signature":
		return "own signature"
	}
	return "own key in " + event.Escape(headerName(kind))
}

// statuses gives the statuses of an endpoint, the most frequent first.
func statuses(e *Endpoint) string {
	codes := slices.SortedFunc(maps.Keys(e.Statuses), func(a, b int) int {
		return cmp.Or(cmp.Compare(e.Statuses[b], e.Statuses[a]), cmp.Compare(a, b))
	})
	switch {
	case len(codes) > 0:
	case e.Open > 0:
		return "open"
	default:
		return "—"
	}
	more := ""
	if len(codes) > 3 {
		codes, more = codes[:3], " …"
	}
	parts := make([]string, len(codes))
	for i, c := range codes {
		parts[i] = strconv.Itoa(c)
	}
	return strings.Join(parts, " ") + more
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

// fixed is the width of all that is neither path nor note.
func (r *report) fixed() int { return margin + r.method + 1 + 2 + r.calls + 3 + r.status + 3 }

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
	host := text.Cut(event.Escape(x.place), max(column-2, 12))
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
			if e.Service != "" && !slices.Contains(services, e.Service) {
				services = append(services, event.Escape(e.Service))
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
	if r.o.Known != nil {
		if name, _ := r.o.Known(x.host, x.port); name != "" {
			return "known service, not configured", true
		}
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

// end writes the coverage and what to type next.
func (r *report) end(endpoints []Endpoint) {
	c := CoverageOf(endpoints)
	r.b.WriteByte('\n')
	if r.o.Over > 0 {
		fmt.Fprintf(&r.b, "And %s to more endpoints than a report holds.\n", text.Count(r.o.Over, "call"))
	}
	switch {
	case c.Endpoints == 0:
		r.b.WriteString("No call could be seen: connections only.\n")
		return
	case c.Covered == c.Endpoints:
		fmt.Fprintf(&r.b, "%s, all covered (100 %%).\n", text.Count(c.Endpoints, "endpoint"))
		return
	}
	fmt.Fprintf(&r.b, "%s, %s covered (%d %%).", text.Count(c.Endpoints, "endpoint"), text.Number(c.Covered), c.Percent)
	commands := Commands(Suggest(endpoints, r.o.Known), r.o.Session)
	if len(commands) == 0 {
		r.b.WriteString("\n")
		return
	}
	fmt.Fprintf(&r.b, " %s the rest:\n", covers(len(commands)))
	for _, line := range commands {
		r.b.WriteString("  " + line + "\n")
	}
}

// covers is the start of a sentence about n commands.
func covers(n int) string {
	words := []string{"No command covers", "One command covers", "Two commands cover", "Three commands cover", "Four commands cover", "Five commands cover"}
	if n < len(words) {
		return words[n]
	}
	return strconv.Itoa(n) + " commands cover"
}

// Commands gives what to type so that the suggestions become services: a secret each
// where one is needed, then the command that writes the configuration from the session.
func Commands(suggestions []Suggestion, session string) []string {
	var all []string
	for _, s := range suggestions {
		if !s.NeedsSecret() {
			continue
		}
		line := "agentvault secret set " + s.Name
		for _, h := range s.Hosts {
			line += " --host " + h
		}
		all = append(all, line)
	}
	if len(suggestions) > 0 && session != "" {
		all = append(all, "agentvault discover --from "+event.Escape(session)+" --write")
	}
	return all
}
