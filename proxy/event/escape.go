package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text that came from the network harmless for a terminal: whatever would
// move the cursor, reorder the line, hide a character or speak to the terminal is written
// out instead of being obeyed. A byte (C0, DEL, or one that is no UTF-8) becomes \xNN, a
// character (C1, bidirectional controls, zero-width and other format characters, private
// and unassigned ones, blanks other than the space) becomes \u{NNNN}.
//
// The result is printable, valid UTF-8 on one line, and Escape of it is itself. Text that
// needs nothing is returned as it is, without allocating.
func Escape(s string) string {
	i := clean(s)
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1, r < 0x20, r == 0x7f:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[i]>>4])
			b.WriteByte(hexDigits[s[i]&15])
		case visible(r):
			b.WriteString(s[i : i+n])
		default:
			b.WriteString(`\u{`)
			writeHex(&b, r)
			b.WriteByte('}')
		}
		i += n
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

// clean returns the length of the prefix of s that may be shown as it is.
func clean(s string) int {
	i := 0
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 || !visible(r) {
			return i
		}
		i += n
	}
	return i
}

// visible reports whether r puts a mark on the screen and nothing else.
func visible(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r >= 0x20 && r != 0x7f
	case !unicode.IsPrint(r):
		return false // controls, format characters, separators, private use, unassigned
	}
	// Letters, marks and symbols by category that nevertheless show nothing: a host
	// name padded with them looks like another one.
	switch {
	case r == 0x034f, // combining grapheme joiner
		r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x17b4, r == 0x17b5, // Khmer inherent vowels
		r == 0x2800,                                              // braille blank
		r >= 0x180b && r <= 0x180f,                               // Mongolian selectors
		r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef: // variation selectors
		return false
	}
	return true
}

// writeHex writes r in lower-case hexadecimal, at least four digits long.
func writeHex(b *strings.Builder, r rune) {
	shift := 12
	for r>>(shift+4) != 0 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&15])
	}
}
