package tui

import (
	"slices"
	"testing"
)

func numbers(from, to int) []int {
	var ns []int
	for n := from; n < to; n++ {
		ns = append(ns, n)
	}
	return ns
}

// The chosen row stays chosen, and on the same line, when rows come and go.
func TestListStandsStill(t *testing.T) {
	l := list[int]{height: 5}
	l.set(numbers(1, 50))
	l.move(20)
	rows, line := l.window()
	if chosen, ok := l.chosen(); !ok || chosen != 21 || rows[line] != 21 {
		t.Fatalf("chosen: got %v in %v", chosen, rows)
	}
	for _, next := range [][]int{numbers(1, 80), numbers(10, 90), append([]int{-1}, numbers(5, 60)...)} {
		l.set(next)
		got, at := l.window()
		if chosen, _ := l.chosen(); chosen != 21 || at != line || got[at] != 21 {
			t.Errorf("after rows came and went: chose %v on line %d of %v, want 21 on line %d", chosen, at, got, line)
		}
	}
	l.set(numbers(40, 60)) // 21 is forgotten
	if _, ok := l.chosen(); !ok {
		t.Error("no row is chosen after the chosen one was forgotten")
	}
	l.set(nil)
	if _, ok := l.chosen(); ok {
		t.Error("a row of an empty list is chosen")
	}
}

func TestListFollows(t *testing.T) {
	l := list[int]{height: 3, follow: true}
	l.set(numbers(1, 3))
	l.set(numbers(1, 10))
	if rows, at := l.window(); !slices.Equal(rows, []int{7, 8, 9}) || at != 2 {
		t.Errorf("following: got %v at %d", rows, at)
	}
	l.move(-1)
	l.set(numbers(1, 20))
	if chosen, _ := l.chosen(); chosen != 8 || l.follow {
		t.Errorf("after going up: got %v, follow %v", chosen, l.follow)
	}
	l.end()
	l.set(numbers(1, 30))
	if chosen, _ := l.chosen(); chosen != 29 {
		t.Errorf("after going to the end: got %v", chosen)
	}
	l.home()
	if rows, at := l.window(); rows[0] != 1 || at != 0 {
		t.Errorf("home: got %v at %d", rows, at)
	}
	l.page(1)
	l.page(1)
	if chosen, _ := l.chosen(); chosen != 5 {
		t.Errorf("two pages of three rows, a row kept of each: got %v", chosen)
	}
}

// The window stays within the rows at any height.
func TestListResizes(t *testing.T) {
	l := list[int]{height: 10}
	l.set(numbers(0, 20))
	l.move(15)
	for _, h := range []int{1, 3, 40, 0, 7} {
		l.resize(h)
		rows, at := l.window()
		if at < 0 || at >= len(rows) || rows[at] != 15 {
			t.Errorf("height %d: %v at %d", h, rows, at)
		}
	}
}
