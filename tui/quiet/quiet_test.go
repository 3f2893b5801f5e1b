//go:build unix

package quiet_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/creack/pty"

	_ "agentvault/tui/quiet"

	tea "github.com/charmbracelet/bubbletea"
)

// childEnv marks the run of this test binary that stands for a program of ours.
const childEnv = "AGENTVAULT_QUIET_CHILD"

// The child links Bubble Tea and ends at once: what it wrote, an init wrote.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		_ = tea.Quit
		_, _ = os.Stdout.WriteString("started")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A terminal that never answers sees the program's own words and no query.
func TestStartWritesNoQuery(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got := runSilently(t, self)
	if string(got) != "started" {
		t.Errorf("a start wrote %q, want %q and nothing else", got, "started")
	}
	for _, query := range []string{"\x1b]11", "\x1b[6n"} {
		if bytes.Contains(got, []byte(query)) {
			t.Errorf("a start wrote the query %q", query)
		}
	}
}

// runSilently runs name on a new terminal, answers nothing, and returns what it wrote.
func runSilently(t *testing.T, name string) []byte {
	t.Helper()
	cmd := exec.Command(name)
	// termenv stays silent by itself for some values of TERM and in CI: neither may
	// hide the query from this test.
	cmd.Env = append(os.Environ(), childEnv+"=1", "TERM=xterm-256color", "CI=", "NO_COLOR=", "COLORTERM=")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	got, err := io.ReadAll(terminal)
	// Linux says EIO when the last process has closed the terminal.
	if err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return got
}
