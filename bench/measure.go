//go:build unix

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bench holds the processes and the three ways to the upstream.
type bench struct {
	plan
	upstream, reference, agentvault *process
	targets                         []*target // direct, reference, agentvault
	nextHost                        int
	asked, met                      int // targets that were measured, and those that were met
}

const host = "127.0.0.1"

func newBench(p plan) (*bench, error) {
	b := &bench{plan: p, nextHost: 2}
	var err error
	if b.upstream, err = spawn("upstream"); err != nil {
		return nil, err
	}
	roots := "AGENTVAULT_BENCH_ROOTS=" + b.upstream.CA
	if b.reference, err = spawn("reference", roots); err != nil {
		return nil, err
	}
	if b.agentvault, err = spawn("agentvault", roots); err != nil {
		return nil, err
	}
	b.targets = []*target{
		newTarget("direct", "", b.upstream.Addr, b.upstream.CA),
		newTarget("reference", b.reference.Addr, b.upstream.Addr, b.reference.CA),
		newTarget("agentvault", b.agentvault.Addr, b.upstream.Addr, b.agentvault.CA),
	}
	return b, nil
}

func (b *bench) close() {
	for _, p := range []*process{b.agentvault, b.reference, b.upstream} {
		p.close()
	}
}

// series are the figures of the three targets, one a round.
type series [3][]float64

// median of one target over the rounds.
func (s *series) median(i int) float64 { return median(slices.Clone(s[i])) }

// ratio is the median of what f makes of each round. The targets of one round were
// measured within seconds: what else the machine did then hit all of them.
func (s *series) ratio(f func(direct, reference, agentvault float64) float64) float64 {
	var all []float64
	for i := range s[0] {
		all = append(all, f(s[0][i], s[1][i], s[2][i]))
	}
	return median(all)
}

func toReference(_, r, a float64) float64 { return a / r }

func toDirect(d, _, a float64) float64 { return a / d }

