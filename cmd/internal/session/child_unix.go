//go:build unix

package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// system holds what Unix needs beside the pid.
type system struct {
	hurry     sync.Once
	impatient chan struct{} // closed when End's grace is over: leftovers get no more time
	mark      string        // the session's variable, as it stands in the child's environment
}

func isWindowsPath(string) bool { return false }

// lookPath finds a command as execvp would in the child's environment.
func lookPath(name, dir string, env []string) (string, error) {
	if filepath.Base(name) != name {
		// exec.Cmd looks at a relative path from Dir.
		at := name
		if !filepath.IsAbs(at) && dir != "" {
			at = filepath.Join(dir, at)
		}
		return name, executable(at)
	}
	denied := false
	for _, folder := range filepath.SplitList(searchPath(env)) {
		path := filepath.Join(folder, name)
		if !filepath.IsAbs(folder) { // an empty element means the working directory: the user's PATH says so
			var err error
			if path, err = filepath.Abs(filepath.Join(dir, folder, name)); err != nil {
				continue // the working directory is gone
			}
		}
		switch err := executable(path); {
		case err == nil:
			return path, nil
		case errors.Is(err, ErrNotExecutable):
			denied = true
		}
	}
	if denied {
		return "", ErrNotExecutable
	}
	return "", ErrNotFound
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotExecutable, err)
	case info.IsDir():
		return fmt.Errorf("%w: it is a folder", ErrNotExecutable)
	case unix.Access(path, unix.X_OK) != nil:
		return ErrNotExecutable
	}
	return nil
}

func (c *Child) start(cmd *exec.Cmd, o Options) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: o.Mode == Group}
	var tty *os.File
	if o.Mode == PTY {
		var err error
		if c.pty, tty, err = openPTY(o.Rows, o.Cols); err != nil {
			return err
		}
		defer tty.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true // Ctty 0: the child's stdin
	}
	dieWithParent(cmd.SysProcAttr)
	c.sys.impatient = make(chan struct{})
	for _, kv := range o.Env {
		if strings.HasPrefix(kv, "AGENTVAULT_SESSION=") {
			c.sys.mark = kv
		}
	}

	started := make(chan error, 1)
	go func() {
		// What PR_SET_PDEATHSIG calls the parent is the thread that forked, and Go ends
		// threads that it has no use for. So one thread starts the child and waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
			cmd.Process.Release() // reaped below, by pid
		}
		started <- err
		if err == nil {
			c.reap()
		}
	}()
	err := <-started
	if err != nil && c.pty != nil {
		c.pty.Close()
	}
	return startError(err)
}

// startError sorts what exec says: a file that is there and does not run is 126, also
// when what is missing is its interpreter.
func startError(err error) error {
	for _, e := range []error{syscall.ENOEXEC, syscall.EACCES, syscall.ENOENT, syscall.ELOOP, syscall.ETXTBSY} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrNotExecutable, err)
		}
	}
	return err
}

func openPTY(rows, cols uint16) (master, tty *os.File, err error) {
	if rows == 0 || cols == 0 {
		rows, cols = 24, 80
	}
	master, tty, err = pty.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("terminal for the child: %w", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		master.Close()
		tty.Close()
		return nil, nil, fmt.Errorf("terminal for the child: %w", err)
	}
	return master, tty, nil
}

// Resize tells the child's terminal its size; the kernel signals the child if it changed.
func (c *Child) Resize(rows, cols uint16) error {
	if c.pty == nil {
		return errors.New("child has no terminal of its own")
	}
	return pty.Setsize(c.pty, &pty.Winsize{Rows: rows, Cols: cols})
}

// reap waits for the child to end, ends what it left behind, and publishes the status.
func (c *Child) reap() {
	c.status = exitStatus(c.waitExit())
	c.endLeftovers()
	close(c.done)
}

