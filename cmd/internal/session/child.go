package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mode is how the child relates to our terminal and to our process group.
type Mode int

const (
	// Inherit gives the child our terminal: it stays in our process group, so that the
	// terminal's keys and job control reach it as if we were not there. Right whenever
	// one of the standard streams is a terminal that the child is to use.
	Inherit Mode = iota
	// Group gives the child a process group of its own, for when there is no terminal.
	Group
	// PTY gives the child a new terminal whose other end is Child.PTY; it is the leader of
	// its own session there. Not on Windows.
	PTY
)

// Options describe a child.
type Options struct {
	Argv []string // Argv[0] is looked up in the PATH of Env, not in ours
	Env  []string // the whole environment; see Environ
	Dir  string   // "" means ours
	// The child gets these very files, no copies through pipes: what is not a terminal
	// stays what it is. Nil means the null device. Mode PTY ignores them.
	Stdin, Stdout, Stderr *os.File
	Mode                  Mode
	Rows, Cols            uint16 // size of the new terminal in mode PTY; 0 means 24 by 80
	// Relay, if not 0, passes the signals that we get on to the child, from before it is
	// started until it has ended: SIGINT, SIGQUIT (in mode Inherit only caught: the terminal
	// tells the child itself), SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2. After SIGTERM and SIGHUP
	// the child has this long to end by itself; then End does it. Before and after the
	// child's life signals are the caller's.
	Relay time.Duration
}

// What Start can say for the exit status: 127 and 126, as shells have it.
var (
	ErrNotFound      = errors.New("command not found")
	ErrNotExecutable = errors.New("command is not executable")
)

// leftoverGrace is how long processes that the child leaves behind in its group have
// between SIGTERM and SIGKILL.
const leftoverGrace = 2 * time.Second

// Child is a running command. Its methods are safe for concurrent use.
//
// The process is reaped by the Child itself, whether Wait is called or not, and when it
// ends, what it left running in its process group is ended too.
type Child struct {
	pid  int
	mode Mode
	pty  *os.File // the master; nil unless mode PTY
	sys  system   // what the platform keeps

	mu     sync.Mutex
	ended  bool // the pid may be somebody else's
	status int  // valid once done is closed
	done   chan struct{}
}

// Start starts a child. On Linux the kernel kills it with SIGKILL if this process dies
// without ending it, as after kill -9; elsewhere it then goes on without its proxy.
func Start(o Options) (*Child, error) {
	if len(o.Argv) == 0 || o.Argv[0] == "" {
		return nil, fmt.Errorf("no command: %w", ErrNotFound)
	}
	path, err := lookPath(o.Argv[0], o.Dir, o.Env)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", o.Argv[0], err)
	}
	if o.Dir != "" {
		if _, err := os.Stat(o.Dir); err != nil {
			return nil, fmt.Errorf("working directory: %w", err)
		}
	}
	// An Env of nil would mean ours.
	cmd := &exec.Cmd{Path: path, Args: o.Argv, Env: append([]string{}, o.Env...), Dir: o.Dir}
	// A nil *os.File in an interface is not nil.
	if o.Stdin != nil {
		cmd.Stdin = o.Stdin
	}
	if o.Stdout != nil {
		cmd.Stdout = o.Stdout
	}
	if o.Stderr != nil {
		cmd.Stderr = o.Stderr
	}
	c := &Child{mode: o.Mode, done: make(chan struct{})}
	var signals chan os.Signal
	if o.Relay > 0 {
		signals = catch()
	}
	if err := c.start(cmd, o); err != nil {
		if signals != nil {
			signal.Stop(signals)
		}
		return nil, fmt.Errorf("%q: %w", o.Argv[0], err)
	}
	if signals != nil {
		go c.relay(signals, o.Relay)
	}
	return c, nil
}

// Pid is the child's process id.
func (c *Child) Pid() int { return c.pid }

// PTY is our end of the child's terminal, nil in the other modes. On Linux a read from it
// ends with EIO when the last process has closed the other end. The caller closes it.
func (c *Child) PTY() *os.File { return c.pty }

// Wait waits until the child and what it left in its group have ended, and returns the
// exit status: the child's own, or 128+n if signal n ended it.
func (c *Child) Wait() int {
	<-c.done
	return c.status
}

// Done is closed when Wait would return at once.
func (c *Child) Done() <-chan struct{} { return c.done }

// End ends the child and everything of it: SIGTERM, and SIGKILL to what is left after
// grace. It returns when that is done. Ending a child that has ended is no error.
//
// "Everything" is the child's process group and, where the platform can list processes
// (Linux, macOS), its descendants. A process that has left both, a daemon, stays.
func (c *Child) End(grace time.Duration) { c.end(syscall.SIGTERM, grace) }

// whileRunning calls f unless the child was reaped, and holds off the reaping meanwhile,
// so that the pid cannot become another process's.
func (c *Child) whileRunning(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return os.ErrProcessDone
	}
	return f()
}

// searchPath returns the PATH of an environment; of two the last counts, as in exec.
func searchPath(env []string) string {
	path := ""
	for _, kv := range env {
		if name, value, _ := strings.Cut(kv, "="); name == "PATH" || isWindowsPath(name) {
			path = value
		}
	}
	return path
}
