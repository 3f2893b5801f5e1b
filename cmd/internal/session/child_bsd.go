//go:build unix && !linux

package session

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent does nothing: there is no such service here. After kill -9 of agentvault
// the child goes on, without a proxy.
func dieWithParent(*syscall.SysProcAttr) {}

// waitExit waits for the child to end, following its stops.
func (c *Child) waitExit() unix.WaitStatus {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(c.pid, &status, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err == nil && status.Stopped():
			c.stopToo(func() bool { return true })
		default:
			c.mu.Lock()
			c.ended = true
			c.mu.Unlock()
			return status
		}
	}
}
