package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Two open files stand for two processes: a lock belongs to the open file.
func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	first, second := open(), open()
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); !errors.Is(err, ErrHeld) {
		t.Errorf("a held lock: got %v, want %v", err, ErrHeld)
	}
	_ = first.Close()
	if err := Try(second); err != nil {
		t.Errorf("after the first has let go: %v", err)
	}
}
