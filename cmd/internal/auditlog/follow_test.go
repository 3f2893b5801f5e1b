package auditlog

import (
	"errors"
	"testing"
	"time"

	"agentvault/keyring/filelock"
	"agentvault/proxy/event"
)

// Whoever follows a log sees every call once, in order, while one file after the other is
// begun; also one who is so slow that files are thrown away before they were opened.
func TestFollowThroughParts(t *testing.T) {
	const calls = 3000
	l, err := event.OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	l.SetPart(5000, nil)
	if err := l.Append(event.Event{Session: "s1", Call: 1, Phase: event.End, Host: "x.test"}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := 2; i <= calls; i++ {
			if err := l.Append(event.Event{Session: "s1", Call: uint64(i), Phase: event.End, Host: "x.test"}); err != nil {
				t.Error(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	next := uint64(1)
	o := Following{Session: Session{ID: "s1", Path: l.Path()}, Interval: time.Millisecond}
	err = o.Follow(t.Context(), func(e *event.Event, _ []byte) error {
		if e.Call != next {
			return errors.New("a call is missing, or came twice")
		}
		next++
		return nil
	})
	if err != nil || next != calls+1 {
		t.Errorf("%v behind %d calls of %d", err, next-1, calls)
	}
	if parts, err := event.Parts(l.Path()); err != nil || len(parts) < 50 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
}

func TestFollowPruned(t *testing.T) {
	dir := t.TempDir()
	s := inParts(t, dir, "20260102t150405-7f3a", 5)
	tail, err := newTail(s.Path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()
	ledger := NewLedger(dir)
	if _, err := (Prune{Bytes: 6500, Ledger: ledger, Running: func(Session) bool { return true }}).Sessions([]Session{s}, time.Now()); err != nil {
		t.Fatal(err)
	}
	lines := 0
	if err := tail.drain(func([]byte) error { lines++; return nil }); err != nil {
		t.Fatal(err)
	}
	if lines != 3+6 { // of the first, which was open, and of the two that are left
		t.Errorf("%d lines", lines)
	}
}

// A process that holds the ledger for ever keeps nobody from going on.
func TestLedgerHeld(t *testing.T) {
	l := NewLedger(t.TempDir())
	if err := l.Append(Entry{Session: "s", What: Opened}); err != nil {
		t.Fatal(err)
	}
	f, err := openLedger(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := filelock.Try(f); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Entry{Session: "s", What: Closed}); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("got %v, want %v", err, filelock.ErrHeld)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Entry{Session: "s", What: Closed}); err != nil {
		t.Errorf("when it is free again: %v", err)
	}
}
