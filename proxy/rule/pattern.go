package rule

import (
	"fmt"
	"strings"
)

// Inside this package a path is decoded text in which two bytes that no legal path can
// hold mark what decoding would lose.
const (
	slashInSegment = '\x00' // %2F read as a part of a segment
	rawPercent     = '\x01' // the % of an escape that the origin leaves alone
)

// pattern is a parsed path glob. It is matched against paths in the package's inner
// form, without a trailing slash: `/a` and `/a/` are one to nearly every router, and a
// deny rule that a slash gets around is none.
type pattern struct {
	segs    []segment
	literal int // bytes of literal text
	doubles int // number of `**`
}

type segment struct {
	double bool     // **
	parts  []string // the literals between the stars: one part is no star at all
}

func parsePattern(s string) (*pattern, error) {
	if !strings.HasPrefix(s, "/") {
		return nil, &syntaxError{fmt.Sprintf("%q does not begin with /", s), fmt.Sprintf("write %q", "/"+s)}
	}
	p := &pattern{}
	rest := strings.TrimSuffix(s, "/")
	for rest != "" {
		var text string
		text, rest = cutSegment(rest)
		if text == "" {
			return nil, &syntaxError{"empty segment", "slashes are merged before a path is matched"}
		}
		seg, err := parseSegment(text)
		if err != nil {
			return nil, err
		}
		p.segs = append(p.segs, seg)
		if seg.double {
			p.doubles++
		}
		for _, part := range seg.parts {
			p.literal += len(part)
		}
	}
	return p, nil
}

func parseSegment(text string) (segment, error) {
	if text == "**" {
		return segment{double: true}, nil
	}
	if strings.Contains(text, "**") {
		return segment{}, &syntaxError{fmt.Sprintf("%q: ** is a whole segment", text), ""}
	}
	var parts []string
	for part := range strings.SplitSeq(text, "*") {
		literal, err := parseLiteral(part)
		if err != nil {
			return segment{}, err
		}
		parts = append(parts, literal)
	}
	if len(parts) == 1 && isDots(parts[0]) {
		return segment{}, &syntaxError{"dot segment", "such paths are always refused"}
	}
	return segment{parts: parts}, nil
}

func parseLiteral(s string) (string, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			b, ok := unhex(s[i:])
			if !ok {
				return "", &syntaxError{fmt.Sprintf("%q is no percent escape", s[i:min(i+3, len(s))]), "a percent sign is written %25"}
			}
			if b < 0x20 || b == 0x7f || b == '\\' {
				return "", &syntaxError{fmt.Sprintf("%q is never legal in a path", s[i:i+3]), "such paths are always refused"}
			}
			if c = b; c == '/' {
				c = slashInSegment
			}
			i += 2
		case c == '?' || c == '#':
			return "", &syntaxError{fmt.Sprintf("%q: a query takes no part in matching", c), ""}
		case c == '{' || c == '}':
			return "", &syntaxError{fmt.Sprintf("%q is not a pattern character", c), "a parameter is written *"}
		case c < 0x80 && !isPchar(c):
			return "", &syntaxError{fmt.Sprintf("%q cannot stand in a path", c), fmt.Sprintf("write %%%02X", c)}
		}
		out = append(out, c)
	}
	return string(out), nil
}

// cutSegment takes the first segment off a path that begins with a slash.
func cutSegment(path string) (segment, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// match wants a path in the inner form, "" or with a slash before each segment. With
// fold, ASCII case takes no part. A star never matches an empty segment.
func (p *pattern) match(path string, fold bool) bool {
	segs, rest := p.segs, path
	// Where to go on after the last `**` swallowed one segment more.
	var retrySegs []segment
	var retryPath string
	retry := false
	for {
		switch {
		case len(segs) == 0 && rest == "":
			return true
		case len(segs) > 0 && segs[0].double:
			segs = segs[1:]
			if len(segs) == 0 {
				return true
			}
			retry, retrySegs, retryPath = true, segs, rest
			continue
		case len(segs) > 0 && rest != "":
			text, after := cutSegment(rest)
			if segs[0].match(text, fold) {
				segs, rest = segs[1:], after
				continue
			}
		}
		if !retry || retryPath == "" {
			return false
		}
		_, retryPath = cutSegment(retryPath)
		segs, rest = retrySegs, retryPath
	}
}

func (s segment) match(text string, fold bool) bool {
	first := s.parts[0]
	if len(s.parts) == 1 {
		return len(first) == len(text) && equal(first, text, fold)
	}
	last := s.parts[len(s.parts)-1]
	if text == "" || len(text) < len(first)+len(last) ||
		!equal(first, text[:len(first)], fold) || !equal(last, text[len(text)-len(last):], fold) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range s.parts[1 : len(s.parts)-1] {
		i := index(text, part, fold)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// equal wants strings of one length.
func equal(a, b string, fold bool) bool {
	if !fold {
		return a == b
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func index(text, part string, fold bool) int {
	if !fold {
		return strings.Index(text, part)
	}
	for i := 0; i+len(part) <= len(text); i++ {
		if equal(part, text[i:i+len(part)], true) {
			return i
		}
	}
	return -1
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// overlaps reports whether one path exists that both match. It may say yes where only
// an empty segment would do, which never happens in practice.
func (p *pattern) overlaps(q *pattern) bool {
	return meet(len(p.segs), len(q.segs),
		func(i int) bool { return p.segs[i].double },
		func(j int) bool { return q.segs[j].double },
		func(i, j int) bool { return p.segs[i].overlaps(q.segs[j]) })
}

func (s segment) overlaps(t segment) bool {
	a, b := strings.Join(s.parts, "*"), strings.Join(t.parts, "*")
	star := func(parts []string) map[int]bool {
		at, n := map[int]bool{}, 0
		for _, part := range parts[:len(parts)-1] {
			n += len(part)
			at[n] = true
			n++
		}
		return at
	}
	sa, sb := star(s.parts), star(t.parts)
	return meet(len(a), len(b),
		func(i int) bool { return sa[i] }, func(j int) bool { return sb[j] },
		func(i, j int) bool { return a[i] == b[j] })
}

// meet reports whether two sequences with any-number wildcards have a common instance.
func meet(n, m int, wildA, wildB func(int) bool, same func(i, j int) bool) bool {
	next := make([]bool, m+1) // row i+1 of "the rests from i and j meet"
	row := make([]bool, m+1)
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			switch {
			case i == n && j == m:
				row[j] = true
			case i < n && wildA(i):
				row[j] = next[j] || j < m && row[j+1]
			case j < m && wildB(j):
				row[j] = row[j+1] || i < n && next[j]
			default:
				row[j] = i < n && j < m && same(i, j) && next[j+1]
			}
		}
		row, next = next, row
	}
	return next[0]
}
