//go:build unix

package margin

import (
	"io"
	stdstrings "strings"
	"testing"
	"time"
)

// A child that does not read what it is sent (it could have the terminal answer it without end)
// takes the keyboard from itself alone: the hotkey works.
func TestHotkeyOfADeafChild(t *testing.T) {
	r := newRig(t, 40, 12, "sh", "-c", `stty raw -echo; echo deaf; exec sleep 1000`)
	r.untilShown("deaf")
	go func() { _, _ = io.WriteString(r.outer, stdstrings.Repeat("\x1b[?62;1;4c", 50_000)+"\x1d") }()
	select {
	case <-r.pressed:
	case <-time.After(patienceOfTests):
		t.Fatal("the hotkey is dead")
	}
}
