package event

import (
	"sync"
	"testing"
)

func TestBusDropsForASlowSubscriber(t *testing.T) {
	var b Bus
	slow, quick := b.Subscribe(2), b.Subscribe(10)
	for i := range 5 {
		b.Publish(Event{Call: uint64(i)})
	}
	if slow.Dropped() != 3 || quick.Dropped() != 0 {
		t.Errorf("dropped %d and %d, want 3 and 0", slow.Dropped(), quick.Dropped())
	}
	b.Close()
	var got []uint64
	for e := range slow.C {
		got = append(got, e.Call)
	}
	if len(got) != 2 || got[0] != 0 || got[1] != 1 {
		t.Errorf("the slow one got %v, want the first two", got)
	}
}

func TestBusClose(t *testing.T) {
	var b Bus
	s, other := b.Subscribe(1), b.Subscribe(1)
	s.Close()
	s.Close()
	if _, open := <-s.C; open {
		t.Error("a closed subscription has an open channel")
	}
	b.Publish(Event{Call: 1})
	if e := <-other.C; e.Call != 1 {
		t.Errorf("the other one got %d", e.Call)
	}
	b.Close()
	b.Close()
	other.Close()
	b.Publish(Event{})
	if _, open := <-b.Subscribe(1).C; open {
		t.Error("a closed bus gives an open channel")
	}
}

func TestBusManyAtOnce(t *testing.T) {
	var b Bus
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				b.Publish(Event{})
			}
		})
		wg.Go(func() {
			for range 50 {
				s := b.Subscribe(1)
				select {
				case <-s.C:
				default:
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	if s := b.Subscribe(1); len(b.subs) != 1 {
		t.Errorf("%d subscriptions are left, want 1", len(b.subs))
	} else {
		s.Close()
	}
}
