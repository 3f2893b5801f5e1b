//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"agentvault/proxy/event"
)

// hello is the first line of a process, stat the answer to each line after it.
type hello struct {
	Addr string
	CA   string // PEM
}

type stat struct {
	CPU        time.Duration
	RSS, Peak  int64 // KiB
	Mallocs    uint64
	Handshakes int64
	// Of the role "watched".
	Starts, Ends int64 // events in the log
	Redraws      int64
}

// process is one of the programs under measurement.
type process struct {
	hello
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func spawn(role string, env ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: role, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), append(env, "AGENTVAULT_BENCH_ROLE="+role)...)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.read(&p.hello)
}

func (p *process) read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return json.Unmarshal(line, v)
}

func (p *process) stat() (s stat, err error) {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return s, err
	}
	return s, p.read(&s)
}

func (p *process) close() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

// serveRole is the life of a process: it serves until its standard input ends.
func serveRole(role string) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		panic(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	h := hello{Addr: "127.0.0.1:" + port}
	handshakes := func() int64 { return 0 }
	var log *os.File
	var bus *event.Bus
	var view *screen
	switch role {
	case "upstream":
		h.CA, handshakes = serveUpstream(l)
	case "reference":
		h.CA = serveReference(l)
	case "agentvault":
		h.CA, _, _ = serveAgentvault(l)
	case "watched":
		h.CA, log, bus = serveAgentvault(l)
		view = openScreen(bus)
	}
	if file := os.Getenv("AGENTVAULT_BENCH_PROFILE"); file != "" && role == "agentvault" {
		f := must(os.Create(file))
		_ = pprof.StartCPUProfile(f)
		defer func() { pprof.StopCPUProfile(); _ = f.Close() }()
	}
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(h)
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
		s := measure()
		s.Handshakes = handshakes()
		if view != nil {
			s.Starts, s.Ends = logLines(log)
			s.Redraws = view.redraws.Load()
		}
		_ = out.Encode(s)
	}
}

func measure() stat {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return stat{
		CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), Mallocs: m.Mallocs,
		RSS: status("VmRSS:"), Peak: status("VmHWM:"),
	}
}

// status reads /proc; elsewhere than on Linux memory is not measured.
func status(field string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}
