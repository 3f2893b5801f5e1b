package session

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the child when we die, however we die.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// cldStopped is the si_code of a child that was stopped (CLD_STOPPED).
const cldStopped = 5

// waitExit waits for the child to end and reaps it, following its stops.
func (c *Child) waitExit() unix.WaitStatus {
	for {
		var info unix.Siginfo
		// Looking without taking keeps the pid ours until reapPid has the lock.
		err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || info.Code != cldStopped:
			return c.reapPid()
		default:
			c.stopToo(c.takeStop)
			c.takeStop()
		}
	}
}

// takeStop takes the news that the child is stopped, if it still is.
func (c *Child) takeStop() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	return err == nil && info.Signo != 0
}

// orphaned says whether a process of our group came from the child: it carries the
// session's variable. Its parent is gone and says nothing any more.
func (c *Child) orphaned(p process) bool {
	return c.sys.mark != "" && hasEnv(p.pid, c.sys.mark)
}
