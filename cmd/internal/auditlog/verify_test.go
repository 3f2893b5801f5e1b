package auditlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"agentvault/proxy/event"
)

func TestVerify(t *testing.T) {
	sessions := two(t)
	ledger := NewLedger(filepath.Dir(sessions[0].Path))
	if whole, said := verified(t, sessions, ledger, false); !whole || strings.Count(said, "  whole\n") != 2 {
		t.Errorf("untouched: %v, %q", whole, said)
	}
	text, _ := os.ReadFile(sessions[1].Path)
	if err := os.WriteFile(sessions[1].Path, bytes.Replace(text, []byte(`"status":500`), []byte(`"status":200`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(sessions[0].headPath()); err != nil {
		t.Fatal(err)
	}
	whole, said := verified(t, sessions, ledger, false)
	if whole || !strings.Contains(said, "7f3a  whole as far as it goes: neither a head nor the ledger says where it ended") ||
		!strings.Contains(said, "81c2  ✕ ") || !strings.Contains(said, ":2: it was changed") {
		t.Errorf("edited: %v, %q", whole, said)
	}
}

// What is done to a log shows even where its head is taken away with it: the ledger knows.
func TestVerifyByTheLedger(t *testing.T) {
	const id = "20260102t150405-7f3a"
	cut := func(s Session) error {
		last := s.Parts[len(s.Parts)-1].Path
		b, err := os.ReadFile(last)
		return errors.Join(err, os.WriteFile(last, b[:bytes.IndexByte(b, '\n')+1], 0o600))
	}
	unhead := func(s Session) error { return os.Remove(s.headPath()) }
	// unclose takes the last entry of the ledger away.
	unclose := func(s Session) error {
		path := filepath.Join(filepath.Dir(s.Path), ledgerName)
		b, err := os.ReadFile(path)
		b = bytes.TrimSuffix(b, []byte("\n"))
		return errors.Join(err, os.WriteFile(path, b[:bytes.LastIndexByte(b, '\n')+1], 0o600))
	}
	for _, tt := range []struct {
		name   string
		change []func(Session) error
		whole  bool
		want   string
	}{
		{"untouched", nil, true, id + "  whole\n"},
		{"the head removed", []func(Session) error{unhead}, false, "its head was removed; by the ledger all of its 6 lines are there"},
		{"the end cut, with the head", []func(Session) error{unhead, cut}, false, "6 lines, of which 4 are left; and its head was removed"},
		{"the end cut, with a head that fits", []func(Session) error{cut, func(s Session) error {
			b, err := os.ReadFile(s.Parts[1].Path)
			head := event.LineHash(bytes.TrimSuffix(b, []byte("\n"))) + " 4\n"
			return errors.Join(err, os.WriteFile(s.headPath(), []byte(head), 0o600))
		}}, false, "its head is not the one that was written when the session ended"},
		{"the whole log removed", []func(Session) error{unhead, func(s Session) error { return errors.Join(os.Remove(s.Parts[0].Path), os.Remove(s.Parts[1].Path)) }}, false,
			id + "  ✕ its log is gone, and not by log prune"},
		{"killed", []func(Session) error{unhead, unclose}, true, "whole as far as it goes: the session was killed, so lines missing at the end would not show"},
		{"the ledger forgets the end", []func(Session) error{unclose}, false, "whole by its own head, but by the ledger it was never closed"},
		{"the first line of the ledger removed", []func(Session) error{func(s Session) error {
			path := filepath.Join(filepath.Dir(s.Path), ledgerName)
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, b[bytes.IndexByte(b, '\n')+1:], 0o600))
		}}, false, "the ledger  ✕ "},
		{"the ledger edited", []func(Session) error{func(s Session) error {
			path := filepath.Join(filepath.Dir(s.Path), ledgerName)
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(b, []byte(`"opened"`), []byte(`"removed"`), 1), 0o600))
		}}, false, "ledger:2: this line or the one before it was changed"},
	} {
		dir := t.TempDir()
		s := inParts(t, dir, id, 2)
		for _, f := range tt.change {
			if err := f(s); err != nil {
				t.Fatal(err)
			}
		}
		sessions, err := Sessions(dir)
		if err != nil {
			t.Fatal(err)
		}
		if whole, said := verified(t, sessions, NewLedger(dir), true); whole != tt.whole || !strings.Contains(said, tt.want) {
			t.Errorf("%s: %t, %q, want %q", tt.name, whole, said, tt.want)
		}
	}
}

func TestVerifyRunning(t *testing.T) {
	dir := t.TempDir()
	l, err := event.OpenLog(dir, "20260102t150405-runs")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ledger := NewLedger(dir)
	if err := errors.Join(l.Append(event.Event{Phase: event.Note}), ledger.Append(Entry{Session: "20260102t150405-runs", What: Opened})); err != nil {
		t.Fatal(err)
	}
	sessions, _ := Sessions(dir)
	if whole, said := verified(t, sessions, ledger, true); !whole || !strings.Contains(said, "whole as far as it goes: the session runs") {
		t.Errorf("%t, %q", whole, said)
	}
}

// A session that began when there was a ledger is in it.
func TestVerifyUnknownToTheLedger(t *testing.T) {
	sessions := two(t)
	ledger := NewLedger(filepath.Dir(sessions[0].Path))
	if err := ledger.Append(Entry{Session: "20260102t160000-0000", What: Opened, Elsewhere: true}); err != nil {
		t.Fatal(err)
	}
	whole, said := verified(t, sessions, ledger, true)
	if whole || !strings.Contains(said, "7f3a  whole\n") || !strings.Contains(said, "81c2  ✕ whole by its own head, but the ledger does not have this session") {
		t.Errorf("%t, %q", whole, said)
	}
}

// Many sessions write to the ledger at once, and one that was stopped within a line spoils no
// other.
func TestLedger(t *testing.T) {
	l := NewLedger(t.TempDir())
	if all, err := l.Read(); err != nil || len(all) != 0 {
		t.Errorf("a ledger that is not there: %v, %v", all, err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if err := l.Append(Entry{Session: "s", What: Opened}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, err := l.Read(); err != nil || len(all) != 200 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"prev":`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), l.Append(Entry{Session: "next", What: Opened})); err != nil {
		t.Fatal(err)
	}
	all, err := l.Read()
	if len(all) != 201 || err != nil {
		t.Errorf("%d entries, %v", len(all), err)
	}
}
