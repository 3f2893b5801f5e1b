//go:build unix

package command

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// gone waits until pid is no longer a process, or is one that nobody has reaped yet.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 2000 {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d, which the command had started, outlives it", pid)
}
