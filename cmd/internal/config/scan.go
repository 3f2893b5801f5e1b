package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// place is where a key and its value begin, as byte offsets.
type place struct{ key, val int }

// scan finds the place of every key, table and list element of a TOML text that the
// library has accepted. (The library keeps positions of keys to itself and has none of
// values.) Paths are the parts joined by NUL, elements of lists count from 0:
// "service\x00github\x00allow\x001". On a text that is no TOML it returns something,
// and comes to an end.
func scan(src string) map[string]place {
	s := &scanner{src: src, places: map[string]place{}, lists: map[string]int{}}
	table := ""
	for {
		s.blank()
		if s.i >= len(s.src) {
			return s.places
		}
		if s.src[s.i] == '[' {
			table = s.header()
			continue
		}
		before := s.i
		s.pair(table)
		if s.i == before { // not TOML
			s.i++
		}
	}
}

type scanner struct {
	src    string
	i      int
	places map[string]place
	lists  map[string]int // [[tables]]: how many there are so far
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "\x00" + key
}

// note keeps the first place of a path: that of the key, not of a later [table.below.it].
func (s *scanner) note(path string, key, val int) {
	if _, known := s.places[path]; !known {
		s.places[path] = place{key, val}
	}
}

// blank skips white space, line ends and comments.
func (s *scanner) blank() {
	for s.i < len(s.src) {
		switch s.src[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		case '#':
			if end := strings.IndexByte(s.src[s.i:], '\n'); end >= 0 {
				s.i += end
			} else {
				s.i = len(s.src)
			}
		default:
			if !strings.HasPrefix(s.src[s.i:], "\ufeff") {
				return
			}
			s.i += len("\ufeff")
		}
	}
}

func (s *scanner) is(c byte) bool { return s.i < len(s.src) && s.src[s.i] == c }

func (s *scanner) spaces() {
	for s.is(' ') || s.is('\t') {
		s.i++
	}
}

// header reads [a.b] and [[a.b]] and returns the path that the following pairs are below.
func (s *scanner) header() string {
	start := s.i
	s.i++
	list := s.is('[')
	if list {
		s.i++
	}
	path := ""
	keys := s.keys()
	for n, k := range keys {
		path = join(path, k)
		if list && n == len(keys)-1 {
			s.note(path, start, start)
			s.lists[path]++
		}
		if count := s.lists[path]; count > 0 {
			path = join(path, strconv.Itoa(count-1))
		}
		s.note(path, start, start)
	}
	for s.is(']') || s.is(' ') || s.is('\t') {
		s.i++
	}
	return path
}

// pair reads `a.b = value`.
func (s *scanner) pair(table string) {
	start := s.i
	path := table
	keys := s.keys()
	for _, k := range keys {
		path = join(path, k)
		if s.lists[path] == 0 {
			s.note(path, start, start)
		}
	}
	if len(keys) == 0 || !s.is('=') {
		return
	}
	s.i++
	s.blank()
	s.places[path] = place{start, s.i}
	s.value(path)
}

// keys reads a dotted key.
func (s *scanner) keys() (out []string) {
	for {
		s.spaces()
		if s.i >= len(s.src) {
			return out
		}
		switch c := s.src[s.i]; {
		case c == '"' || c == '\'':
			start := s.i
			s.text()
			out = append(out, unquote(s.src[start:s.i]))
		case isBare(c):
			start := s.i
			for s.i < len(s.src) && isBare(s.src[s.i]) {
				s.i++
			}
			out = append(out, s.src[start:s.i])
		default:
			return out
		}
		s.spaces()
		if !s.is('.') {
			return out
		}
		s.i++
	}
}

func isBare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// value reads one value and notes what lies inside.
func (s *scanner) value(path string) {
	if s.i >= len(s.src) {
		return
	}
	switch s.src[s.i] {
	case '"', '\'':
		s.text()
	case '[':
		s.i++
		for n := 0; ; n++ {
			s.blank()
			if s.i >= len(s.src) || s.is(']') {
				s.i++
				return
			}
			before := s.i
			element := join(path, strconv.Itoa(n))
			s.note(element, s.i, s.i)
			s.value(element)
			s.separator(before)
		}
	case '{':
		s.i++
		for {
			s.blank()
			if s.i >= len(s.src) || s.is('}') {
				s.i++
				return
			}
			before := s.i
			s.pair(path)
			s.separator(before)
		}
	default:
		if end := strings.IndexAny(s.src[s.i:], ",]}#\n"); end >= 0 {
			s.i += end
		} else {
			s.i = len(s.src)
		}
	}
}

// separator skips to the next element, and always forward.
func (s *scanner) separator(before int) {
	s.blank()
	if s.is(',') || s.i == before {
		s.i++
	}
}

// text skips a string of any of the four kinds.
func (s *scanner) text() {
	quote := s.src[s.i : s.i+1]
	escapes := quote == `"`
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.src[s.i:], long) {
		quote = long
	}
	for s.i += len(quote); s.i < len(s.src); s.i++ {
		if escapes && s.src[s.i] == '\\' {
			s.i++
			continue
		}
		if len(quote) == 1 && s.src[s.i] == '\n' { // not TOML
			return
		}
		if strings.HasPrefix(s.src[s.i:], quote) {
			s.i += len(quote)
			// Two more quotes may stand before the closing three.
			for n := 0; n < 2 && len(quote) == 3 && s.is(quote[0]); n++ {
				s.i++
			}
			return
		}
	}
	s.i = len(s.src)
}

// unquote reads a quoted key, which is short and rarely has an escape.
func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	if s[0] == '\'' {
		return strings.Trim(s, "'")
	}
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s[1 : len(s)-1]
}

// position turns an offset into line and column.
func position(file, src string, offset int) Pos {
	offset = min(max(offset, 0), len(src))
	line := 1 + strings.Count(src[:offset], "\n")
	start := 1 + strings.LastIndexByte(src[:offset], '\n')
	return Pos{file, line, 1 + utf8.RuneCountInString(strings.TrimPrefix(src[start:offset], "\ufeff"))}
}
