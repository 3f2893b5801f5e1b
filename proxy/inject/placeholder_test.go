package inject

import (
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewPlaceholder(t *testing.T) {
	for _, tt := range []struct{ shape, want string }{
		{"", `^avp_[a-z0-9]{32}$`},
		{"ghp_{A-Za-z0-9:36}", `^ghp_[A-Za-z0-9]{36}$`},
		{"sk-ant-api03-{A-Za-z0-9_-:93}AA", `^sk-ant-api03-[A-Za-z0-9_-]{93}AA$`},
		{"xoxb-{0-9:12}-{0-9:12}-{A-Za-z0-9:24}", `^xoxb-[0-9]{12}-[0-9]{12}-[A-Za-z0-9]{24}$`},
		{"{0-9:10}:{A-Za-z0-9_-:35}", `^[0-9]{10}:[A-Za-z0-9_-]{35}$`},
		{"{ab:-:200}", `^[ab:-]{200}$`},
		{"{A-Za-z0-9/+:40}", `^[A-Za-z0-9/+]{40}$`},
		{"{a-fa-f0-9:24}", `^[a-f0-9]{24}$`},
	} {
		t.Run(tt.shape, func(t *testing.T) {
			a, err := NewPlaceholder(rand.Reader, tt.shape)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := NewPlaceholder(rand.Reader, tt.shape)
			if !regexp.MustCompile(tt.want).MatchString(a) || a == b {
				t.Errorf("got %q and %q, want %s", a, b, tt.want)
			}
		})
	}
}

func TestNewPlaceholderErrors(t *testing.T) {
	for _, tt := range []struct{ shape, want string }{
		{"short_{a-z0-9:18}", "93 random bits, want at least 96"},
		{"no group", "cannot stand"},
		{"literal", "0 random bits"},
		{"{a:400}", "0 random bits"},
		{"{aaaab:50}", "50 random bits"},
		{"x{a-z:40", "without }"},
		{"x{a-z}", "{CLASS:COUNT}"},
		{"x{:40}", "{CLASS:COUNT}"},
		{"x{a-z:-1}", "the count"},
		{"x{a-z:many}", "the count"},
		{"x{z-a:40}", "backwards"},
		{"x{a-z:100000}", "longer than"},
		{"x{ -~:40}", "cannot stand"},
		{"x\"{a-z:40}", "cannot stand"},
		{"x}{a-z:40}", "cannot stand"},
		{"é{a-z:40}", "cannot stand"},
		{"{é:40}", "cannot stand"},
	} {
		if got, err := NewPlaceholder(rand.Reader, tt.shape); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %q, %v, want %q", tt.shape, got, err, tt.want)
		}
	}
	broken := errors.New("no randomness")
	if _, err := NewPlaceholder(iotest.ErrReader(broken), ""); !errors.Is(err, broken) {
		t.Errorf("broken source: got %v", err)
	}
	if _, err := NewPlaceholder(io.LimitReader(rand.Reader, 5), ""); err == nil {
		t.Error("short source: got no error")
	}
}

// Every character of a class comes as often as the others.
func TestNewPlaceholderIsEven(t *testing.T) {
	count := map[rune]int{}
	for range 200 {
		p, err := NewPlaceholder(rand.Reader, "{a-z0-9:500}")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p {
			count[c]++
		}
	}
	// 100,000 draws of 36: 2,778 each, with a standard deviation of 52. 2,400 is 7 of them.
	for c, n := range count {
		if n < 2400 || n > 3200 {
			t.Errorf("%q: got %d of 100000", c, n)
		}
	}
	if len(count) != 36 {
		t.Errorf("got %d characters, want 36", len(count))
	}
}
