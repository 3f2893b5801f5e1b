package session

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Owner tells whether a connection to us comes from a child's process tree. It is for
// clients that cannot send the session's token; the kernel's word replaces it.
//
// It holds no state and is safe for concurrent use. One question costs about a
// millisecond, more on a machine with many processes or sockets: ask once a connection.
type Owner struct {
	pid   int
	start uint64 // when pid was started: later it may name another process
	// Mark, if not empty, is a variable as KEY=value that only the session's processes were
	// started with and that nobody can guess, such as HTTPS_PROXY with the token in it. A
	// process that left the tree, as a Gradle daemon does, is known by it.
	Mark string
}

// NewOwner makes an Owner for the tree below pid, pid itself included.
func NewOwner(pid int) *Owner {
	p, _ := readProcess(pid)
	return &Owner{pid: pid, start: p.start}
}

// Owns says whether the socket whose local address is client and whose peer is server
// belongs to a process of the tree, and returns that process's name. The name was chosen
// by the process: escape it before showing it.
//
// Part of the tree are the descendants, the members of the process group and of the
// session that the child leads (as in modes Group and PTY; there also those whose parent
// is gone), and the processes that carry the Mark. What cannot be found out is a no.
func (o *Owner) Owns(client, server netip.AddrPort) (comm string, ok bool) {
	uid, err := processUID(o.pid)
	if p, found := readProcess(o.pid); err != nil || !found || p.start != o.start {
		return "", false
	}
	inode, ok := o.findSocket(client, server, uid)
	if !ok {
		return "", false
	}
	socket := "socket:[" + inode + "]"
	for _, pid := range o.candidates(uid) {
		if holds(pid, socket) {
			return programName(pid), true
		}
	}
	return "", false
}

// programName is what the process calls itself. Node calls its main thread MainThread, by
// which nobody knows it: then it is the name of its file.
func programName(pid int) string {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimRight(string(comm), "\n")
	if name == "MainThread" {
		if file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
			return filepath.Base(file)
		}
	}
	return name
}

// candidates are the pids of the tree, likeliest first.
func (o *Owner) candidates(uid int) []int {
	pids := []int{o.pid}
	seen := map[int]bool{o.pid: true, os.Getpid(): true}
	add := func(pid int) {
		if !seen[pid] {
			seen[pid] = true
			pids = append(pids, pid)
		}
	}
	all := processes()
	for _, p := range below(o.pid, all) {
		add(p.pid)
	}
	for _, p := range all {
		if p.pgid == o.pid || p.sid == o.pid {
			add(p.pid)
		}
	}
	for _, p := range all {
		if o.Mark == "" || seen[p.pid] || p.zombie {
			continue
		}
		if owner, err := processUID(p.pid); err == nil && owner == uid && hasEnv(p.pid, o.Mark) {
			add(p.pid)
		}
	}
	return pids
}

// findSocket looks for the connection in the child's network namespace. A dual-stack
// client, as the JVM is, has an IPv6 socket with a mapped IPv4 address.
func (o *Owner) findSocket(client, server netip.AddrPort, uid int) (inode string, ok bool) {
	client, server = unmap(client), unmap(server)
	for _, table := range []string{"tcp", "tcp6"} {
		if inode, ok := scanSockets(fmt.Sprintf("/proc/%d/net/%s", o.pid, table), client, server, uid); ok {
			return inode, true
		}
	}
	return "", false
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// scanSockets reads one table of proc_net_tcp(5): sl local rem st tx:rx tr:when retr uid
// timeout inode.
func scanSockets(path string, client, server netip.AddrPort, uid int) (inode string, ok bool) {
	file, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer file.Close()
	port := fmt.Sprintf(":%04X ", client.Port())
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// Nearly every line ends here, before the work of parsing.
		if !strings.Contains(lines.Text(), port) {
			continue
		}
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[9] == "0" || f[7] != strconv.Itoa(uid) {
			continue
		}
		local, err1 := parseSocket(f[1])
		remote, err2 := parseSocket(f[2])
		if err1 == nil && err2 == nil && local == client && remote == server {
			return f[9], true
		}
	}
	return "", false
}

// parseSocket reads an address as the kernel prints it: 32-bit words in the order of the
// machine, the port as a number.
func parseSocket(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	words, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || !ok {
		return netip.AddrPort{}, fmt.Errorf("%q: not a socket address", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// holds says whether a process has a file open that reads as name.
func holds(pid int, name string) bool {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return false
	}
	defer dir.Close()
	fds, _ := dir.Readdirnames(-1)
	for _, fd := range fds {
		if link, err := os.Readlink(dir.Name() + "/" + fd); err == nil && link == name {
			return true
		}
	}
	return false
}
