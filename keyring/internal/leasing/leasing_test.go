package leasing

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/keyring"
)

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLife(time.Hour)
		for _, c := range []struct {
			after        time.Duration
			ending, over bool
		}{{0, false, false}, {44 * time.Minute, false, false}, {time.Minute, true, false}, {15 * time.Minute, true, true}} {
			time.Sleep(c.after)
			if l.Ending() != c.ending || l.Over() != c.over {
				t.Errorf("with %s left: ending %t, over %t", time.Until(l.Until), l.Ending(), l.Over())
			}
		}
		if l := NewLife(0); l.Ending() || l.Over() {
			t.Error("what has no end has ended")
		}
	})
}

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name  string
		renew func(l *Life) error
		tries int
	}{
		{"renewed", func(l *Life) error { l.Until = time.Now().Add(time.Hour); return nil }, 36}, // each 40 minutes of a day
		{"refused", func(*Life) error { return keyring.ErrDenied }, 1},
		{"away", func(*Life) error { return keyring.ErrUnavailable }, 8}, // a third is left each time, down to a second
		{"end that does not move", func(*Life) error { return nil }, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour+time.Minute)
				defer cancel()
				l, tries := NewLife(time.Hour), 0
				Keep(ctx, func() time.Time { return l.Until }, func(context.Context) error { tries++; return c.renew(&l) })
				if tries != c.tries {
					t.Errorf("%d tries, want %d", tries, c.tries)
				}
			})
		})
	}
}

func TestFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flights[int]
		session, end := context.WithCancel(t.Context())
		defer end()
		calls := 0
		slow := func(ctx context.Context) (int, error) {
			calls++
			select {
			case <-time.After(time.Second):
				return calls, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := f.Do(hasty, session, "k", slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who gives up: %v", err)
		}
		if n, err := f.Do(t.Context(), session, "k", slow); n != 1 || err != nil {
			t.Errorf("who joins: %d, %v; want the first call's answer", n, err)
		}
		if n, err := f.Do(t.Context(), session, "k", slow); n != 2 || err != nil {
			t.Errorf("who comes later: %d, %v; want another call", n, err)
		}
		if _, err := f.Do(t.Context(), session, "k", func(context.Context) (int, error) { panic("value") }); err == nil || err.Error() != "the backend crashed" {
			t.Errorf("a crash: %v", err)
		}
		go func() { _, _ = f.Do(t.Context(), session, "k", slow) }()
		synctest.Wait()
		f.Wait(t.Context())
		if calls != 3 {
			t.Errorf("%d calls", calls)
		}
	})
}
