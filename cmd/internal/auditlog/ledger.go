package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"agentvault/keyring/filelock"
	"agentvault/proxy/event"
)

// ledgerName is the ledger's file. It does not end in .jsonl, so it is nobody's log.
const ledgerName = "ledger"

// What an Entry tells.
const (
	Opened  = "opened"  // a session began its log
	Closed  = "closed"  // it ended in order
	Removed = "removed" // its log, or the oldest parts of it, was thrown away
)

// Entry is one line of the ledger.
type Entry struct {
	Prev    string    `json:"prev"` // the hash of the line before, as in a log
	Time    time.Time `json:"time"`
	Session string    `json:"session"`
	What    string    `json:"what"`
	// Elsewhere says that the session was told where to keep its log, so that it is not beside
	// the ledger.
	Elsewhere bool `json:"elsewhere,omitempty"`

	Head  string `json:"head,omitempty"`  // closed: the hash of the log's last line
	Lines uint64 `json:"lines,omitempty"` // closed: how many there were

	Parts int    `json:"parts,omitempty"` // removed: the parts up to this one
	Next  string `json:"next,omitempty"`  // removed: what the first line that is left carries; empty where none is left
}

// Ledger remembers over all sessions which logs there were and how each ended: one line for
// the beginning of a session, one for its end, one for what was thrown away of it. The lines
// are a chain, as those of a log are. So a log that was cut at its end together with its head,
// or that was taken away whole, shows as long as the ledger was left alone. It holds no more
// of a session than its id, and is small: some 400 bytes a session.
//
// Several sessions write to it side by side; each locks it for the time of one line.
type Ledger struct{ path string }

// NewLedger is the ledger of the logs in dir.
func NewLedger(dir string) *Ledger { return &Ledger{filepath.Join(dir, ledgerName)} }

const (
	// ledgerWait is how long a lock is waited for. Whoever holds it that long is none of ours,
	// and must not keep a session from starting.
	ledgerWait = time.Second
	// ledgerTries are made at least, so that a machine that stood still for a while is not
	// taken for somebody who holds the lock.
	ledgerTries = 100
)

// Append adds an entry; its Prev is set here.
func (l *Ledger) Append(e Entry) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("log: ledger: %w", err)
		}
	}()
	f, err := openLedger(l.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which unlocks it
	begun := time.Now()
	for tries := 1; ; tries++ {
		err := filelock.Try(f)
		if err == nil {
			break
		}
		if !errors.Is(err, filelock.ErrHeld) || tries >= ledgerTries && time.Since(begun) > ledgerWait {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	last, torn, err := lastLine(f)
	if err != nil {
		return err
	}
	e.Prev = event.LineHash(last)
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if torn { // somebody was stopped in the middle of a line
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(append(line, '\n'))
	return err
}

func openLedger(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
}

// longestEntry is more than the longest line of a ledger.
const longestEntry = 4 << 10

// lastLine is the last line, nil for none, and whether its end is missing.
func lastLine(f *os.File) (line []byte, torn bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, false, err
	}
	from := max(info.Size()-longestEntry, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil, false, err
	}
	torn = !bytes.HasSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\n"))
	return b[bytes.LastIndexByte(b, '\n')+1:], torn, nil
}

// Read reads all entries. A ledger that does not exist has none; one in which a line was
// changed, removed or added is an error, beside the entries that could be read.
func (l *Ledger) Read() ([]Entry, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	var all []Entry
	var broken error
	prev := event.LineHash(nil)
	for line, err := range event.Lines(f, l.path) {
		var e Entry
		if err != nil && !errors.Is(err, event.ErrTorn) {
			return all, err
		}
		entry := json.Unmarshal(line.Bytes, &e) == nil // else it is what a full disk left of one
		if entry {
			all = append(all, e)
		}
		if broken == nil && entry && e.Prev != prev {
			broken = &event.LineError{Path: l.path, Line: line.Number, Err: errors.New("this line or the one before it was changed, or one between them was removed or added")}
		}
		prev = event.LineHash(line.Bytes)
	}
	return all, broken
}

// record is what the ledger has of one session.
type record struct {
	opened, closed, elsewhere, gone bool
	known                           event.Known
}

// records sorts entries by their sessions.
func records(entries []Entry) map[string]*record {
	all := make(map[string]*record)
	for _, e := range entries {
		r := all[e.Session]
		if r == nil {
			r = new(record)
			all[e.Session] = r
		}
		switch e.What {
		case Opened:
			r.opened, r.elsewhere = true, e.Elsewhere
		case Closed:
			r.closed, r.known.Head, r.known.Lines = true, e.Head, e.Lines
		case Removed:
			r.known.Removed, r.known.Next = e.Parts, e.Next
			r.gone = e.Next == ""
		}
	}
	return all
}