// turns calls f for each target in each round. Who is first changes from round to round.
func (b *bench) turns(f func(round int, t *target) (float64, error)) (*series, error) {
	s := &series{make([]float64, b.rounds), make([]float64, b.rounds), make([]float64, b.rounds)}
	for round := range b.rounds {
		for i := range b.targets {
			i = (i + round) % len(b.targets)
			v, err := f(round, b.targets[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", b.targets[i].name, err)
			}
			s[i][round] = v
		}
	}
	return s, nil
}

// rowOf prints the medians of a series, with its ratio.
func (b *bench) rowOf(what string, s *series, show func(float64) string, ratio func(d, r, a float64) float64, g goal) {
	b.ratioRow(what, show(s.median(0)), show(s.median(1)), show(s.median(2)), s.ratio(ratio), g)
}

func median[T int64 | float64 | time.Duration](v []T) T {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func us(ns float64) string { return fmt.Sprintf("%.1f µs", ns/1000) }

// warm is the median of sequential requests on one kept connection.
func (b *bench) warm() error {
	s, err := b.turns(func(_ int, t *target) (float64, error) {
		c, err := t.open(host, true)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		took := make([]time.Duration, 0, b.plan.warm)
		for i := range b.plan.warm + 100 {
			begin := time.Now()
			if err := c.fetch(); err != nil {
				return 0, err
			}
			if i >= 100 {
				took = append(took, time.Since(begin))
			}
		}
		return float64(median(took)), nil
	})
	if err != nil {
		return err
	}
	d, r, a := s.median(0), s.median(1), s.median(2)
	b.row("warm GET, p50", us(d), us(r), us(a), 0, goal{})
	b.ratioRow("added to it", "0", us(r-d), us(a-d), s.ratio(func(d, r, a float64) float64 { return (a - d) / (r - d) }), atMost(1.15, ""))
	return nil
}

// load is requests a second over n kept connections, and what they cost the proxy.
func (b *bench) load(n int) error {
	var fresh []float64
	var cpu, allocs series
	number := map[*process]int{b.upstream: 0, b.reference: 1, b.agentvault: 2}
	s, err := b.turns(func(_ int, t *target) (float64, error) {
		p := map[string]*process{"direct": b.upstream, "reference": b.reference, "agentvault": b.agentvault}[t.name]
		clients, err := openAll(t, n)
		if err != nil {
			return 0, err
		}
		defer closeAll(clients)
		if _, err := b.hammer(clients, b.plan.load/4); err != nil {
			return 0, err
		}
		before, err := p.stat()
		if err != nil {
			return 0, err
		}
		up, err := b.upstream.stat()
		if err != nil {
			return 0, err
		}
		rate, err := b.hammer(clients, b.plan.load)
		if err != nil {
			return 0, err
		}
		after, err := p.stat()
		if err != nil {
			return 0, err
		}
		count := rate * b.plan.load.Seconds()
		i := number[p]
		cpu[i] = append(cpu[i], float64(after.CPU-before.CPU)/count)
		allocs[i] = append(allocs[i], float64(after.Mallocs-before.Mallocs)/count)
		if p == b.agentvault {
			now, err := b.upstream.stat()
			if err != nil {
				return 0, err
			}
			fresh = append(fresh, float64(now.Handshakes-up.Handshakes)/count*1000)
		}
		return rate, nil
	})
	if err != nil {
		return err
	}
	b.rowOf(fmt.Sprintf("requests, %d connections", n), s, func(v float64) string { return fmt.Sprintf("%.0f/s", v) }, toReference, atLeast(0.90, ""))
	b.ratioRow(fmt.Sprintf("proxy CPU per request, %d connections", n), "-", us(cpu.median(1)), us(cpu.median(2)), cpu.ratio(toReference), atMost(1.25, ""))
	b.ratioRow("allocations per request", "-", fmt.Sprintf("%.0f", allocs.median(1)), fmt.Sprintf("%.0f", allocs.median(2)), allocs.ratio(toReference), goal{})
	b.row(fmt.Sprintf("upstream handshakes per 1,000 requests, %d connections", n), "-", "-", fmt.Sprintf("%.2f", median(fresh)), median(fresh), atMost(0, ""))
	return nil
}

func openAll(t *target, n int) ([]*client, error) {
	var all []*client
	for range n {
		c, err := t.open(host, true)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func closeAll(all []*client) {
	for _, c := range all {
		_ = c.Close()
	}
}

func (b *bench) hammer(clients []*client, d time.Duration) (rate float64, err error) {
	var stop atomic.Bool
	var count atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now()
	for _, c := range clients {
		wg.Go(func() {
			n := int64(0)
			for !stop.Load() {
				if err := c.fetch(); err != nil {
					failed.Store(&err)
					return
				}
				n++
			}
			count.Add(n)
		})
	}
	time.Sleep(d)
	stop.Store(true)
	took := time.Since(begin)
	wg.Wait()
	if e := failed.Load(); e != nil {
		return 0, *e
	}
	return float64(count.Load()) / took.Seconds(), nil
}

// cold is a new connection and its first request: to a host that was seen before, with
// tickets, and to one that never was.
func (b *bench) cold() error {
	first := func(t *target, host string, resume bool) (time.Duration, error) {
		begin := time.Now()
		c, err := t.open(host, resume)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		err = c.fetch()
		return time.Since(begin), err
	}
	s, err := b.turns(func(_ int, t *target) (float64, error) {
		var took []time.Duration
		for range b.plan.cold + 2 {
			v, err := first(t, host, true)
			if err != nil {
				return 0, err
			}
			took = append(took, v)
		}
		return float64(median(took)), nil
	})
	if err != nil {
		return err
	}
	b.rowOf("connect + first request, host seen before", s, us, toDirect, atMost(1.40, " of direct"))
	hosts := min(b.plan.cold, 240/b.rounds)
	s, err = b.turns(func(round int, t *target) (float64, error) {
		var took []time.Duration
		for i := range hosts {
			v, err := first(t, fmt.Sprintf("127.0.0.%d", b.nextHost+round*hosts+i), false)
			if err != nil {
				return 0, err
			}
			took = append(took, v)
		}
		return float64(median(took)), nil
	})
	if err != nil {
		return err
	}
	b.rowOf("connect + first request, host never seen", s, us, toDirect, atMost(2, " of direct"))
	return nil
}

// stream is the delay of the head of an event stream, and of its events.
func (b *bench) stream() error {
	const streams = 25 // a head each
	events := series{make([]float64, b.rounds), make([]float64, b.rounds), make([]float64, b.rounds)}
	s, err := b.turns(func(round int, t *target) (float64, error) {
		c, err := t.open(host, true)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		var heads, delays []time.Duration
		for range streams {
			begin := time.Now()
			if _, err := c.Write(c.head("GET", "/events?n="+strconv.Itoa(b.plan.events/streams), "")); err != nil {
				return 0, err
			}
			if _, err := c.readHead(); err != nil {
				return 0, err
			}
			heads = append(heads, time.Since(begin))
			for {
				line, err := c.in.ReadSlice('\n')
				if err != nil {
					return 0, err
				}
				if text, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
					sent, _ := strconv.ParseInt(string(bytes.TrimLeft(text[:20], "0")), 10, 64)
					delays = append(delays, time.Duration(time.Now().UnixNano()-sent))
				}
				if string(line) == "0\r\n" {
					break
				}
			}
			if _, err := c.in.ReadSlice('\n'); err != nil {
				return 0, err
			}
		}
		if len(delays) < b.plan.events/streams*streams {
			return 0, fmt.Errorf("%d events", len(delays))
		}
		events[slices.Index(b.targets, t)][round] = float64(median(delays))
		return float64(median(heads)), nil
	})
	if err != nil {
		return err
	}
	// "As the reference" is what two runs of the same thing differ by.
	b.rowOf("SSE, head", s, us, toReference, atMost(1.10, ", as the reference"))
	b.rowOf("SSE, event", &events, us, toReference, atMost(1.10, ", as the reference"))
	return nil
}
