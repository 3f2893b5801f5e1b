//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"agentvault/tui/margin"
)

// wired is a program on a terminal whose far end the benchmark holds: bare, or with a row of
// ours beneath it as `agentvault run` has it.
type wired struct {
	outer *os.File
	close func()
}

const barRow = "\x1b[2m  ◆ 42 calls · 39 injected · 1 passed     POST api.example.test/v1/messages 200 1.2s      ^] view\x1b[0m"

func wire(through bool, argv ...string) (*wired, error) {
	outer, tty, err := pty.Open()
	if err != nil {
		return nil, err
	}
	if err := pty.Setsize(outer, &pty.Winsize{Cols: 120, Rows: 40}); err != nil {
		return nil, err
	}
	w := &wired{outer: outer}
	slave := tty
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var master *os.File
	if through {
		if master, slave, err = pty.Open(); err != nil {
			cancel()
			return nil, err
		}
		t, err := margin.New(margin.Config{In: tty, Out: tty, PTY: master, Rows: func(int) []string { return []string{barRow} }})
		if err != nil {
			cancel()
			return nil, err
		}
		go func() { done <- t.Run(ctx) }()
	}
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		cancel()
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	w.close = func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		cancel()
		_ = outer.Close() // first: nobody would read what Run says at its end
		if through {
			<-done
			_ = master.Close()
		}
		_ = tty.Close()
	}
	if through {
		_ = slave.Close()
	}
	return w, err
}

// until reads up to a marker.
func (w *wired) until(marker string) error {
	var tail []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := w.outer.Read(buf)
		tail = append(tail, buf[:n]...)
		if bytes.Contains(tail, []byte(marker)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w before %q", err, marker)
		}
		tail = tail[max(0, len(tail)-len(marker)):]
	}
}

// echo is the median time from a key to its echo by a child that is a plain cat. A pause lies
// between two keys, as with people: nothing is warm by itself.
func (b *bench) echo() error {
	var s series
	for round := range b.rounds {
		for i := range 2 {
			through := (i+round)%2 == 1
			took, err := echoes(through, b.keys)
			if err != nil {
				return err
			}
			at := 0
			if through {
				at = 2
			}
			s[at] = append(s[at], float64(median(took)))
		}
	}
	s[1] = s[0] // there is nobody to refer to
	added := s.ratio(func(d, _, a float64) float64 { return a - d })
	b.row("keystroke to echo, p50", us(s.median(0)), "-", us(s.median(2)), 0, goal{})
	b.row("added to it, µs", "0", "-", us(added), added/1000, atMost(500, ""))
	return nil
}

func echoes(through bool, keys int) ([]time.Duration, error) {
	w, err := wire(through, "sh", "-c", "echo READY; exec cat")
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := w.until("READY"); err != nil {
		return nil, err
	}
	var took []time.Duration
	for range keys {
		time.Sleep(2 * time.Millisecond)
		begin := time.Now()
		if _, err := io.WriteString(w.outer, "~"); err != nil {
			return nil, err
		}
		if err := w.until("~"); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// seq is a long output, read as fast as a terminal could.
func (b *bench) seq() error {
	var s series
	for round := range b.rounds {
		for i := range 2 {
			through := (i+round)%2 == 1
			w, err := wire(through, "sh", "-c", fmt.Sprintf("echo READY; seq 1 %d; echo FINISHED; exec sleep 60", b.lines))
			if err != nil {
				return err
			}
			begin := time.Now()
			err = w.until("FINISHED")
			took := time.Since(begin)
			w.close()
			if err != nil {
				return err
			}
			at := 0
			if through {
				at = 2
			}
			s[at] = append(s[at], float64(took))
		}
	}
	s[1] = s[0]
	show := func(ns float64) string { return fmt.Sprintf("%.2f s", ns/1e9) }
	b.ratioRow(fmt.Sprintf("seq 1 %d", b.lines), show(s.median(0)), "-", show(s.median(2)), s.ratio(toDirect), atMost(2.5, " of bare"))
	return nil
}
