// Package text lays out the tables that agentvault prints: the width of a string on a
// terminal, cutting, padding, and numbers for people.
//
// What it is given must have gone through event.Escape where it came from the network:
// it then holds no control characters, and a column is as wide as Width says.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Width is how many columns s takes on a terminal: two for East Asian wide characters and
// emoji, none for combining marks.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		n += runeWidth(r)
		i += size
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	// The blocks of East Asian Width W and F, by their edges.
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6ff, r >= 0x1f900 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// Cut shortens s to at most width columns by replacing its middle with "…": the start of
// a path says which API, its end says which call.
func Cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	runes := []rune(s)
	head, tail := 0, len(runes)
	left, right := 0, 0
	for {
		// The tail gets the odd column: it is what tells two calls apart.
		if right <= left {
			w := runeWidth(runes[tail-1])
			if left+right+w > width-1 {
				break
			}
			tail, right = tail-1, right+w
		} else {
			w := runeWidth(runes[head])
			if left+right+w > width-1 {
				break
			}
			head, left = head+1, left+w
		}
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// CutEnd shortens s to at most width columns by replacing its end with "…": a sentence
// begins with what matters.
func CutEnd(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > width-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// Left pads s with blanks behind it.
func Left(s string, width int) string { return s + blanks(width-Width(s)) }

// Right pads s with blanks before it.
func Right(s string, width int) string { return blanks(width-Width(s)) + s }

func blanks(n int) string { return strings.Repeat(" ", max(n, 0)) }

// Count gives a number with its noun: "1 call", "3 calls", "12,000 calls".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// Number groups the digits of n by three.
func Number(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Bytes gives a size in at most three digits and a unit of 1000: "110", "2.0k", "14M".
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	f := float64(n)
	for _, unit := range "kMGTP" {
		f /= 1000
		if f < 9.95 {
			return strconv.FormatFloat(f, 'f', 1, 64) + string(unit)
		}
		if f < 999.5 {
			return strconv.FormatFloat(f, 'f', 0, 64) + string(unit)
		}
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + "P"
}

// Duration gives a time in at most three digits and a unit, "80ms", "1.2s", "64s"; from
// two minutes on it has two parts: "12m41s", "3h05m", "2d04h".
func Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0"
	case d < 999500*time.Nanosecond:
		return strconv.Itoa(int((d+500)/time.Microsecond)) + "µs"
	case d < 999500*time.Microsecond:
		return strconv.Itoa(int((d+500*time.Microsecond)/time.Millisecond)) + "ms"
	case d < 9950*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < 2*time.Minute:
		return strconv.Itoa(int((d+500*time.Millisecond)/time.Second)) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}
