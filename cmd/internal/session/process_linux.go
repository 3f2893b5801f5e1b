package session

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hasEnv says whether a process was started with a variable, given as KEY=value.
func hasEnv(pid int, kv string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, data...), append([]byte{0}, kv+"\x00"...))
}

// processes reads the table of processes.
func processes() (all []process) {
	for pid := range pids() {
		if p, ok := readProcess(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

// inGroup reads those of a process group. Asking for the group takes a fraction of what
// reading a process does, and a machine has hundreds of others.
func inGroup(group int) (all []process) {
	for pid := range pids() {
		if g, err := unix.Getpgid(pid); err != nil || g != group {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

func pids() iter.Seq[int] {
	return func(yield func(int) bool) {
		dir, err := os.Open("/proc")
		if err != nil {
			return
		}
		defer dir.Close()
		names, _ := dir.Readdirnames(-1)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && !yield(pid) {
				return
			}
		}
	}
}

func readProcess(pid int) (process, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// pid (comm) state ppid pgrp session ...: comm may hold anything, ')' included.
	_, rest, ok := strings.Cut(string(data[max(0, bytes.LastIndexByte(data, ')')):]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return process{}, false
	}
	p := process{pid: pid, zombie: f[0] == "Z" || f[0] == "X"}
	p.ppid, _ = strconv.Atoi(f[1])
	p.pgid, _ = strconv.Atoi(f[2])
	p.sid, _ = strconv.Atoi(f[3])
	p.start, _ = strconv.ParseUint(f[19], 10, 64) // field 22, in clock ticks since boot
	return p, true
}

// processUID is the real user of a process.
func processUID(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), "\nUid:\t")
	uid, _, _ := strings.Cut(rest, "\t")
	return strconv.Atoi(uid)
}
