package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// fmtDuration writes d in at most three digits and a unit: 80ms, 1.2s, 12s, 3.4m, 2.0h.
func fmtDuration(d time.Duration) string {
	if d <= 0 {
		return "0ms"
	}
	if d < time.Millisecond {
		// Anything under half a microsecond is still something.
		return strconv.FormatInt(max(int64(d.Round(time.Microsecond)/time.Microsecond), 1), 10) + "µs"
	}
	if ms := d.Round(time.Millisecond); ms < time.Second {
		return strconv.FormatInt(int64(ms/time.Millisecond), 10) + "ms"
	}
	for _, u := range []struct {
		name string
		unit time.Duration
		next float64 // this many of the unit are one of the next
	}{{"s", time.Second, 60}, {"m", time.Minute, 60}, {"h", time.Hour, 24}} {
		if s, ok := short(float64(d)/float64(u.unit), u.next); ok {
			return s + u.name
		}
	}
	if s, ok := short(float64(d)/float64(24*time.Hour), 999.5); ok {
		return s + "d"
	}
	return "999d"
}

// fmtSize writes a number of bytes in at most three digits and a decimal unit: 110,
// 8.1k, 12k, 3.4M.
func fmtSize(n int64) string {
	if n < 0 {
		n = 0
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	x := float64(n)
	for _, unit := range []string{"k", "M", "G", "T", "P"} {
		x /= 1000
		if s, ok := short(x, 1000); ok {
			return s + unit
		}
	}
	return "999P"
}

// short writes x with one decimal below ten and none from there on. It says no where the
// rounded number reaches limit: that belongs to the next unit.
func short(x, limit float64) (string, bool) {
	if r := math.Round(x*10) / 10; r < 10 {
		return fmt.Sprintf("%.1f", r), r < limit
	}
	r := math.Round(x)
	return fmt.Sprintf("%.0f", r), r < limit
}

// fmtClock writes how long a session has run: 0:07, 12:41, 1:02:03.
func fmtClock(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// fmtCalls writes a number of calls in words.
func fmtCalls(n uint64) string {
	if n == 1 {
		return "1 call"
	}
	return strconv.FormatUint(n, 10) + " calls"
}

// fmtStatus writes an HTTP status, or a dash where there is none.
func fmtStatus(status int) string {
	if status <= 0 {
		return "—"
	}
	return strconv.Itoa(status)
}
