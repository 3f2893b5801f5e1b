package scrub

import "strings"

// widen writes ASCII as UTF-16 (a step of 2 bytes) or UTF-32 (4) does, without the zeros
// before the first character or behind the last: what is left is the same in either order of
// bytes. It is "" for other text: keys are ASCII.
func widen(v string, step int) string {
	var out strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == 0 || v[i] >= 0x80 {
			return ""
		}
		if i > 0 {
			out.WriteString("\x00\x00\x00"[:step-1])
		}
		out.WriteByte(v[i])
	}
	return out.String()
}

// narrow takes back what widen did.
func narrow(wide string, step int) string {
	var out strings.Builder
	for i := 0; i < len(wide); i += step {
		out.WriteByte(wide[i])
	}
	return out.String()
}

// asciiMask is a mask that can be widened.
func asciiMask(mask string) string {
	return strings.Map(func(c rune) rune {
		if c == 0 || c >= 0x80 {
			return '*'
		}
		return c
	}, mask)
}
