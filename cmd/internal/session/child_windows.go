package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// system is the job that the child and all its descendants are in. Closing it, which the
// kernel does when we die, ends them all.
type system struct{ job windows.Handle }

func isWindowsPath(name string) bool { return strings.EqualFold(name, "PATH") }

// lookPath finds a command as CreateProcess' callers do, in the child's PATH. The working
// directory is not searched.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.ContainsAny(name, `:\/`) {
		at := name
		if !filepath.IsAbs(at) && dir != "" {
			at = filepath.Join(dir, at)
		}
		return firstFile(at)
	}
	for _, folder := range filepath.SplitList(searchPath(env)) {
		if !filepath.IsAbs(folder) {
			continue
		}
		if path, err := firstFile(filepath.Join(folder, name)); err == nil {
			return path, nil
		}
	}
	return "", ErrNotFound
}

// firstFile tries a path as it stands and with each extension that makes a program.
func firstFile(path string) (string, error) {
	extensions := os.Getenv("PATHEXT")
	if extensions == "" {
		extensions = ".COM;.EXE;.BAT;.CMD"
	}
	try := strings.Split(extensions, ";")
	if filepath.Ext(path) != "" {
		try = append([]string{""}, try...)
	}
	for _, ext := range try {
		if info, err := os.Stat(path + ext); err == nil && !info.IsDir() {
			return path + ext, nil
		}
	}
	return "", ErrNotFound
}

func (c *Child) start(cmd *exec.Cmd, o Options) error {
	if o.Mode == PTY {
		return errors.New("a terminal for the child: not supported on Windows")
	}
	job, err := newJob()
	if err != nil {
		return fmt.Errorf("job object: %w", err)
	}
	if o.Mode == Group {
		cmd.SysProcAttr = &windows.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	}
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		if errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) || errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			return fmt.Errorf("%w: %w", ErrNotExecutable, err)
		}
		return err
	}
	c.pid, c.sys.job = cmd.Process.Pid, job
	// What the child starts before this line is not in the job: a matter of microseconds.
	_ = cmd.Process.WithHandle(func(h uintptr) {
		err = windows.AssignProcessToJobObject(job, windows.Handle(h))
	})
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		windows.CloseHandle(job)
		return fmt.Errorf("job object: %w", err)
	}
	go func() {
		_ = cmd.Wait()
		c.mu.Lock()
		c.ended = true
		windows.CloseHandle(job)
		c.mu.Unlock()
		c.status = cmd.ProcessState.ExitCode()
		close(c.done)
	}()
	return nil
}

func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

// Resize fails: no child has a terminal of its own here.
func (c *Child) Resize(rows, cols uint16) error {
	return errors.New("child has no terminal of its own")
}

// Signal tells the child's process group of a Ctrl-Break, the only signal that Windows can
// send to a group; in mode Inherit the console has told the child by itself.
func (c *Child) Signal(s os.Signal) error {
	return c.whileRunning(func() error {
		if c.mode == Inherit {
			return nil
		}
		return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(c.pid))
	})
}

func (c *Child) end(_ syscall.Signal, grace time.Duration) {
	_ = c.Signal(os.Interrupt)
	select {
	case <-c.done:
	case <-time.After(grace):
	}
	_ = c.whileRunning(func() error { return windows.TerminateJobObject(c.sys.job, 1) })
	<-c.done
}
