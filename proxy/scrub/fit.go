package scrub

import "strings"

// NewFitted is New for text whose length has been announced: each mask is cut, or filled
// with asterisks, to the length of what it replaces.
func NewFitted(secrets []Secret) *Scrubber {
	s := New(secrets)
	if s.Empty() {
		return s
	}
	for i := range s.t.byEnd {
		p := &s.t.byEnd[i]
		if p.step > 0 {
			p.mask = widen(fit(narrow(p.mask, p.step), len(narrow(p.text, p.step))), p.step)
			continue
		}
		p.mask = fit(p.mask, len(p.text))
	}
	return s
}

func fit(mask string, n int) string {
	if len(mask) <= n {
		return mask + strings.Repeat("*", n-len(mask))
	}
	// ‹ and › are three bytes each; half of one is no text.
	return strings.ToValidUTF8(mask[:n], strings.Repeat("*", len(mask[:n])-len(strings.ToValidUTF8(mask[:n], ""))))
}
