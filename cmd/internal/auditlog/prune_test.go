package auditlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

func TestPrune(t *testing.T) {
	now := start.Add(100 * 24 * time.Hour)
	day := func(n int) time.Time { return now.Add(-time.Duration(n) * 24 * time.Hour) }
	for _, tt := range []struct {
		name  string
		prune Prune
		want  string // the ids that go
	}{
		{"nothing asked", Prune{}, ""},
		{"by age", Prune{Before: day(30)}, "a b"},
		{"by size", Prune{Bytes: 250}, "a b"},
		{"by both", Prune{Before: day(60), Bytes: 350}, "a"},
		{"all but what runs", Prune{Before: now.Add(time.Hour)}, "a b c"},
		{"what Running says", Prune{Before: now.Add(time.Hour), Running: func(s Session) bool { return s.ID == "a" }}, "b c d"},
		{"only to see", Prune{Before: day(30), DryRun: true}, "a b"},
	} {
		dir := t.TempDir()
		var sessions []Session
		for i, id := range []string{"a", "b", "c", "d"} { // d runs
			s := Session{ID: id, Path: filepath.Join(dir, id+".jsonl"), Closed: id != "d"}
			s.add(event.Part{Path: s.Path, Number: 1, Size: 100, Modified: day([]int{90, 40, 2, 0}[i])})
			if err := errors.Join(os.WriteFile(s.Path, nil, 0o600), os.WriteFile(s.headPath(), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, s)
		}
		gone, err := tt.prune.Sessions(sessions, now)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range gone {
			ids = append(ids, s.ID)
			_, logErr := os.Stat(s.Path)
			_, headErr := os.Stat(s.headPath())
			if there := logErr == nil || headErr == nil; there != tt.prune.DryRun {
				t.Errorf("%s: files of %s are there: %v", tt.name, s.ID, there)
			}
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s: %q goes, want %q", tt.name, got, tt.want)
		}
	}
}

// Of a log in several files the oldest go, and what is left is whole by the ledger.
func TestPruneParts(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name      string
		bytes     int64
		running   bool
		left      int // files
		want      string
		remainder string // of what verify says once the ledger is gone
	}{
		{"all fits", 1 << 30, false, 5, "whole", "whole"},
		{"two have to go", 9600, false, 3, "whole from part 3 on; what stood before it was removed by log prune", "what stood before its part 3 is gone, and not by log prune"},
		{"a session that runs keeps its last", 1, true, 1, "whole from part 5 on", "what stood before its part 5 is gone"},
		{"one that has ended goes whole", 1, false, 0, "", ""},
	} {
		dir := t.TempDir()
		s := inParts(t, dir, "20260102t150405-7f3a", 5)
		ledger := NewLedger(dir)
		p := Prune{Bytes: tt.bytes, Ledger: ledger, Running: func(Session) bool { return tt.running }}
		for n, part := range s.Parts { // one an hour
			at := now.Add(time.Duration(n-10) * time.Hour)
			s.Parts[n].Modified = at
			if err := os.Chtimes(part.Path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		dry := p
		dry.DryRun = true
		would, err := dry.Sessions([]Session{s}, now)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := p.Sessions([]Session{s}, now)
		if err != nil || len(gone) != len(would) || len(gone) > 0 && (gone[0].Parts != would[0].Parts || gone[0].Parts != 5-tt.left || gone[0].Whole != (tt.left == 0)) {
			t.Fatalf("%s: %+v is gone, %+v would be, %v", tt.name, gone, would, err)
		}
		rest, err := Sessions(dir)
		if err != nil || tt.left == 0 && len(rest) != 0 || tt.left > 0 && len(rest[0].Parts) != tt.left {
			t.Fatalf("%s: %+v is left, %v", tt.name, rest, err)
		}
		if whole, said := verified(t, rest, ledger, true); !whole || !strings.Contains(said, tt.want) {
			t.Errorf("%s: %t, %q, want %q", tt.name, whole, said, tt.want)
		}
		if err := os.Remove(ledger.path); err != nil {
			t.Fatal(err)
		}
		if _, said := verified(t, rest, ledger, true); !strings.Contains(said, tt.remainder) {
			t.Errorf("%s: without the ledger: %q, want %q", tt.name, said, tt.remainder)
		}
		stats, err := Query{Sessions: rest}.Each(func(*event.Event) error { return nil })
		if err != nil || tt.left == 5 && stats.Calls != 15 || tt.left == 3 && stats.Calls != 9 {
			t.Errorf("%s: %+v, %v", tt.name, stats, err)
		}
	}
}

// Files go in their order, whatever their times say: what is left is never a log with a hole.
func TestPruneTouchedParts(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	s := inParts(t, dir, "20260102t150405-7f3a", 5)
	for n, days := range []int{90, 1, 90, 90, 1} {
		s.Parts[n].Modified = now.Add(-time.Duration(days) * 24 * time.Hour)
	}
	gone, err := Prune{Before: now.Add(-30 * 24 * time.Hour), Ledger: NewLedger(dir)}.Sessions([]Session{s}, now)
	if err != nil || len(gone) != 1 || gone[0].Parts != 1 {
		t.Errorf("%+v, %v, want the first part gone and no other", gone, err)
	}
	rest, err := Sessions(dir)
	if err != nil {
		t.Fatal(err)
	}
	if whole, said := verified(t, rest, NewLedger(dir), true); !whole {
		t.Error(said)
	}
}

// inParts writes the log of a session in several files, of three calls each, and has the
// ledger know of it.
func inParts(t *testing.T, dir, id string, parts int) Session {
	t.Helper()
	l, err := event.OpenLog(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(dir)
	l.SetPart(3000, nil)
	err = ledger.Append(Entry{Session: id, What: Opened})
	for i := range 3 * parts {
		err = errors.Join(err, l.Append(event.Event{Session: id, Call: uint64(i + 1), Phase: event.End, Method: "GET", Host: "x.test", Path: "/" + strings.Repeat("x", 900)}))
	}
	err = errors.Join(err, l.Close())
	head, lines := l.Head()
	if err = errors.Join(err, ledger.Append(Entry{Session: id, What: Closed, Head: head, Lines: lines})); err != nil {
		t.Fatal(err)
	}
	all, err := Sessions(dir)
	if err != nil || len(all) != 1 || len(all[0].Parts) != parts {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

func verified(t *testing.T, sessions []Session, ledger *Ledger, all bool) (whole bool, said string) {
	t.Helper()
	var b bytes.Buffer
	whole, err := Verify(&b, sessions, ledger, all, func(id string) bool { return strings.HasSuffix(id, "runs") }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return whole, b.String()
}
