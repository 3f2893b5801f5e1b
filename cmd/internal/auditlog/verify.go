package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Verify checks the chain of each session's log against its head and against the ledger,
// writes a line about each, and reports whether all are whole. What runs or was killed is
// whole as far as it goes: nobody knows how its log should end. The ledger itself is checked
// as well, and with all, that the logs which it knows of are there. running asks whether a
// session runs; nil knows none that does.
func Verify(w io.Writer, sessions []Session, ledger *Ledger, all bool, running func(id string) bool, o Options) (whole bool, err error) {
	v := verifying{style: text.Style(o.Color), running: running, ledger: ledger}
	v.read()
	for _, s := range sessions {
		v.session(s)
	}
	if all {
		v.missing(sessions)
	}
	if v.err != nil {
		v.bad("the ledger", v.err.Error())
	}
	_, err = io.WriteString(w, v.b.String())
	return !v.broken, err
}

type verifying struct {
	style   text.Style
	running func(id string) bool
	ledger  *Ledger
	err     error // of the ledger
	entries []Entry
	records map[string]*record
	broken  bool
	b       strings.Builder
}

func (v *verifying) read() {
	v.entries, v.err = v.ledger.Read()
	v.records = records(v.entries)
}

// closing is what the ledger has of a session whose head is there. One that ends just now writes
// its head first.
func (v *verifying) closing(id string) *record {
	for range 20 {
		if r := v.records[id]; r != nil && r.closed {
			break
		}
		time.Sleep(10 * time.Millisecond)
		v.read()
	}
	return v.records[id]
}

func (v *verifying) good(id, what string) { fmt.Fprintf(&v.b, "%s  %s\n", event.Escape(id), what) }

func (v *verifying) bad(id, what string) {
	v.broken = true
	fmt.Fprintf(&v.b, "%s  %s\n", event.Escape(id), v.style.Warning("✕ "+event.Escape(what)))
}

func (v *verifying) session(s Session) {
	r := v.records[s.ID]
	if _, err := os.Stat(s.headPath()); err == nil && r != nil && !r.closed {
		r = v.closing(s.ID)
	}
	known := event.Known{}
	if r != nil {
		known = r.known
	}
	err := event.VerifyLog(s.Path, known)
	switch {
	case err == nil && r == nil && v.expected(s):
		v.bad(s.ID, "whole by its own head, but the ledger does not have this session: its lines were removed there, or it could not be written")
	case err == nil && r != nil && !r.closed:
		v.bad(s.ID, "whole by its own head, but by the ledger it was never closed")
	case err == nil && known.Removed > 0:
		v.good(s.ID, fmt.Sprintf("whole from part %d on; what stood before it was removed by log prune", known.Removed+1))
	case err == nil:
		v.good(s.ID, "whole")
	case errors.Is(err, event.ErrNoHead), errors.Is(err, event.ErrTorn) && !s.Closed && known.Head == "":
		v.good(s.ID, v.unclosed(s, r, errors.Is(err, event.ErrTorn)))
	case errors.Is(err, event.ErrHeadGone) && strings.HasSuffix(err.Error(), event.ErrHeadGone.Error()) && !strings.Contains(err.Error(), "; and "):
		v.bad(s.ID, fmt.Sprintf("its head was removed; by the ledger all of its %d lines are there", known.Lines))
	default:
		v.bad(s.ID, err.Error())
	}
}

// unclosed says of a log that nobody closed what can be said.
func (v *verifying) unclosed(s Session, r *record, torn bool) string {
	text := "whole as far as it goes: "
	if torn {
		text = "whole but for its last line, which is not complete: "
	}
	switch {
	case v.running != nil && v.running(s.ID):
		return text + "the session runs"
	case r == nil:
		return text + "neither a head nor the ledger says where it ended"
	}
	return text + "the session was killed, so lines missing at the end would not show"
}

// expected reports whether the ledger should have the session: it was in use by then. Ids
// begin with their time.
func (v *verifying) expected(s Session) bool {
	return len(v.entries) > 0 && !s.elsewhere && s.ID > v.entries[0].Session
}

// missing tells of the sessions of the ledger that have no log any more.
func (v *verifying) missing(sessions []Session) {
	there := make(map[string]bool)
	for _, s := range sessions {
		there[s.ID] = true
	}
	var gone []string
	for id, r := range v.records {
		if !there[id] && !r.gone && !r.elsewhere {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		v.bad(id, "its log is gone, and not by log prune")
	}
}
