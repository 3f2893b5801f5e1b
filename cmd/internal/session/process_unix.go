//go:build unix

package session

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one row of the system's table. Start tells it from a later one of its pid.
type process struct {
	pid, ppid, pgid, sid int
	start                uint64
	zombie               bool
}

// descendants are the living processes below pid, without itself.
func descendants(pid int) []process { return below(pid, processes()) }

// below picks the descendants of pid from a table.
func below(pid int, all []process) []process {
	found := map[int]bool{pid: true}
	var out []process
	// A child can stand before its parent in the table, since pids wrap around.
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if found[p.ppid] && !found[p.pid] {
				found[p.pid], grown = true, true
				if !p.zombie {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// living picks from ps those that are still running, told from later ones of their pids.
func living(ps []process) []process {
	if len(ps) == 0 {
		return nil
	}
	now := map[int]process{}
	for _, p := range processes() {
		now[p.pid] = p
	}
	var out []process
	for _, p := range ps {
		if q, ok := now[p.pid]; ok && q.start == p.start && !q.zombie {
			out = append(out, q)
		}
	}
	return out
}

// signalAll signals those that are still running and that only, if not nil, agrees to.
func signalAll(ps []process, only func(process) bool, sig syscall.Signal) {
	for _, p := range living(ps) {
		if only == nil || only(p) {
			_ = unix.Kill(p.pid, sig)
		}
	}
}
