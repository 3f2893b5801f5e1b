package cmd

import "golang.org/x/sys/unix"

// harden keeps the child, which runs as the same user, away from this process: not
// dumpable means no ptrace, no /proc/PID/mem or environ, no pidfd_getfd. The soft limit
// keeps a crash from writing secrets into a core file; the child may raise its own.
func harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}
