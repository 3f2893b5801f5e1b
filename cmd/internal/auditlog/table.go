package auditlog

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Options say how something is printed for people.
type Options struct {
	Width    int            // columns of the terminal; 0 cuts nothing, for a file or a pipe
	Color    bool           // SGR colours
	Location *time.Location // of the times; nil is the machine's own
}

func (o Options) local(t time.Time) time.Time {
	if o.Location == nil {
		return t.Local()
	}
	return t.In(o.Location)
}

// Table writes the chosen calls, a row each, as they are read: nothing is held back, so a
// long log shows at once. A line names each session and each new day.
func Table(w io.Writer, q Query, o Options) (Stats, error) {
	t := &table{w: w, o: o, style: text.Style(o.Color)}
	stats, err := q.Each(t.row)
	if err == nil && stats.Calls == 0 {
		_, err = io.WriteString(w, "no calls\n")
	}
	return stats, err
}

type table struct {
	w       io.Writer
	o       Options
	style   text.Style
	session string
	day     string
	line    []byte
}

// The fixed columns: time, method, status, duration, size, verdict. A verdict is as wide
// as "⚠ uncovered" or as a service's name, which is cut.
const (
	wideTime, wideMethod, wideStatus, wideDuration, wideSize, wideVerdict = 8, 7, 6, 6, 5, 16
	// Terminals narrower than this do without duration and size.
	narrow = 100
)

func (t *table) narrow() bool { return t.o.Width > 0 && t.o.Width < narrow }

// widths shares what is left of the width between host and path.
func (t *table) widths() (host, path int) {
	if t.o.Width <= 0 {
		return 0, 0
	}
	left := t.o.Width - wideTime - 2 - wideMethod - 2 - 2 - 2 - wideStatus - 2 - wideVerdict
	if !t.narrow() {
		left -= wideDuration + 2 + wideSize + 2
	}
	left = max(left, 24)
	host = min(28, left*9/20)
	return host, left - host
}

func (t *table) row(e *event.Event) error {
	at := t.o.local(e.Time)
	b := t.line[:0]
	if day := at.Format(time.DateOnly); e.Session != t.session || day != t.day {
		b = append(b, t.style.Dim("session "+event.Escape(e.Session)+", "+day)...)
		b = append(b, '\n')
		if t.session == "" {
			b = append(b, t.style.Dim(t.header())...)
			b = append(b, '\n')
		}
		t.session, t.day = e.Session, day
	}
	host, path := t.widths()
	b = at.AppendFormat(b, time.TimeOnly)
	b = column(b, event.Escape(e.Method), wideMethod, true)
	b = column(b, event.Escape(e.HostPort()), host, true)
	b = column(b, event.Escape(e.WithOperation(e.Path)), path, true)
	b = column(b, status(e), wideStatus, false)
	if !t.narrow() {
		b = column(b, duration(e), wideDuration, false)
		b = column(b, size(e), wideSize, false)
	}
	b = append(b, "  "...)
	sign, word, warn := Mark(e)
	verdict := sign + " " + text.Cut(event.Escape(word), wideVerdict-2)
	if warn {
		verdict = t.style.Warning(verdict)
	}
	b = append(b, verdict...)
	b = append(b, '\n')
	t.line = b
	_, err := t.w.Write(b)
	return err
}

func (t *table) header() string {
	host, path := t.widths()
	b := []byte(text.Left("TIME", wideTime))
	b = column(b, "METHOD", wideMethod, true)
	b = column(b, "HOST", host, true)
	b = column(b, "PATH", path, true)
	b = column(b, "STATUS", wideStatus, false)
	if !t.narrow() {
		b = column(b, "TIME", wideDuration, false)
		b = column(b, "SIZE", wideSize, false)
	}
	return string(append(b, "  VERDICT"...))
}

// column appends two blanks and s, cut and padded; a width of 0 does neither.
func column(b []byte, s string, width int, left bool) []byte {
	b = append(b, "  "...)
	switch {
	case width == 0:
		return append(b, s...)
	case left:
		return append(b, text.Left(text.Cut(s, width), width)...)
	}
	return append(b, text.Right(text.Cut(s, width), width)...)
}

func status(e *event.Event) string {
	if e.Status == 0 {
		return "—"
	}
	return strconv.Itoa(e.Status)
}

func duration(e *event.Event) string {
	if e.Duration <= 0 {
		return "—"
	}
	return text.Duration(e.Duration)
}

func size(e *event.Event) string {
	if e.Received == 0 && e.Status == 0 {
		return "—"
	}
	return text.Bytes(e.Received)
}

// Mark is the sign and the word for what became of a call; warn says that it deserves a
// look. An injected call is named by its service, and by what kind of key went out where
// the catalogue can tell (live, test).
func Mark(e *event.Event) (sign, word string, warn bool) {
	if e.Phase == event.Start {
		return "·", "no end", false
	}
	switch e.Verdict {
	case event.Injected:
		return "●", strings.TrimSpace(e.Service + " " + e.Label), false
	case event.Passed:
		return "○", "passed", false
	case event.Tunnelled:
		return "≡", "tunnelled", false
	case event.Uncovered:
		return "⚠", "uncovered", true
	case event.Held:
		return "?", "held", true
	case event.Denied, event.Failed, event.Bypassed:
		return "✕", string(e.Verdict), true
	}
	return "·", string(e.Verdict), false
}

// ListGone writes what would go, a row each session.
func ListGone(w io.Writer, gone []Gone, o Options) error {
	sessions := make([]Session, len(gone))
	for i, g := range gone {
		s := g.Session
		if s.Size = g.Bytes; !g.Whole {
			s.ID += fmt.Sprintf(" (%d of %d files)", g.Parts, len(s.Parts))
		}
		s.Parts, s.Closed = nil, true
		sessions[i] = s
	}
	return List(w, sessions, o)
}

// List writes the sessions, a row each, the youngest first.
func List(w io.Writer, sessions []Session, o Options) error {
	if len(sessions) == 0 {
		_, err := io.WriteString(w, "no sessions\n")
		return err
	}
	width := len("SESSION")
	for _, s := range sessions {
		width = max(width, text.Width(event.Escape(s.ID)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n", text.Left("SESSION", width), text.Left("LAST CALL", 16), text.Right("SIZE", 5))
	for i := len(sessions) - 1; i >= 0; i-- {
		s := sessions[i]
		state := ""
		if !s.Closed {
			state = "  runs, or was killed"
		}
		if n := len(s.Parts); n > 1 {
			state = fmt.Sprintf("  in %d files", n) + strings.Replace(state, "  ", ", ", 1)
		}
		fmt.Fprintf(&b, "%s  %s  %s%s\n", text.Left(event.Escape(s.ID), width), o.local(s.Modified).Format("2006-01-02 15:04"), text.Right(text.Bytes(s.Size), 5), state)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
