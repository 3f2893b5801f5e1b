package auditlog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

func TestSessionsAndFind(t *testing.T) {
	if got, err := Sessions(filepath.Join(t.TempDir(), "none")); err != nil || len(got) != 0 {
		t.Errorf("a folder that does not exist: %v, %v", got, err)
	}
	sessions := two(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(sessions[0].Path), "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if sessions[0].ID != "20260102t150405-7f3a" || sessions[0].Short() != "7f3a" || !sessions[0].Closed || sessions[0].Size == 0 {
		t.Errorf("the first: %+v", sessions[0])
	}
	for name, want := range map[string]string{
		"last": "81c2", "": "81c2", "20260102t150405-7f3a": "7f3a", "20260102": "7f3a", "7f3a": "7f3a", "81": "81c2", "20260103t090000-81c2.jsonl": "81c2",
	} {
		if s, err := Find(sessions, name); err != nil || s.Short() != want {
			t.Errorf("Find(%q) = %q, %v, want %q", name, s.ID, err, want)
		}
	}
	for name, want := range map[string]string{
		"2026": `session "2026" could be 2 sessions (20260102t150405-7f3a, 20260103t090000-81c2)`, "beef": `no session "beef"`,
	} {
		_, err := Find(sessions, name)
		var missing *NotFoundError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &missing) {
			t.Errorf("Find(%q): %v, want %q", name, err, want)
		}
	}
	if _, err := Find(nil, "last"); err == nil {
		t.Error("there is a last session of none")
	}
	if got := Since(sessions, time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("since tomorrow: %v", got)
	}
	var b bytes.Buffer
	sessions[0].Closed = false
	sessions[0].Modified, sessions[1].Modified, sessions[0].Size, sessions[1].Size = start, start, 1234, 99
	if err := List(&b, sessions, Options{Location: time.UTC}); err != nil {
		t.Fatal(err)
	}
	golden(t, "list.golden", b.Bytes())
}

// Follow sees what is there, what is added, and ends with the session.
func TestFollow(t *testing.T) {
	l, err := event.OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	add := func(n int) {
		for _, phase := range []event.Phase{event.Start, event.End} {
			if err := l.Append(event.Event{Session: "s1", Call: uint64(n), Phase: phase, Host: "x.test", Path: "/" + strings.Repeat("x", n)}); err != nil {
				t.Error(err)
			}
		}
	}
	add(1)
	var got []string
	filter, _ := ParseFilter([]string{"!path:/xx"})
	o := Following{Session: Session{ID: "s1", Path: l.Path()}, Filter: filter, Interval: time.Millisecond}
	err = o.Follow(t.Context(), func(e *event.Event, line []byte) error {
		got = append(got, e.Path)
		switch len(got) {
		case 1:
			add(2)
			l.Append(event.Event{Session: "s1", Phase: event.Note, Path: "/note"})
		case 2:
			add(1)
			return l.Close()
		}
		return nil
	})
	if want := "/x /note /x"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("%v, got %q, want %q", err, got, want)
	}
	if err := os.Remove(Session{Path: l.Path()}.headPath()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.FromNow, o.Filter = true, nil
	if err := o.Follow(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a session that runs on: %v, want the context's error", err)
	}
	o.Running = func() bool { return false }
	if err := o.Follow(t.Context(), nil); err != nil {
		t.Errorf("a session that was killed: %v", err)
	}
}
