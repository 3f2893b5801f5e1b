//go:build unix

package main

import (
	"errors"
	"fmt"
	"time"
)

func mib(kib float64) string { return fmt.Sprintf("%.1f MiB", kib/1024) }

// fresh calls f with new processes of both proxies, a few rounds of it, and returns the
// medians of what they then take, in KiB.
func (b *bench) fresh(of func(stat) int64, f func(*process, *target) error) (reference, agentvault float64, err error) {
	var rss series
	for range min(b.rounds, 5) {
		for i, role := range []string{"reference", "agentvault"} {
			p, err := spawn(role, "AGENTVAULT_BENCH_ROOTS="+b.upstream.CA)
			if err != nil {
				return 0, 0, err
			}
			err = f(p, newTarget(role, p.Addr, b.upstream.Addr, p.CA))
			s, serr := p.stat()
			p.close()
			if err = errors.Join(err, serr); err != nil {
				return 0, 0, fmt.Errorf("%s: %w", role, err)
			}
			rss[i+1] = append(rss[i+1], float64(of(s)))
		}
	}
	return rss.median(1), rss.median(2), nil
}

// memory is what a proxy takes before its first connection.
func (b *bench) memory() error {
	r, a, err := b.fresh(resident, func(*process, *target) error { return nil })
	if err != nil {
		return err
	}
	b.row("RSS at start", "-", mib(r), mib(a), a/1024, atMost(20, " MiB"))
	return nil
}

// bulk is the speed of large bodies, and the memory that they take.
func (b *bench) bulk() error {
	for _, way := range []string{"down", "up"} {
		s, err := b.turns(func(_ int, t *target) (float64, error) {
			begin := time.Now()
			err := b.transfer(t, way)
			return float64(b.plan.bulk) / 1e6 / time.Since(begin).Seconds(), err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		b.rowOf(fmt.Sprintf("%d MiB %s", b.plan.bulk>>20, way), s, func(v float64) string { return fmt.Sprintf("%.0f MB/s", v) }, toReference, atLeast(0.85, ""))
	}
	r, a, err := b.fresh(peak, func(_ *process, t *target) error {
		return errors.Join(b.transfer(t, "down"), b.transfer(t, "up"))
	})
	if err != nil {
		return err
	}
	b.row("peak RSS of a process that did both", "-", mib(r), mib(a), a/1024, atMost(40, " MiB"))
	return b.peaks()
}

// transfer is one large body over a connection of its own.
func (b *bench) transfer(t *target, way string) error {
	c, err := t.open(host, true)
	if err != nil {
		return err
	}
	defer c.Close()
	if way == "down" {
		return c.down(b.plan.bulk)
	}
	return c.up(b.plan.bulk)
}

// peaks tells, without a target, what the processes of the whole run took at the most: they
// hold connections to every host that was new to them.
func (b *bench) peaks() error {
	r, err := b.reference.stat()
	if err != nil {
		return err
	}
	a, err := b.agentvault.stat()
	if err != nil {
		return err
	}
	fmt.Printf("| peak RSS of all rows above | - | %s | %s |  |  |  |\n", mib(float64(r.Peak)), mib(float64(a.Peak)))
	return nil
}

func resident(s stat) int64 { return s.RSS }
func peak(s stat) int64     { return s.Peak }

// tunnels is the memory of connections that do nothing, in processes of their own.
func (b *bench) tunnels() error {
	var open []*client
	r, a, err := b.fresh(resident, func(_ *process, t *target) error {
		closeAll(open) // of the process before, which has gone
		var err error
		if open, err = openAll(t, b.plan.tunnels); err != nil {
			return err
		}
		for _, c := range open {
			if err := c.fetch(); err != nil {
				return err
			}
		}
		return nil
	})
	closeAll(open)
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("RSS with %d idle tunnels", b.plan.tunnels), "-", mib(r), mib(a), a/1024, atMost(40, " MiB"))
	return nil
}
