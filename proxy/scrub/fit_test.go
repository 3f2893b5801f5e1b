package scrub

import (
	"testing"
	"unicode/utf8"
)

func TestFittedKeepsTheLength(t *testing.T) {
	for _, mask := range []string{"", "short", "‹svc›", "a-placeholder-that-is-a-good-deal-longer-than-the-secret", "‹‹‹‹‹‹‹‹‹‹"} {
		s := NewFitted([]Secret{{Value: "s3cret-sentinel", Mask: mask}})
		const in = "head s3cret-sentinel tail"
		out, found := s.String(in)
		if !found || len(out) != len(in) || !utf8.ValidString(out) {
			t.Errorf("mask %q: got %q (%d bytes), want %d", mask, out, len(out), len(in))
		}
	}
}
