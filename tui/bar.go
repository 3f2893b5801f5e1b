package tui

import (
	"cmp"
	"strconv"
	"time"

	"agentvault/proxy/event"
)

// barMost is the most rows that the bar takes from the agent.
const barMost = 4

// Foot draws the rows under the agent, from a Store that somebody else feeds. The rows
// are styled text of exactly the width asked for, end in an SGR reset and move no cursor.
// It keeps nothing: what is drawn follows from the fields and the arguments.
type Foot struct {
	Store  *Store
	Styles Styles
	// Hotkey is how the key that opens the view is written; "^]" when empty.
	Hotkey string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Question is what waits for the human, nil for nothing.
	Question *Question
	// Note is what the human's last key did, where that is worth a row; escaped when drawn.
	Note string
}

// Bar is one row, and a row more for each endpoint that is uncovered or denied and has
// not been read, four at most. A question and a note take their rows from these.
func (f *Foot) Bar(width int) []string {
	if width <= 0 {
		return nil
	}
	var rows []string
	unread := f.Store.Unread(nil)
	bottom := f.bottom(width, true, len(unread) > 0)
	for _, row := range alertRows(&f.Styles, unread, width, barMost-len(bottom)) {
		rows = append(rows, f.finish(row, width))
	}
	return append(rows, bottom...)
}

// Dock is a list of the newest calls in height rows, above the row of the bar.
func (f *Foot) Dock(width, height int) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	bottom := f.bottom(width, false, len(f.Store.Unread(nil)) > 0)
	if len(bottom) > height {
		return bottom[len(bottom)-height:]
	}
	var rows []string
	room := height - len(bottom)
	if room >= 4 { // a line between the agent and us, where it costs no more than a quarter
		rows = append(rows, f.finish(rule(&f.Styles, "", width), width))
	}
	cols := columnsFor(width)
	if room >= 2 {
		rows = append(rows, f.finish(cols.header(&f.Styles), width))
	}
	now := f.now()
	for _, c := range f.Store.Last(room - len(rows)) {
		rows = append(rows, f.finish(cols.call(&f.Styles, c, now, false), width))
	}
	for len(rows) < room {
		rows = append(rows, f.finish("", width))
	}
	return append(rows, bottom...)
}

// bottom is the note and the question, if there are any, and the row of counts.
func (f *Foot) bottom(width int, newest, unread bool) []string {
	var rows []string
	asked := f.Question.rows(&f.Styles, f.key(), width)
	for _, line := range wrapWords(safe(f.Note), max(width-4, 1), max(0, barMost-1-len(asked))) {
		if f.Note != "" {
			rows = append(rows, f.finish("  "+f.Styles.in(accent, line), width))
		}
	}
	for _, row := range asked {
		rows = append(rows, f.finish(row, width))
	}
	return append(rows, f.finish(f.status(width, newest, unread), width))
}

// status is the row of counts: what there was, what needs a look, the newest call, and
// the key that shows more.
func (f *Foot) status(width int, newest, unread bool) string {
	s, st := f.Store, &f.Styles
	hint := f.hint(width, unread)
	first := "◆ " + fmtCalls(s.Calls())
	alerts := fitPieces(alertCounts(s), "  ", max(width-2-cells(first)-3-cells(hint)-1, 0))
	behind := ""
	if len(alerts) > 0 {
		behind = "   " + join(st, alerts, "  ")
	}
	counts := fitPieces([]piece{
		{first, accent, 0},
		{countOf(event.Injected, s.Count(event.Injected)), plain, 1},
		{countOf(event.Passed, s.Count(event.Passed)), quietly, 3},
		{countOf(event.Tunnelled, s.Count(event.Tunnelled)), quietly, 4},
		{countOf(event.Failed, s.Count(event.Failed)), plain, 2},
	}, " · ", width-2-cells(behind)-cells(hint)-2)
	line := "  " + join(st, counts, " · ") + behind
	room := width - cells(line) - cells(hint)
	if call := s.Newest(); newest && call != nil && room >= 40 { // with less of it nobody could tell which call it was
		text := f.newest(call, min(room-8, 64))
		line += "     " + st.in(quietly, text)
	}
	return sides(line, hint, width)
}

// hint is the end of the row: what key does what.
func (f *Foot) hint(width int, unread bool) string {
	key := f.key()
	text := key + " view "
	if unread && width >= 64 {
		text = key + " view   " + key + " a read "
	}
	if width < 36 {
		return ""
	}
	return f.Styles.in(quietly, text)
}

// newest is a call in width cells: POST api.anthropic.com/v1/messages 200 1.2s.
func (f *Foot) newest(c *Call, width int) string {
	end := " " + ellipsis
	if c.Done {
		end = " " + fmtStatus(c.Status) + " " + fmtDuration(c.Duration)
	}
	if c.Phase == event.Note {
		end = ""
	}
	method := left(c.method(), min(cells(c.method()), methodWidth)) + " "
	path := c.WithOperation(c.Path)
	if words := c.words(); words != "" {
		path = " " + words
	}
	return method + target(c.place(), path, width-cells(method)-cells(end)) + end
}

func (f *Foot) key() string { return cmp.Or(f.Hotkey, "^]") }

func (f *Foot) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

// finish makes line a row: exactly width cells, nothing left switched on.
func (f *Foot) finish(line string, width int) string { return fill(line, width) + reset }

// countOf is "39 injected", nothing where n is none.
func countOf(v event.Verdict, n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10) + " " + markOf(v).word
}

// alertCounts is what needs a look, by number: endpoints that are uncovered or denied,
// connections that went around the proxy, calls that wait.
func alertCounts(s *Store) []piece {
	var pieces []piece
	for _, a := range []struct {
		v    event.Verdict
		n    uint64
		drop int
	}{
		{event.Held, s.Count(event.Held), 0},
		{event.Uncovered, s.EndpointsWith(event.Uncovered), 1},
		{event.Denied, s.EndpointsWith(event.Denied), 2},
		{event.Bypassed, s.Count(event.Bypassed), 2},
	} {
		if text := countOf(a.v, a.n); text != "" {
			pieces = append(pieces, piece{markOf(a.v).sign + " " + text, warning, a.drop})
		}
	}
	return pieces
}
