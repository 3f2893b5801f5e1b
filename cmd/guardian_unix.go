//go:build unix

package cmd

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"agentvault/cmd/internal/session"
	"agentvault/tui/margin"
)

// guardWord makes this binary the guardian of another run of it. It is no command: nobody
// types it.
const guardWord = "guard-terminal"

// testament is what the guardian does when the session was killed. It is sent as a stream
// of values, each of which may change a part of it.
type testament struct {
	Terminal *margin.Rescue `json:"terminal,omitempty"`
	State    *margin.State  `json:"state,omitempty"`
	Child    int            `json:"child,omitempty"`   // what is left of it is ended
	Folder   string         `json:"folder,omitempty"`  // the session's, to be removed
	Sockets  string         `json:"sockets,omitempty"` // where other terminals reach it, without the ending
}

// guardian is a second process, for the one end that clears nothing up: kill -9, or a kernel
// out of memory. It holds the reading end of a pipe, and acts when that ends without it
// having been dismissed. It has the terminal open and nothing else of ours: no secret, no
// environment, no share in the foreground, since its session is its own.
type guardian struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	pipe *os.File
}

// guard starts a guardian for a session that draws on the terminal, before the child is
// there. Where none can be had the session goes on: `doctor --reset-terminal` remains.
func (l *live) guard() *guardian {
	rescue, err := margin.NewRescue(l.env.Stdout)
	if err != nil {
		return nil
	}
	self := "/proc/self/exe" // this very binary, whatever stands under its name by now
	if runtime.GOOS != "linux" {
		if self, err = executable(); err != nil {
			return nil
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }()
	g := &guardian{pipe: w, cmd: &exec.Cmd{
		Path: self, Args: []string{"agentvault", guardWord}, Env: []string{"GOMAXPROCS=1"}, Dir: "/",
		Stdin: r, ExtraFiles: []*os.File{l.env.Stdout}, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}}
	if g.cmd.Start() != nil {
		_ = w.Close()
		return nil
	}
	g.tell(testament{Terminal: rescue, Folder: l.files.Dir, Sockets: filepath.Join(feedDir(l.env), shortID(l.id))})
	return g
}

// tell changes the testament. The pipe holds more than is ever sent before the guardian
// reads it: this does not wait.
func (g *guardian) tell(t testament) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = json.NewEncoder(g.pipe).Encode(t) // a guardian that was killed guards nothing
}

// dismiss ends the guardian. On a panic of ours it is left out, and the end of this process
// is the guardian's beginning.
func (g *guardian) dismiss() {
	if g == nil {
		return
	}
	_ = g.cmd.Process.Kill() // before the pipe ends
	_ = g.cmd.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.pipe.Close()
}

// isGuardian says whether this process was started by guard.
func isGuardian(args []string) bool { return len(args) == 2 && args[1] == guardWord }

// runGuardian waits for the end of the session and clears up after it. Nobody is left to be
// told of errors.
func runGuardian(will io.Reader) {
	// Who kills every agentvault by name is to have his terminal back all the same.
	_ = os.WriteFile("/proc/self/comm", []byte("av-guard"), 0o600)
	harden()
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	t, ok := readTestament(will)
	if !ok {
		return
	}
	if t.Terminal != nil {
		t.Terminal.State = t.State
		tty := os.NewFile(3, "terminal")
		_ = t.Terminal.Do(tty)
		_ = tty.Close()
	}
	if t.Child > 0 {
		session.EndOrphans(t.Child)
	}
	for _, suffix := range []string{feedSuffix, refreshSuffix} {
		if t.Sockets != "" {
			_ = os.Remove(t.Sockets + suffix)
		}
	}
	session.Reclaim(t.Folder)
}

// readTestament reads to the end; false when nothing came that could be done.
func readTestament(will io.Reader) (t testament, ok bool) {
	for in := json.NewDecoder(will); ; {
		if in.Decode(&t) != nil { // at the end, or where the writer was killed in the middle of a word
			return t, t.Terminal != nil
		}
	}
}
