package tui

import (
	"fmt"
	"strconv"
	"strings"
)

// Filter is a question that a call answers with yes or no. The zero Filter is answered
// with yes by all.
//
// It is written as words, all of which must hold:
//
//	host:github status:4xx verdict:uncovered method:delete service:stripe invoice
//
// A word with a field looks for its value within that field; status takes a number or a
// class. A bare word is looked for in method, host, path, service and reason. A minus in
// front turns a word around, quotes hold blanks together, case never matters. A word
// whose field is unknown is a bare word: "10.0.0.5:5432" is one.
type Filter struct {
	terms []term
}

type term struct {
	not    bool
	field  string // "" for a bare word
	value  string // lower case
	lo, hi int    // of a status
}

// filterFields are the fields that a word may name; the help screen prints them.
var filterFields = [...]string{"host", "path", "endpoint", "method", "status", "verdict", "service", "client", "auth"}

// ParseFilter reads a filter. The error names the word that makes no sense.
func ParseFilter(s string) (Filter, error) {
	var f Filter
	for _, word := range words(s) {
		t := term{value: strings.ToLower(word)}
		t.value, t.not = strings.CutPrefix(t.value, "-")
		if name, value, ok := strings.Cut(t.value, ":"); ok && knownField(name) {
			t.field, t.value = name, value
		}
		if t.value == "" {
			continue // still being typed
		}
		if t.field == "status" {
			var ok bool
			if t.lo, t.hi, ok = statusRange(t.value); !ok {
				return Filter{}, fmt.Errorf("status %q: want 404 or 4xx", t.value)
			}
		}
		f.terms = append(f.terms, t)
	}
	return f, nil
}

func knownField(name string) bool {
	for _, f := range filterFields {
		if f == name {
			return true
		}
	}
	return false
}

// words splits s at blanks outside of double quotes; the quotes go.
func words(s string) []string {
	var out []string
	var b strings.Builder
	quoted := false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			if b.Len() > 0 {
				out = append(out, b.String())
				b.Reset()
			}
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// statusRange reads 404, 4xx, and what may become one of them: 4, 4x, 40.
func statusRange(s string) (lo, hi int, ok bool) {
	digits := strings.TrimRight(s, "x")
	if len(s) > 3 || digits == "" {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	lo, hi = int(n), int(n)
	for range 3 - len(digits) {
		lo, hi = lo*10, hi*10+9
	}
	return lo, hi, true
}

// Empty says that every call matches.
func (f Filter) Empty() bool { return len(f.terms) == 0 }

// Match says whether c answers the filter with yes.
func (f Filter) Match(c *Call) bool {
	for i := range f.terms {
		if f.terms[i].match(c) == f.terms[i].not {
			return false
		}
	}
	return true
}

func (t *term) match(c *Call) bool {
	switch t.field {
	case "host":
		return contains(c.HostPort(), t.value)
	case "path":
		return contains(c.Path, t.value) || contains(c.Endpoint, t.value)
	case "endpoint":
		return strings.EqualFold(c.Endpoint, t.value)
	case "method":
		return contains(c.Method, t.value)
	case "status":
		return c.Status >= t.lo && c.Status <= t.hi
	case "verdict":
		return contains(string(c.Verdict), t.value)
	case "service":
		return contains(c.Service, t.value)
	case "client":
		return contains(c.Client, t.value)
	case "auth":
		return contains(c.Auth, t.value)
	}
	return contains(c.Method, t.value) || contains(c.HostPort(), t.value) || contains(c.Path, t.value) ||
		contains(c.Service, t.value) || contains(c.Reason, t.value)
}

// contains looks for sub, which is lower case, in s without regard to case. ASCII takes
// no memory: a filter goes over every row thirty times a second.
func contains(s, sub string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return strings.Contains(strings.ToLower(s), sub)
		}
	}
	for i := 0; i+len(sub) <= len(s); i++ {
		if equalLower(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

func equalLower(s, lower string) bool {
	for i := 0; i < len(lower); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
