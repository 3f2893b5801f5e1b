package auditlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"agentvault/proxy/event"
)

// Prune says what of the logs may go. The zero Prune removes nothing.
type Prune struct {
	Before  time.Time // what has no line since; zero for none
	Bytes   int64     // then the oldest goes until the rest is this small; 0 for no bound
	Running func(Session) bool
	Ledger  *Ledger // is told what goes; nil for none
	DryRun  bool    // only says what would go
}

// Gone is what goes of a session's log: its oldest parts.
type Gone struct {
	Session
	Parts int   // how many of its files
	Bytes int64 // of these
	Whole bool  // all of it
}

// grace is how long a log that was not closed is taken for one of a running session.
const grace = 24 * time.Hour

// file is a part that may go.
type file struct {
	event.Part
	of   int  // the session's place
	last bool // of its parts
}

// Sessions removes parts of logs, the oldest first, and says what is gone of which. A log
// goes whole when its last part does, with its head. The last part of a session that
// runs is kept: one of which Running says so or, without Running, one that is not closed and
// was written to in the 24 hours before now.
func (p Prune) Sessions(sessions []Session, now time.Time) ([]Gone, error) {
	running := p.Running
	if running == nil {
		running = func(s Session) bool { return !s.Closed && now.Sub(s.Modified) < grace }
	}
	var files []file
	var total int64
	for i, s := range sessions {
		var at time.Time
		for n, part := range s.Parts {
			if part.Modified.Before(at) { // somebody has touched one: they go in their order all the same
				part.Modified = at
			}
			at = part.Modified
			files = append(files, file{Part: part, of: i, last: n == len(s.Parts)-1})
			total += part.Size
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.Modified.Compare(b.Modified) })
	goes := make(map[int]*Gone)
	stays := make(map[int]bool) // what stands behind a part that stays stays as well
	for _, f := range files {
		old := !p.Before.IsZero() && f.Modified.Before(p.Before)
		if !old && (p.Bytes <= 0 || total <= p.Bytes) || stays[f.of] || f.last && running(sessions[f.of]) {
			stays[f.of] = true
			continue
		}
		g := goes[f.of]
		if g == nil {
			g = &Gone{Session: sessions[f.of]}
			goes[f.of] = g
		}
		g.Parts++
		g.Bytes += f.Size
		g.Whole = f.last
		total -= f.Size
	}
	return p.remove(goes, now)
}

// remove removes what goes.
func (p Prune) remove(goes map[int]*Gone, now time.Time) ([]Gone, error) {
	var gone []Gone
	var errs []error
	for _, g := range goes {
		if !p.DryRun {
			if err := p.one(g, now); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		gone = append(gone, *g)
	}
	slices.SortFunc(gone, func(a, b Gone) int { return cmp.Compare(a.ID, b.ID) })
	return gone, errors.Join(errs...)
}

// one removes what goes of one log. The ledger is told first: a removal that is broken off is
// none that somebody else did.
func (p Prune) one(g *Gone, now time.Time) error {
	parts := g.Session.Parts[:g.Parts]
	if p.Ledger != nil {
		e := Entry{Time: now.UTC(), Session: g.ID, What: Removed, Parts: parts[len(parts)-1].Number}
		if !g.Whole {
			next, err := carried(g.Session.Parts[g.Parts].Path)
			if err != nil {
				return err
			}
			e.Next = next
		}
		if err := p.Ledger.Append(e); err != nil {
			return err
		}
	}
	var paths []string
	for _, part := range parts {
		paths = append(paths, part.Path)
	}
	if g.Whole {
		paths = append(paths, g.headPath())
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log: %w", err)
		}
	}
	return nil
}

// carried is the hash that the first line of a file carries of the line before it.
func carried(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	const before, digits = `{"prev":"`, 16
	start := make([]byte, len(before)+digits)
	if n, err := f.Read(start); err != nil || n < len(start) || !bytes.HasPrefix(start, []byte(before)) {
		return "", fmt.Errorf("log: %s: its first line carries no hash of the one before it", path)
	}
	return string(start[len(before):]), nil
}
