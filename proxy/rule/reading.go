package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is never legitimate in a path, whatever origin reads it.
var (
	errDots      = errors.New("path holds a dot segment")
	errBackslash = errors.New("path holds a backslash")
	errControl   = errors.New("path holds a control character")
	errEscape    = errors.New("path holds an invalid percent escape")
	errUTF8      = errors.New("path is not valid UTF-8")
	errNotPath   = errors.New("path does not begin with /")
	errQuery     = errors.New("path holds a query or a fragment")
)

// Readings returns every way in which a common origin could read an escaped path
// without its query. For nearly every path that is one; more come from
//
//   - %2F: a separator (nginx, Go's URL.Path) or a part of a segment (Node, Go's ServeMux)
//   - doubled slashes: kept, or merged (nginx), or a host name (Node's new URL(req.url, base))
//   - ;parameters: kept, or cut off each segment (Java's servlet containers)
//   - escapes that were not needed (%61): decoded, or left alone by origins that compare
//     the raw path (Node)
//
// A reading is the decoded path, in which a slash inside a segment is written %2F, a
// percent sign %25, and an escape that the origin leaves alone as it came.
//
// Dot segments, backslashes and control characters are an error in every spelling, as
// are broken escapes and bytes that are no UTF-8.
func Readings(escapedPath string) ([]string, error) {
	inner, err := readings(escapedPath)
	if err != nil {
		return nil, err
	}
	for i, r := range inner {
		inner[i] = printable(r)
	}
	return inner, nil
}

// printable turns the inner form into what people and Readings' callers see.
func printable(inner string) string {
	inner = strings.ReplaceAll(inner, "%", "%25")
	inner = strings.ReplaceAll(inner, string(rune(rawPercent)), "%")
	return strings.ReplaceAll(inner, string(rune(slashInSegment)), "%2F")
}

// plain reports that a path has one reading, which is itself: the way of nearly every call.
func plain(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for i := 0; i < len(p); i++ {
		c := p[i]
		if plainByte[c] {
			continue
		}
		switch c {
		case '/':
			if i+1 < len(p) && p[i+1] == '/' {
				return false
			}
		case '.':
			if p[i-1] == '/' { // i > 0, because p begins with a slash
				seg, _ := cutSegment(p[i-1:])
				if isDots(seg) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// plainByte holds what stands for itself wherever it stands: pchar without the escape,
// the dot and the semicolon.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = isPchar(byte(c)) && c != '.' && c != ';'
	}
	return t
}()

// isPchar is RFC 3986's pchar without the percent sign.
func isPchar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0
}

func isDots(seg string) bool {
	seg, _, _ = strings.Cut(seg, ";") // "..;" is ".." to a servlet container
	return seg == "." || seg == ".."
}

// reader is one kind of origin.
type reader struct {
	slash     bool // %2F separates
	raw       bool // leaves needless escapes alone
	params    bool // cuts ;parameters
	authority bool // takes what follows // for a host
	merge     bool // merges slashes
}

func readings(p string) ([]string, error) {
	if p == "" {
		p = "/"
	}
	if plain(p) {
		return []string{p}, nil
	}
	if err := legitimate(p); err != nil {
		return nil, err
	}
	// Which of the differences can show in this path at all.
	options := func(shows bool) []bool {
		if shows {
			return []bool{false, true}
		}
		return []bool{false}
	}
	encodedSlash := strings.Contains(p, "%2F") || strings.Contains(p, "%2f")
	var out []string
	for _, slash := range options(encodedSlash) {
		for _, raw := range options(strings.Contains(p, "%")) {
			for _, params := range options(strings.Contains(p, ";")) {
				for _, authority := range options(strings.HasPrefix(p, "//")) {
					for _, merge := range options(true) {
						r := reader{slash, raw, params, authority, merge}.read(p)
						if !slices.Contains(out, r) {
							out = append(out, r)
						}
					}
				}
			}
		}
	}
	return out, nil
}

// read wants a legitimate path.
func (r reader) read(p string) string {
	if r.authority {
		p = strings.TrimLeft(p, "/")
		if i := strings.IndexByte(p, '/'); i >= 0 {
			p = p[i:]
		} else {
			p = "/"
		}
	}
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '%':
			b, _ := unhex(p[i:])
			switch {
			case b == '/' && !r.slash:
				b = slashInSegment
			case r.raw && isPchar(b):
				out = append(out, rawPercent, p[i+1])
				b = p[i+2]
			}
			c, i = b, i+2
		case c == ';' && r.params:
			for i+1 < len(p) && p[i+1] != '/' {
				i++
			}
			continue
		}
		if c == '/' && r.merge && len(out) > 0 && out[len(out)-1] == '/' {
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// legitimate refuses what no client needs and every traversal uses.
func legitimate(p string) error {
	if p[0] != '/' {
		return errNotPath
	}
	decoded := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c == '?' || c == '#' {
			return errQuery
		}
		if c == ' ' {
			return errControl
		}
		if c == '%' {
			b, ok := unhex(p[i:])
			if !ok {
				return errEscape
			}
			c, i = b, i+2
		}
		switch {
		case c < 0x20 || c == 0x7f:
			return errControl
		case c == '\\':
			return errBackslash
		}
		decoded = append(decoded, c)
	}
	once := string(decoded)
	// Overlong encodings (%C0%AE for a dot) are invalid too.
	if !utf8.ValidString(once) {
		return errUTF8
	}
	// Twice, because an origin behind another proxy may decode what is left.
	if hasDots(once) || strings.Contains(once, "%") && hasDots(strings.ReplaceAll(decodeLoosely(once), "\\", "/")) {
		return errDots
	}
	return nil
}

func hasDots(path string) bool {
	for seg := range strings.SplitSeq(path, "/") {
		if isDots(seg) {
			return true
		}
	}
	return false
}

func decodeLoosely(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if b, ok := unhex(s[i:]); ok {
			out, i = append(out, b), i+2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// unhex decodes the escape that s begins with.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, ok1 := nibble(s[1])
	lo, ok2 := nibble(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= lower(c) && lower(c) <= 'f':
		return lower(c) - 'a' + 10, true
	}
	return 0, false
}

// ambiguity says how readings differ, for the human.
func ambiguity(a, b string) string {
	return fmt.Sprintf("the path can be read as %s and as %s, which the rules treat differently", printable(a), printable(b))
}
