// Package scrub finds secrets in text and in streams and replaces them.
//
// A secret is found in these spellings: as it is; percent-encoded as queries, paths and
// the stricter encoders write it, with either case of hex; in JSON strings as the common
// encoders escape it; in hex of either case; in base64 of both alphabets at each of the
// three offsets that it can have inside a longer text; as UTF-16 and UTF-32 of either order,
// in which some servers answer whoever asks for them. All are replaced by the same
// mask. White space around a value does not belong to it.
//
// In base64 only those characters are searched that depend on the secret alone: the
// first and last may carry bits of the neighbours and stay, with at most 4 bits of the
// secret each. The mask then stands inside base64 text that can no longer be decoded,
// and the length of what held a secret changes. Both are wanted: an echo of a secret is
// an accident, and what is left of it must say so.
//
// Values shorter than 8 bytes are not searched: they would be found in every other
// response by chance.
//
// The package uses the standard library alone.
package scrub

import (
	"strings"
	"unsafe"
)

// minSecret is the shortest value that is searched, in bytes. A password of 8 letters
// appears in a gigabyte of other text less than once; one of 4 appears everywhere.
const minSecret = 8

// Secret is a value, and what the reader sees in its place: the child's placeholder, or
// ‹service›. Characters that would break a JSON string or a header around it (controls,
// quotes, backslashes, angle brackets) are replaced by '_' in the mask.
type Secret struct{ Value, Mask string }

// Scrubber replaces a fixed set of secrets. It is immutable and safe for concurrent
// use; the nil Scrubber finds nothing. It holds the secrets in memory, in all their
// spellings, until it is collected.
type Scrubber struct{ t *table }

// New builds a Scrubber. It costs tens of microseconds a secret, once per change of the
// secrets. Where two secrets share a spelling the first one's mask is used.
func New(secrets []Secret) *Scrubber {
	seen := map[string]bool{}
	var patterns []pattern
	for _, secret := range secrets {
		value := strings.TrimSpace(secret.Value)
		if len(value) < minSecret {
			continue
		}
		mask := cleanMask(secret.Mask)
		for _, text := range spellings(value) {
			// A spelling shorter than the value's minimum cannot be: each is at least as
			// long as the value, and base64 at 8 bytes has 10 characters of its own.
			if !seen[text] {
				seen[text] = true
				patterns = append(patterns, pattern{text: text, mask: mask})
			}
		}
		for _, step := range [...]int{2, 4} {
			if text := widen(value, step); text != "" && !seen[text] {
				seen[text] = true
				patterns = append(patterns, pattern{text: text, mask: widen(asciiMask(mask), step), step: step})
			}
		}
	}
	return &Scrubber{newTable(patterns)}
}

// Empty says that nothing is searched, so that a caller may leave the Scrubber out.
func (s *Scrubber) Empty() bool { return s == nil || s.t == nil }

// Find says whether p holds any spelling of any secret.
func (s *Scrubber) Find(p []byte) bool {
	if s.Empty() {
		return false
	}
	_, hit := s.t.next(p, 0, true)
	return hit != nil
}

// FindName says whether a header's name holds any spelling of any secret. The case of
// letters does not count there: whoever passes a name on may change it.
func (s *Scrubber) FindName(name string) bool {
	if s.Empty() || len(name) < s.t.min {
		return false
	}
	name = strings.ToLower(name)
	for _, text := range s.t.folded {
		if strings.Contains(name, text) {
			return true
		}
	}
	return false
}

// String returns t with every secret replaced, leftmost first and, of those that begin
// at one place, the longest; and whether there was any. Without one it is t itself.
func (s *Scrubber) String(t string) (string, bool) {
	if s.Empty() || t == "" {
		return t, false
	}
	// The bytes are only read.
	p := unsafe.Slice(unsafe.StringData(t), len(t))
	if _, hit := s.t.next(p, 0, true); hit == nil {
		return t, false
	}
	out, _ := s.t.replace(nil, p, true)
	return string(out), true
}

func cleanMask(mask string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || strings.ContainsRune("\"\\<>", c) {
			return '_'
		}
		return c
	}, mask)
}
