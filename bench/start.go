//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// start is the whole program around a child that does nothing, and that child alone. The
// binary is made like a release, its home is empty.
func (b *bench) start() error {
	dir, err := os.MkdirTemp("", "agentvault-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "agentvault")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "agentvault")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	nothing, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	time1 := func(argv ...string) (time.Duration, error) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		begin := time.Now()
		err := cmd.Run()
		return time.Since(begin), err
	}
	var s series
	for range b.rounds {
		var alone, with []time.Duration
		for range b.plan.starts {
			a, err := time1(nothing)
			if err != nil {
				return err
			}
			w, err := time1(binary, "run", "--ui", "off", "--", nothing)
			if err != nil {
				return err
			}
			alone, with = append(alone, a), append(with, w)
		}
		s[0], s[2] = append(s[0], float64(median(alone))), append(s[2], float64(median(with)))
	}
	added := make([]float64, b.rounds)
	for i := range added {
		added[i] = s[2][i] - s[0][i]
	}
	ms := func(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }
	b.row("`agentvault run --ui off -- true`", ms(s.median(0)), "-", ms(s.median(2)), 0, goal{})
	b.row("added to `true`", "0", "-", ms(median(added)), median(added)/1e6, atMost(20, " ms"))
	return nil
}
