package event

import (
	"testing"
	"time"
)

func TestCalls(t *testing.T) {
	var c Calls
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, s := range []string{"a", "b"} {
		if c.Add(&Event{Session: s, Call: 1, Phase: Start, Time: at.Add(time.Duration(i)), Method: "GET", Host: s, Port: 443, Path: "/x", Auth: "bearer"}) {
			t.Error("a start is no whole call")
		}
	}
	call := Event{Session: "b", Call: 1, Phase: End, Time: at.Add(time.Second), Status: 200, Verdict: Injected}
	if !c.Add(&call) || call.Host != "b" || call.Path != "/x" || call.Status != 200 || !call.Time.Equal(at.Add(1)) || call.Auth != "bearer" || call.Port != 443 {
		t.Errorf("joined to %+v", call)
	}
	if open := c.Open(); len(open) != 1 || open[0].Session != "a" {
		t.Errorf("open: %+v, want that of session a", open)
	}
	// An end without a start, and a note, come as they are.
	if e := (Event{Session: "z", Call: 9, Phase: End, Host: "h"}); !c.Add(&e) || e.Host != "h" {
		t.Errorf("an end alone: %+v", e)
	}
	if e := (Event{Session: "a", Call: 1, Phase: Note, Host: "n"}); !c.Add(&e) || e.Host != "n" || e.Auth != "" || len(c.Open()) != 1 {
		t.Errorf("a note: %+v, %d open", e, len(c.Open()))
	}
}
