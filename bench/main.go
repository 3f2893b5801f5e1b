//go:build unix

// Command bench measures what agentvault's proxy adds to a connection, beside a plain
// interceptor made of the standard library's parts, and what its view adds to a terminal, and
// prints a table.
//
// Client, upstream and proxies are processes of their own on one machine; every round
// measures all of them in turns. The table holds medians over the rounds; a ratio is the
// median of the rounds' own ratios, because the targets of one round were measured
// within seconds. The absolute figures depend on the machine, the ratios much less.
//
//	go run ./bench [-quick] [-rounds N] [-only NAME]
//
// With AGENTVAULT_BENCH_PROFILE=FILE in the environment agentvault's process writes a CPU
// profile of the whole run.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds  int
	warm    int           // sequential requests a round
	load    time.Duration // of each load test
	cold    int           // new connections a round
	events  int           // of a stream
	bulk    int64         // bytes of a transfer
	tunnels int           // idle ones
	starts  int           // of the whole program, a round
	keys    int           // typed a round
	lines   int           // of seq
	soakFor time.Duration
}

var (
	full = plan{rounds: 9, warm: 1500, load: time.Second, cold: 26, events: 100, bulk: 512 << 20, tunnels: 500, starts: 10,
		keys: 300, lines: 2000000, soakFor: time.Minute}
	// Enough to see a regression, not to publish.
	quick = plan{rounds: 3, warm: 1000, load: 500 * time.Millisecond, cold: 20, events: 50, bulk: 64 << 20, tunnels: 500, starts: 5,
		keys: 100, lines: 200000, soakFor: 6 * time.Second}
)

func main() {
	if role := os.Getenv("AGENTVAULT_BENCH_ROLE"); role != "" {
		serveRole(role)
		return
	}
	p := full
	fast := flag.Bool("quick", false, "a short run")
	rounds := flag.Int("rounds", 0, "rounds of each measurement")
	only := flag.String("only", "", "measure only what has this in its name")
	flag.Parse()
	if *fast {
		p = quick
	}
	if *rounds > 0 {
		p.rounds = *rounds
	}
	if err := run(p, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(p plan, only string) error {
	b, err := newBench(p)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%s, %s/%s, %d cores, %d rounds, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), p.rounds, time.Now().Format(time.DateOnly))
	fmt.Println("| what | direct | reference | agentvault | ratio | target | |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, m := range []struct {
		name string
		f    func() error
	}{
		{"start", b.start}, {"memory", b.memory}, {"warm", b.warm}, {"load16", func() error { return b.load(16) }}, {"load64", func() error { return b.load(64) }},
		{"cold", b.cold}, {"stream", b.stream}, {"bulk", b.bulk}, {"tunnels", b.tunnels},
		{"echo", b.echo}, {"seq", b.seq}, {"soak", b.soak},
	} {
		if !strings.Contains(m.name, only) {
			continue
		}
		if err := m.f(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	fmt.Printf("\n%d of %d targets met\n", b.met, b.asked)
	return nil
}
