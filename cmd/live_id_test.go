package cmd

import (
	"strings"
	"testing"
	"time"
)

// "The last session" is the one that began last, of two within one second too: scripts run
// sessions that short.
func TestSessionIDsSortByTime(t *testing.T) {
	first := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("east", 3600))
	for range 20 { // the digits at the end are random
		a, err := newSessionID(first)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newSessionID(first.Add(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if a >= b {
			t.Fatalf("%s began before %s and sorts after it", a, b)
		}
		if !strings.HasPrefix(a, "20260102T020405006-") || len(shortID(a)) != 6 {
			t.Fatalf("the id is %s", a)
		}
	}
}
