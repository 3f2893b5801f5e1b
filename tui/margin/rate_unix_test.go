//go:build unix

package margin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
)

// Any number of changes is drawn at most 30 times a second, and the last one is. The clock is the
// test's own.
func TestRate(t *testing.T) {
	outer, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no PTY: %v", err)
	}
	defer outer.Close()
	defer tty.Close()
	if err := pty.Setsize(outer, &pty.Winsize{Cols: 40, Rows: 10}); err != nil {
		t.Fatal(err)
	}
	shown, err := os.Create(filepath.Join(t.TempDir(), "shown"))
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	synctest.Test(t, func(t *testing.T) {
		row, changed := "BAR", make(chan struct{}, 1)
		term, err := New(Config{In: tty, Out: tty, PTY: outer, Changed: changed, Debounce: time.Millisecond,
			Rows: func(int) []string { return []string{row} }})
		if err != nil {
			t.Fatal(err)
		}
		term.c.Out = shown // measured already; a file takes everything
		if err := term.start(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- term.loop(ctx, nil, nil) }()
		const changes = 1000
		for i := range changes {
			row = fmt.Sprint("change ", i)
			select {
			case changed <- struct{}{}:
			default:
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(frameTime)
		synctest.Wait()
		cancel()
		<-done
		data, err := os.ReadFile(shown.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte("change 999")) {
			t.Error("the last change was not drawn")
		}
		paintings := bytes.Count(data, []byte("\x1b[?2026h")) - 1 // the first one is start's
		if paintings < 25 || paintings > 30 {
			t.Errorf("%d paintings of a second, want 30 at the most and not much fewer", paintings)
		}
	})
}
