package session

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// hasEnv says whether a process was started with a variable, given as KEY=value.
func hasEnv(pid int, kv string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, data...), append([]byte{0}, kv+"\x00"...))
}

// processes reads the table of processes.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var all []process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all
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
