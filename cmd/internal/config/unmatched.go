package config

import (
	"fmt"
	"strings"
)

// SetUnmatched sets unmatched in a file's content and returns the file as it then is.
// Everything else stays as it is, byte for byte. The result is loaded by itself before it
// is returned.
func SetUnmatched(source []byte, policy string) ([]byte, error) {
	src := string(source)
	if f, err := Parse(FileName, source); err != nil {
		return nil, err
	} else if f.unmatchedAt.Line > 0 && f.Unmatched == policy {
		return source, nil
	}
	value := "unmatched = " + tomlString(policy)
	at, ok := scan(src)["unmatched"]
	if ok {
		s := &scanner{src: src, i: at.val, places: map[string]place{}, lists: map[string]int{}}
		s.value("")
		src = src[:at.val] + tomlString(policy) + src[s.i:]
	} else {
		src = insertTop(src, value)
	}
	f, err := Parse(FileName, []byte(src))
	if err != nil {
		return nil, err
	}
	if f.Unmatched != policy {
		return nil, fmt.Errorf("unmatched cannot be edited; write it by hand: %s", value)
	}
	return []byte(src), nil
}

// insertTop puts a line before the first key or table, which a comment right above it
// stays with. The comment that begins the file is the file's own.
func insertTop(src, line string) string {
	end := "\n"
	if strings.Contains(src, "\r\n") {
		end = "\r\n"
	}
	s := &scanner{src: src}
	s.blank()
	at := strings.LastIndexByte(src[:s.i], '\n') + 1
	if s.i >= len(src) { // nothing but comments
		if at = len(src); at > 0 && src[at-1] != '\n' {
			line = end + line
		}
		return src + line + end
	}
	for top := at; top > 0; {
		top = strings.LastIndexByte(src[:top-1], '\n') + 1
		text := strings.TrimSpace(src[top:at])
		if !strings.HasPrefix(text, "#") {
			break
		}
		if top == 0 { // up to the start: it speaks of the file
			return src[:at] + line + end + end + src[at:]
		}
		before := strings.LastIndexByte(src[:top-1], '\n') + 1
		if strings.TrimSpace(src[before:top]) == "" {
			at = top
			break
		}
	}
	return src[:at] + line + end + end + src[at:]
}
