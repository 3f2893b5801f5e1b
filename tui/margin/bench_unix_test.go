//go:build unix

package margin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/term"
)

func seqOutput(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d\r\n", i)
	}
	return b.Bytes()
}

func BenchmarkFilter(b *testing.B) {
	var coloured, cjk, screen bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&coloured, "\x1b[38;5;%dmword\x1b[0m %d\r\n", i%256, i)
		fmt.Fprintf(&cjk, "漢字かな交じり文 %d ─────\r\n", i)
		fmt.Fprintf(&screen, "\x1b[%d;%dH\x1b[1;3%dmcell\x1b[K", i%30+1, i%80+1, i%8)
	}
	for _, bench := range []struct {
		name string
		data []byte
	}{{"seq", seqOutput(200000)}, {"long lines", bytes.Repeat([]byte("x"), 1<<20)}, {"coloured", coloured.Bytes()},
		{"cjk", cjk.Bytes()}, {"addressed", screen.Bytes()}, {"alternate", append([]byte("\x1b[?1049h\x1b[H"), screen.Bytes()...)}} {
		b.Run(bench.name, func(b *testing.B) {
			f := NewFilter(120, 39, 40, nil)
			dst := make([]byte, 0, len(bench.data)+1024)
			b.SetBytes(int64(len(bench.data)))
			for b.Loop() {
				for p := bench.data; len(p) > 0; {
					n := min(len(p), 4096) // what a PTY gives at once
					dst = f.Append(dst[:0], p[:n])
					p = p[n:]
				}
			}
		})
	}
}

func BenchmarkPaint(b *testing.B) {
	f := NewFilter(120, 39, 40, nil)
	rows := fitAll([]string{"\x1b[2m ◆ 42 calls · 39 injected · 1 passed   ⚠ 2 uncovered     POST api.anthropic.com/v1/messages 200 1.2s"}, 120, 1)
	var dst []byte
	for b.Loop() {
		dst = f.appendPaint(dst[:0], rows)
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}

// wired is a program on a PTY whose far end the benchmark holds, bare or under Run.
func wired(b *testing.B, through, raw bool, argv ...string) *os.File {
	outer, tty, err := pty.Open()
	if err != nil {
		b.Skipf("no PTY: %v", err)
	}
	pty.Setsize(outer, &pty.Winsize{Cols: 120, Rows: 40})
	slave := tty
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if !through && raw {
		if _, err := term.MakeRaw(int(tty.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	var master *os.File
	var t *Terminal
	if through {
		if master, slave, err = pty.Open(); err != nil {
			b.Fatal(err)
		}
		if raw {
			if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
				b.Fatal(err)
			}
		}
		t, err = New(Config{In: tty, Out: tty, PTY: master, Rows: func(int) []string { return []string{"BAR"} }})
		if err != nil {
			b.Fatal(err)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if through {
		slave.Close()
		go func() { done <- t.Run(ctx) }()
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		cancel()
		tty.Close()
		outer.Close()
		if through {
			<-done
			master.Close()
		}
	})
	return outer
}

// readUntil reads up to a marker that was not typed.
func readUntil(b *testing.B, r io.Reader, marker string) {
	var tail []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		tail = append(tail, buf[:n]...)
		if bytes.Contains(tail, []byte(marker)) {
			return
		}
		if err != nil {
			b.Fatalf("%v before %q", err, marker)
		}
		tail = tail[max(0, len(tail)-len(marker)):]
	}
}

// BenchmarkEcho is the time from a key to its echo, by a child that is a plain cat.
func BenchmarkEcho(b *testing.B) {
	for _, through := range []bool{false, true} {
		b.Run(map[bool]string{false: "bare", true: "run"}[through], func(b *testing.B) {
			outer := wired(b, through, true, "sh", "-c", "echo READY; exec cat")
			readUntil(b, outer, "READY")
			key := []byte{'k'}
			for b.Loop() {
				if _, err := outer.Write(key); err != nil {
					b.Fatal(err)
				}
				readUntil(b, outer, "k")
			}
		})
	}
}

// BenchmarkSeq is a long output, read as fast as a terminal could.
func BenchmarkSeq(b *testing.B) {
	for _, through := range []bool{false, true} {
		b.Run(map[bool]string{false: "bare", true: "run"}[through], func(b *testing.B) {
			for b.Loop() {
				outer := wired(b, through, false, "sh", "-c", "seq 1 2000000; echo FINISHED; exec sleep 60")
				readUntil(b, outer, "FINISHED")
			}
		})
	}
}
