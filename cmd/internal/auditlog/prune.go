package auditlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// Prune says which logs may go. The zero Prune removes nothing.
type Prune struct {
	Before  time.Time // logs whose last line is older; zero for none
	Bytes   int64     // then the oldest go until the rest is this small; 0 for no bound
	Running func(Session) bool
	DryRun  bool // only says what would go
}

// grace is how long a log that was not closed is taken for one of a running session.
const grace = 24 * time.Hour

// Sessions removes logs and their heads and returns those that are gone. A log of a
// session that runs is kept: one of which Running says so or, without Running, one that
// is not closed and was written to in the 24 hours before now.
func (p Prune) Sessions(sessions []Session, now time.Time) ([]Session, error) {
	running := p.Running
	if running == nil {
		running = func(s Session) bool { return !s.Closed && now.Sub(s.Modified) < grace }
	}
	byAge := slices.SortedStableFunc(slices.Values(sessions), func(a, b Session) int { return a.Modified.Compare(b.Modified) })
	var total int64
	for _, s := range byAge {
		total += s.Size
	}
	var gone []Session
	var errs []error
	for _, s := range byAge {
		old := !p.Before.IsZero() && s.Modified.Before(p.Before)
		if !old && (p.Bytes <= 0 || total <= p.Bytes) || running(s) {
			continue
		}
		if !p.DryRun {
			if err := remove(s); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		total -= s.Size
		gone = append(gone, s)
	}
	slices.SortFunc(gone, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	return gone, errors.Join(errs...)
}

func remove(s Session) error {
	for _, path := range []string{s.Path, s.headPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log: %w", err)
		}
	}
	return nil
}

// Verify checks the chain of each session's log, writes a line about each, and reports
// whether all are whole. A log without a head is whole as far as it goes.
func Verify(w io.Writer, sessions []Session, o Options) (whole bool, err error) {
	whole = true
	style := text.Style(o.Color)
	for _, s := range sessions {
		id := event.Escape(s.ID)
		switch verr := event.VerifyLog(s.Path); {
		case verr == nil:
			_, err = fmt.Fprintf(w, "%s  whole\n", id)
		case errors.Is(verr, event.ErrNoHead):
			_, err = fmt.Fprintf(w, "%s  whole as far as it goes: the session runs or was killed\n", id)
		case errors.Is(verr, event.ErrTorn):
			_, err = fmt.Fprintf(w, "%s  whole but for its last line, which is not complete\n", id)
			whole = whole && !s.Closed
		default:
			whole = false
			_, err = fmt.Fprintf(w, "%s  %s\n", id, style.Warning("✕ "+event.Escape(verr.Error())))
		}
		if err != nil {
			return false, err
		}
	}
	return whole, nil
}