func exitStatus(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// reapPid collects a child that has ended, and marks its pid as no longer ours.
func (c *Child) reapPid() (status unix.WaitStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for {
		_, err := unix.Wait4(c.pid, &status, 0, nil)
		if err != unix.EINTR {
			return status
		}
	}
}

// stopToo stops us as well when the child alone was stopped while it owns the terminal.
// Ctrl-Z goes to the whole group and stops us by itself; but agents that read the keys
// themselves stop only themselves, and the shell that waits for us would wait for ever.
// Still says whether the child is stopped at this moment.
func (c *Child) stopToo(still func() bool) {
	if c.mode != Inherit || !foreground() || !still() {
		return
	}
	// Everything in this process stops here, and goes on when the shell says so. The signal
	// stops us at some return from the kernel, not surely at the one from kill, so what is
	// waited for is the SIGCONT that ends it; then the child is told to go on, too.
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, unix.SIGCONT)
	defer signal.Stop(resumed)
	_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	<-resumed
	_ = c.Signal(unix.SIGCONT)
}

// foreground says whether our process group has the terminal, if there is one.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Signal sends a signal to the child's process group; in mode Inherit, where the group is
// ours, to the child alone. It returns os.ErrProcessDone when the child has ended.
func (c *Child) Signal(s os.Signal) error {
	sig, ok := s.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal %v: not one of this system", s)
	}
	return c.whileRunning(func() error {
		if c.mode == Inherit {
			return unix.Kill(c.pid, sig)
		}
		return unix.Kill(-c.pid, sig)
	})
}

// end signals the child's group and its descendants outside of it, each once: some programs
// take a second SIGTERM for impatience.
func (c *Child) end(sig syscall.Signal, grace time.Duration) {
	select {
	case <-c.done: // and what it left behind has been seen to
		return
	default:
	}
	outside := func(p process) bool { return c.mode == Inherit || p.pgid != c.pid }
	tree := descendants(c.pid)
	if c.Signal(sig) == nil {
		_ = c.Signal(unix.SIGCONT) // a stopped process gets no other signal before this one
	}
	signalAll(tree, outside, sig)
	deadline := time.Now().Add(grace)
	if c.waitFor(grace) {
		// Those outside of its group have as long as the child would have had.
		for len(living(tree)) > 0 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
	} else {
		tree = append(tree, descendants(c.pid)...)
		_ = c.Signal(unix.SIGKILL)
		c.sys.hurry.Do(func() { close(c.sys.impatient) })
	}
	signalAll(tree, nil, unix.SIGKILL)
	<-c.done
}

// EndOrphans ends what is left of a child in mode PTY whose parent was killed, as the child
// would have been ended by its parent: SIGTERM, and SIGKILL to what is left after two seconds.
// It is called soon after the parent's death, by a process that is no relative: a group's
// number is nobody else's while one of the group lives.
func EndOrphans(pid int) {
	c := &Child{pid: pid, mode: PTY}
	c.endLeftovers()
}

func (c *Child) waitFor(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// endLeftovers ends what the child, reaped by now, left running: in its process group, in
// mode PTY also in its session, which is nobody else's.
func (c *Child) endLeftovers() {
	if c.mode != Inherit {
		// A group's number is not given again while somebody is in it, and one that nobody
		// is in is answered with ESRCH.
		if unix.Kill(-c.pid, unix.SIGTERM) == nil {
			_ = unix.Kill(-c.pid, unix.SIGCONT)
		} else if c.mode == Group {
			return
		}
	}
	left := c.leftovers()
	signalAll(left, nil, unix.SIGTERM)
	timeout := time.After(leftoverGrace)
	for len(left) > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
			left = c.leftovers()
			continue
		case <-timeout:
		case <-c.sys.impatient:
		}
		signalAll(c.leftovers(), nil, unix.SIGKILL)
		return
	}
}

// leftovers are the processes that outlived the child in what was its group.
func (c *Child) leftovers() []process {
	var left []process
	if c.mode == Inherit {
		// The group is ours and the shell's, with other commands of a pipeline in it.
		for _, p := range inGroup(unix.Getpgrp()) {
			if !p.zombie && p.pid != os.Getpid() && c.orphaned(p) {
				left = append(left, p)
			}
		}
		return left
	}
	for _, p := range processes() {
		switch {
		case p.zombie || p.pid == os.Getpid():
		case p.pgid == c.pid, c.mode == PTY && p.sid == c.pid:
			left = append(left, p)
		}
	}
	return left
}
