package tui

import (
	"strings"
	"time"

	"agentvault/proxy/event"
)

// columns says how wide each column of the list is; 0 leaves it out. They depend on the
// screen alone and never on what is in the list, so that nothing jumps.
type columns struct {
	width   int
	gap     int
	time    int
	method  int
	host    int // host and path together where path is 0
	path    int
	status  int
	took    int
	size    int
	verdict int // the word; the sign is always there
	why     int
}

// What a column needs. Seven is CONNECT and OPTIONS.
const (
	clockWidth  = 8 // 15:04:05
	methodWidth = 7
	tookWidth   = 5 // 999ms
	sizeWidth   = 4 // 999k
	hostMost    = 36
	pathMost    = 72
)

// columnsFor shares width cells out. The order in which columns go, the narrower it gets:
// why, size, time of day, duration, the verdict's word, then host and path share a column.
// Sign, method, host, path and status stay.
func columnsFor(width int) columns {
	c := columns{width: width, gap: 1, method: methodWidth, status: 4}
	if width < 60 {
		c.method-- // DELETE; CONNECT is cut
	} else {
		c.verdict = 10
	}
	if width >= 68 {
		c.took = tookWidth
	}
	if width >= 76 {
		c.time = clockWidth
	}
	if width >= 96 {
		c.size, c.status = sizeWidth, 6
	}
	if width >= 112 {
		c.gap, c.verdict = 2, 14
	}
	flex := width - c.fixed()
	if width < 60 {
		c.host = max(flex, 0)
		return c
	}
	flex -= c.gap
	// Seventeen is api.anthropic.com.
	c.host = min(max(flex*2/5, min(flex/2, 17)), hostMost)
	c.path = flex - c.host
	if c.path > pathMost && width >= 150 {
		c.why = c.path - pathMost - c.gap
		c.path = pathMost
	}
	return c
}

// fixed is what all columns but host and path take, gaps, mark and sign included.
func (c columns) fixed() int {
	n := 2 + c.gap + 1 // the mark of the chosen row; the sign
	for _, w := range []int{c.time, c.method, c.status, c.took, c.size} {
		if w > 0 {
			n += w + c.gap
		}
	}
	if c.verdict > 0 {
		n += 1 + c.verdict
	}
	return n
}

// header is the row of column titles.
func (c columns) header(st *Styles) string {
	status := "STATUS"
	if c.status < len(status) {
		status = "STAT"
	}
	r := c.row()
	r.add(left("TIME", c.time), c.time)
	r.add(left("METHOD", c.method), c.method)
	if c.path == 0 {
		r.add(left("HOST AND PATH", c.host), c.host)
	} else {
		r.add(left("HOST", c.host), c.host)
		r.add(left("PATH", c.path), c.path)
	}
	r.add(right(status, c.status), c.status)
	r.add(right("TIME", c.took), c.took)
	r.add(right("SIZE", c.size), c.size)
	r.add(left("VERDICT", c.verdict+2), c.verdict)
	r.add(left("WHY", c.why), c.why)
	return st.in(quietly, "  "+strings.TrimRight(r.String(), " "))
}

// call is the row of one call, at most c.width cells wide.
func (c columns) call(st *Styles, call *Call, now time.Time, chosen bool) string {
	m := call.mark()
	text := plain
	switch {
	case chosen:
		text = strong
	case m.tone == quietly:
		text = quietly
	}
	path, words := call.WithOperation(call.Path), call.words()
	r := c.row()
	r.put(st, quietly, left(clock(call.Time, now), c.time), c.time)
	r.put(st, text, left(call.method(), c.method), c.method)
	switch {
	case c.path == 0 && words != "":
		r.put(st, text, left(call.place()+" "+words, c.host), c.host)
	case c.path == 0:
		r.put(st, text, pad(target(call.place(), path, c.host), c.host), c.host)
	default:
		r.put(st, text, pad(cut(call.place(), c.host), c.host), c.host)
		if words != "" {
			r.put(st, text, left(words, c.path), c.path) // whose beginning says most
		} else {
			r.put(st, text, pad(cutPath(path, c.path), c.path), c.path)
		}
	}
	statusTone := text
	if call.Status >= 400 {
		statusTone = warning
	}
	r.put(st, statusTone, right(fmtStatus(call.Status), c.status), c.status)
	r.put(st, text, right(took(call, now), c.took), c.took)
	r.put(st, text, right(size(call), c.size), c.size)
	sign := m.sign
	if c.verdict > 0 {
		sign += " " + left(call.label(), c.verdict)
	}
	r.put(st, m.tone, sign, 1)
	r.put(st, quietly, left(call.Reason, c.why), c.why)
	return pointer(st, chosen) + r.String()
}

// pointer marks the chosen row.
func pointer(st *Styles, chosen bool) string {
	if chosen {
		return st.in(accent, "›") + " "
	}
	return "  "
}

// took is what the duration column says: of a call under way from the first second on,
// since a number that races tells nothing.
func took(c *Call, now time.Time) string {
	if c.Phase == event.Note {
		return "—"
	}
	d := c.elapsed(now)
	if !c.Done && d < time.Second {
		return ellipsis
	}
	if !c.Done {
		d = d.Truncate(time.Second)
	}
	return fmtDuration(d)
}

func size(c *Call) string {
	switch {
	case c.Phase == event.Note:
		return "—"
	case !c.Done:
		return ""
	case c.Status == 0 && c.Received == 0:
		return "—"
	}
	return fmtSize(c.Received)
}

// clock is the time of day, in the zone of now.
func clock(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(now.Location()).Format("15:04:05")
}

// behind is a column that stands behind others: the gap, and a text that is as wide as it has to
// be. Nothing where the column is left out.
func behind(width, gap int, text string) string {
	if width <= 0 {
		return ""
	}
	return "  "[:gap] + text
}

// rowBuilder joins columns with the gap between them and skips those that are left out.
type rowBuilder struct {
	strings.Builder
	gap int
}

func (c columns) row() *rowBuilder { return &rowBuilder{gap: c.gap} }

// add appends text unless its column is left out.
func (r *rowBuilder) add(text string, width int) {
	if width <= 0 {
		return
	}
	if r.Len() > 0 {
		r.WriteString("  "[:r.gap])
	}
	r.WriteString(text)
}

func (r *rowBuilder) put(st *Styles, t tone, text string, width int) {
	if width > 0 {
		r.add(st.in(t, text), width)
	}
}
