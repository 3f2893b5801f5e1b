package margin

import (
	"bytes"
	"unicode/utf8"
)

// bulk is the length of the text at the start of p that needs no decision; it is accounted for.
func (f *Filter) bulk(p []byte) int {
	if f.need > 0 {
		return 0
	}
	switch f.state {
	case ground:
		if f.narrow() || f.forced || f.through {
			return 0
		}
		n := plain(p)
		if n > 0 {
			f.text(p[:n])
			f.shadow.text(p[:n])
			f.last = lastPrinted(p[:n], f.last)
			f.shifts(p[:n])
		}
		return n
	case inString:
		return f.bulkString(p)
	}
	return 0
}

// bulkString passes the content of a string up to the first byte that may end it.
func (f *Filter) bulkString(p []byte) int {
	if f.str.drop || f.str.loose || f.str.relay {
		return 0
	}
	n := 0
	for n < len(p) && p[n] >= 0x20 && p[n] < 0x80 {
		n++
	}
	f.str.keep(p[:n])
	return n
}

// plain is the length of the complete UTF-8 text at the start of p, C0 controls included, without
// ESC, without C1 controls, without an incomplete or wrong character at its end.
func plain(p []byte) int {
	if i := bytes.IndexByte(p, 0x1b); i >= 0 {
		p = p[:i]
	}
	n := 0
	for n < len(p) {
		for n+8 <= len(p) && ascii8(p[n:]) {
			n += 8
		}
		if n == len(p) {
			break
		}
		if p[n] < 0x80 {
			n++
			continue
		}
		r, k := utf8.DecodeRune(p[n:])
		if k == 1 || r < 0xa0 {
			return n
		}
		n += k
	}
	return n
}

// shifts follows SO and SI in text. They are rare, and looking for one is cheap.
func (f *Filter) shifts(p []byte) {
	out, in := bytes.IndexByte(p, 0x0e), bytes.IndexByte(p, 0x0f)
	if out >= 0 || in >= 0 {
		f.modes.shifted = bytes.LastIndexByte(p, 0x0e) > bytes.LastIndexByte(p, 0x0f)
	}
}

// lastPrinted is the last character of p that is none of the controls, or r.
func lastPrinted(p []byte, r rune) rune {
	for len(p) > 0 {
		last, n := utf8.DecodeLastRune(p)
		if last >= 0x20 && last != 0x7f {
			return last
		}
		p = p[:len(p)-n]
	}
	return r
}

func ascii8(p []byte) bool {
	_ = p[7]
	return (p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7])&0x80 == 0
}

// leadByte takes the first byte of a character of two to four bytes, or one that begins nothing.
func (f *Filter) leadByte(dst []byte, c byte) []byte {
	switch {
	case c >= 0xc3 && c <= 0xdf:
		f.need = 1
	case c >= 0xe0 && c <= 0xef:
		f.need = 2
	case c >= 0xf0 && c <= 0xf4:
		f.need = 3
	}
	f.lead, f.char[0], f.charLen = c, c, 1
	if f.state == inString {
		return f.strByte(dst, c)
	}
	if f.need == 0 {
		return f.print(dst, utf8.RuneError, c)
	}
	if f.narrow() || f.forced {
		dst = f.beforePrint(dst, 2)
	}
	return append(dst, c)
}

// continuation takes a byte that should continue a character. One out of range ends the
// character and stands for itself: a strict terminal reads it so, and might see a C1 control.
func (f *Filter) continuation(dst []byte, c byte) []byte {
	lo, hi := byte(0x80), byte(0xbf)
	switch f.lead {
	case 0xe0:
		lo = 0xa0
	case 0xed:
		hi = 0x9f
	case 0xf0:
		lo = 0x90
	case 0xf4:
		hi = 0x8f
	}
	f.lead = 0
	if c < lo || c > hi {
		f.need = 0
		if f.state != inString {
			f.typed([]byte("\ufffd"))
		}
		return f.step(dst, c)
	}
	f.need--
	f.char[f.charLen] = c
	f.charLen++
	if f.state == inString {
		return f.strByte(dst, c)
	}
	dst = append(dst, c)
	if f.need == 0 {
		f.typed(f.char[:f.charLen])
	}
	return dst
}

// typed accounts for one whole character that has been written.
func (f *Filter) typed(p []byte) {
	f.text(p)
	f.shadow.text(p)
	f.last, _ = utf8.DecodeRune(p)
}

func (f *Filter) afterC2(dst []byte, c byte) []byte {
	str := f.state == heldC2Str
	f.state = ground
	if str {
		f.state = inString
	}
	switch {
	case c >= 0x80 && c < 0xa0:
		f.endString()
		return f.c1(dst, c, 0xc2, c)
	case c >= 0xa0 && c < 0xc0:
		if str {
			return f.strByte(f.strByte(dst, 0xc2), c)
		}
		dst = f.beforePrint(dst, 2)
		dst = append(dst, 0xc2, c)
		f.typed([]byte{0xc2, c})
		return dst
	}
	if str {
		dst = f.strByte(dst, 0xc2)
	} else {
		dst = f.print(dst, utf8.RuneError, 0xc2)
	}
	return f.step(dst, c)
}

// print passes one character of one byte.
func (f *Filter) print(dst []byte, r rune, c byte) []byte {
	dst = f.beforePrint(dst, 1)
	if r == utf8.RuneError {
		f.typed([]byte("\ufffd"))
	} else {
		f.typed([]byte{c})
	}
	return append(dst, c)
}
