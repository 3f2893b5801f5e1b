//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/creack/pty"

	"agentvault/proxy/event"
	"agentvault/tui"
)

// soakRate is how many calls a second the soak makes, over soakConns connections.
const (
	soakRate  = 2000
	soakConns = 16
)

// screen is the inspector, open on a terminal that is read and counted.
type screen struct {
	redraws atomic.Int64
	dropped func() uint64
}

// openScreen opens the inspector on what a bus says.
func openScreen(bus *event.Bus) *screen {
	outer, tty, err := pty.Open()
	if err != nil {
		panic(err)
	}
	if err := pty.Setsize(outer, &pty.Winsize{Cols: 120, Rows: 40}); err != nil {
		panic(err)
	}
	sub := bus.Subscribe(8192) // what cmd gives its views
	s := &screen{dropped: sub.Dropped}
	go s.read(outer)
	go func() {
		err := tui.RunInspector(context.Background(), tui.Config{Events: sub.C, Dropped: sub.Dropped, Title: "soak", In: tty, Out: tty})
		fmt.Fprintln(os.Stderr, "bench: the inspector ended:", err)
	}()
	return s
}

// read counts the drawings: on the alternate screen each begins with the cursor's way home.
func (s *screen) read(outer *os.File) {
	home := []byte("\x1b[H")
	buf := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := outer.Read(buf[kept:])
		if err != nil {
			return
		}
		all := buf[:kept+n]
		s.redraws.Add(int64(bytes.Count(all, home)))
		kept = copy(buf, all[max(0, len(all)-len(home)+1):])
	}
}

// logLines counts the events in a log that is being written.
func logLines(log *os.File) (starts, ends int64) {
	buf := make([]byte, 1<<20)
	var rest []byte
	r := io.NewSectionReader(log, 0, 1<<40)
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		if i := bytes.LastIndexByte(rest, '\n'); i >= 0 {
			starts += int64(bytes.Count(rest[:i+1], []byte(`"phase":"start"`)))
			ends += int64(bytes.Count(rest[:i+1], []byte(`"phase":"end"`)))
			rest = append(rest[:0], rest[i+1:]...)
		}
		if err != nil {
			return starts, ends
		}
	}
}

// paced makes soakRate calls a second for d and returns how long each took. A call that is due
// while the one before it on its connection still runs follows at once.
func paced(t *target, d time.Duration) ([]time.Duration, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	begin := time.Now()
	for i := range soakConns {
		wg.Go(func() {
			took, err := pacedOne(t, begin.Add(time.Duration(i)*time.Second/soakRate), begin.Add(d))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return all, failed
}

func pacedOne(t *target, due, end time.Time) ([]time.Duration, error) {
	c, err := t.open(host, true)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	for ; due.Before(end); due = due.Add(soakConns * time.Second / soakRate) {
		time.Sleep(time.Until(due))
		begin := time.Now()
		if err := c.fetch(); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// soak keeps the inspector open under load: nothing of the log is lost, the drawings are
// bounded, so is the memory, and the proxy is as fast as without it.
func (b *bench) soak() error {
	watched, err := spawn("watched", "AGENTVAULT_BENCH_ROOTS="+b.upstream.CA)
	if err != nil {
		return err
	}
	defer watched.close()
	plain, seen := b.targets[2], newTarget("watched", watched.Addr, b.upstream.Addr, watched.CA)
	warm, err := paced(seen, b.soakFor/6)
	if err != nil {
		return err
	}
	before, err := watched.stat()
	if err != nil {
		return err
	}
	took, err := paced(seen, b.soakFor)
	if err != nil {
		return err
	}
	after, err := watched.stat()
	if err != nil {
		return err
	}
	calls := int64(len(warm) + len(took))
	seconds := b.soakFor.Seconds()
	rate, lost, redraws := float64(len(took))/seconds, 2*calls-after.Starts-after.Ends, float64(after.Redraws-before.Redraws)/seconds
	b.row(fmt.Sprintf("inspector open, calls/s over %.0f s", seconds), "-", "-", fmt.Sprintf("%.0f", rate), rate, atLeast(soakRate, ""))
	b.row(fmt.Sprintf("log lines lost, of %d", 2*calls), "-", "-", fmt.Sprint(lost), float64(lost), atMost(0, ""))
	b.row("redraws/s", "-", "-", fmt.Sprintf("%.1f", redraws), redraws, atMost(30, ""))
	b.row("RSS with the inspector, after a sixth of it and at the end", "-", mib(float64(before.RSS)), mib(float64(after.RSS)), 0, goal{})
	return b.slowed(plain, seen)
}

// slowed compares the proxy with and without the inspector, in turns.
func (b *bench) slowed(plain, seen *target) error {
	var s series
	for round := range 4 * b.rounds { // many and short: what else the machine does comes in waves
		for i := range 2 {
			at, t := 0, plain
			if (i+round)%2 == 1 {
				at, t = 2, seen
			}
			took, err := paced(t, b.soakFor/60)
			if err != nil {
				return err
			}
			s[at] = append(s[at], float64(median(took)))
		}
	}
	s[1] = s[0]
	b.ratioRow("a call at that rate, without and with it, p50", "-", us(s.median(0)), us(s.median(2)), s.ratio(toDirect), atMost(1.05, " of without"))
	return nil
}
