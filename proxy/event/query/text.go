package query

import "strings"

// Words splits a line at blanks outside of double quotes; the quotes go.
func Words(line string) []string {
	var out []string
	var b strings.Builder
	quoted := false
	for _, r := range line {
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

// matcher looks for a value in small letters, without regard to case. With a * in it, which
// stands for anything, it must be all of the text, or with prefix its start. "none" is no value.
func matcher(value string, prefix bool) func(string) bool {
	if value == "none" {
		return func(s string) bool { return s == "" }
	}
	parts := strings.Split(value, "*")
	if len(parts) == 1 {
		return func(s string) bool { return contains(s, value) }
	}
	return func(s string) bool {
		rest, ok := strings.CutPrefix(strings.ToLower(s), parts[0])
		if !ok {
			return false
		}
		for _, p := range parts[1 : len(parts)-1] {
			i := strings.Index(rest, p)
			if i < 0 {
				return false
			}
			rest = rest[i+len(p):]
		}
		last := parts[len(parts)-1]
		return strings.HasSuffix(rest, last) || prefix && strings.Contains(rest, last)
	}
}

// contains looks for sub, which is in small letters, in s without regard to case. ASCII takes
// no memory: the inspector asks for every row thirty times a second.
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
