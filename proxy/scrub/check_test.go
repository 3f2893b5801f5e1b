package scrub

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	s := New([]Secret{{"abcdefgh", "1"}, {"abcdefghij", "2"}})
	for _, tt := range []struct {
		name, text string
		clean      int // of the whole text, before its end is known
		found, end bool
	}{
		{"nothing", strings.Repeat("x", 100), 100, false, false},
		{"empty", "", 0, false, false},
		{"the beginning of one", "xxabcdefg", 2, false, false},
		{"one that may be the longer", "xxabcdefgh", 2, false, true},
		{"one that may be the longer still", "xxabcdefghi", 2, false, true},
		{"the longer", "xxabcdefghij", 2, true, true},
		{"one, and more", "xxabcdefghx", 2, true, true},
		{"almost", "xxabcdefgxabcdefgx", 18, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.text)+1; size++ {
				c, clean, found := s.Check(), int64(0), false
				for rest := tt.text; rest != ""; {
					n := min(size, len(rest))
					was := clean
					if clean, found = c.Add([]byte(rest[:n])); clean < was {
						t.Fatalf("clean went back from %d to %d", was, clean)
					}
					rest = rest[n:]
				}
				if found != tt.found || !found && clean != int64(tt.clean) || clean > int64(tt.clean) {
					t.Errorf("pieces of %d: got %d, %t, want %d, %t", size, clean, found, tt.clean, tt.found)
				}
				if got := c.End(); got != tt.end {
					t.Errorf("pieces of %d: End: got %t, want %t", size, got, tt.end)
				}
			}
		})
	}
	c := (*Scrubber)(nil).Check()
	if clean, found := c.Add([]byte("abcdefghij")); clean != 10 || found || c.End() {
		t.Errorf("nothing to search: got %d, %t", clean, found)
	}
}
