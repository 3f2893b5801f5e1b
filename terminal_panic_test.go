//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentvault/cmd"
)

// breakable is the process's own world, but for a clock that panics once for each file "break" in
// the working directory: the views ask it whenever they draw or take something in.
func breakable() cmd.Env {
	env := cmd.System()
	env.Now = func() time.Time {
		if os.Remove(filepath.Join(env.Dir, "break")) == nil {
			panic("the clock is broken")
		}
		return time.Now()
	}
	return env
}

// newBreaking is a session whose view can be made to panic. Its agent goes on when it is told to, and
// ends with status 7.
func newBreaking(t *testing.T, ui string) *askScreen {
	t.Helper()
	s := newAskScreen(t, `
echo "the agent runs"
until [ -e go ]; do sleep 0.05; done
echo "the agent goes on"
until [ -e end ]; do sleep 0.05; done
exit 7
`)
	s.keys(testBinary(t, "agentvault-breaks")+" run --ui "+ui+" -- ./agent; echo status $?", "Enter")
	s.until("the agent runs")
	return s
}

// outlived waits for the agent to go on, for its status, and for a terminal as it was.
func (s *askScreen) outlived() {
	s.t.Helper()
	write(s.t, filepath.Join(s.dir, "go"), "")
	s.until("the agent goes on")
	write(s.t, filepath.Join(s.dir, "end"), "")
	s.poll("it did not end with its status and the blame", func(now string) bool {
		all := s.tmux("capture-pane", "-p", "-J", "-S", "-")
		return lastRow(now) == "ready$" && strings.Contains(now, "status 7") && strings.Contains(all, "the agent goes on") &&
			strings.Contains(all, "internal error in the view: the clock is broken") && strings.Contains(all, "please report it") && strings.Contains(all, "breakable")
	})
	s.restored()
}

// A panic in a view gives the terminal back and costs the agent nothing: in the rows under it, ...
func TestPanicUnderTheAgent(t *testing.T) {
	s := newBreaking(t, "dock") // which has times to show
	s.until("◆ 0 calls", "VERDICT")
	write(t, filepath.Join(s.dir, "break"), "")
	s.poll("nothing says that the view has failed", func(now string) bool {
		return strings.Contains(lastRow(now), "the view has failed; the agent goes on") && strings.Contains(now, "the agent runs") && !strings.Contains(now, "VERDICT")
	})
	s.outlived()
}

// ... in the inspector, after which the agent has its screen again, ...
func TestPanicInTheInspector(t *testing.T) {
	s := newBreaking(t, "bar")
	s.until("◆ 0 calls")
	s.keys("C-]", "v")
	s.until("no calls yet", "q back")
	write(t, filepath.Join(s.dir, "break"), "")
	s.poll("the inspector is left", func(now string) bool {
		return strings.Contains(now, "the agent runs") && strings.Contains(lastRow(now), "^] view")
	})
	s.outlived()
}

// ... in the panel, whose output goes on as plain text, ...
func TestPanicInThePanel(t *testing.T) {
	s := newBreaking(t, "panel")
	s.until("no calls yet")
	write(t, filepath.Join(s.dir, "break"), "")
	s.poll("the panel is left", func(now string) bool {
		return strings.Contains(now, "the agent runs") && !strings.Contains(now, "no calls yet")
	})
	s.outlived()
}

// ... and in a second terminal, of which the session hears nothing.
func TestPanicInWatch(t *testing.T) {
	s := newAskScreen(t, "echo the agent runs\nread line\n")
	s.tmux("split-window", "-d", "-v", "-c", s.dir, "sh")
	s.keys("agentvault run -- ./agent", "Enter")
	s.until("the agent runs", "◆ 0 calls")
	s.tmux("send-keys", "-t", "1", testBinary(t, "agentvault-breaks")+" watch; echo status $?", "Enter")
	second := func() string { return s.tmux("capture-pane", "-p", "-t", "1", "-S", "-") }
	poll(t, "the second terminal does not show it", second, func(now string) bool { return strings.Contains(now, "no calls yet") })
	write(t, filepath.Join(s.dir, "break"), "")
	poll(t, "the second terminal is not given back", second, func(now string) bool {
		return strings.Contains(now, "internal error: the clock is broken") && strings.Contains(now, "please report it") && strings.Contains(now, "status 1") && lastRow(now) == "ready$" &&
			strings.TrimSpace(s.tmux("display-message", "-p", "-t", "1", "#{alternate_on} #{cursor_flag}")) == "0 1"
	})
	s.until("the agent runs", "◆ 0 calls")
	s.keys("Enter")
	s.over("nothing went through the proxy")
}
