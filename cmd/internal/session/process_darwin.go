package session

import "golang.org/x/sys/unix"

// stateZombie is SZOMB of sys/proc.h.
const stateZombie = 5

// processes reads the table of processes.
func processes() []process {
	rows, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	all := make([]process, 0, len(rows))
	for _, r := range rows {
		all = append(all, process{
			pid: int(r.Proc.P_pid), ppid: int(r.Eproc.Ppid), pgid: int(r.Eproc.Pgid),
			start:  uint64(r.Proc.P_starttime.Sec)*1e6 + uint64(r.Proc.P_starttime.Usec),
			zombie: r.Proc.P_stat == stateZombie,
		})
	}
	return all
}

// inGroup picks those of a process group.
func inGroup(group int) (all []process) {
	for _, p := range processes() {
		if p.pgid == group {
			all = append(all, p)
		}
	}
	return all
}

// orphaned says whether a process of our group came from the child: launchd has taken it
// over. The other commands of a pipeline are still the shell's.
func (c *Child) orphaned(p process) bool { return p.ppid == 1 }
