package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

// listWidth is how long a line with a list on it may get before it takes a line for each
// element.
const listWidth = 100

// AddAllow adds rules to the allow list of a service that stands in source, and returns
// the file as it then is. Everything else stays as it is, byte for byte: comments, order,
// line ends, other services. Rules that are in the list already are left out; where all
// are, the result is source itself. A service without an allow list, or with an empty one,
// allows everything already: a rule would narrow it, so that is an error. The result is
// loaded by itself before it is returned.
func AddAllow(source []byte, service string, ops []string) ([]byte, error) {
	f, err := Parse(FileName, source)
	if err != nil {
		return nil, err
	}
	s := f.Service(service)
	switch {
	case s == nil:
		return nil, fmt.Errorf("service %q does not stand in this file", service)
	case len(s.Allow) == 0:
		return nil, fmt.Errorf("service %q has no allow list: it allows everything that deny and ask leave", service)
	}
	want := slices.Clone(s.Allow)
	var added []string
	for _, text := range ops {
		op, err := rule.ParseOp(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(want, op) {
			want = append(want, op)
			added = append(added, tomlString(op.String()))
		}
	}
	if len(added) == 0 {
		return source, nil
	}
	l := readList(string(source), join(join("service", service), "allow"))
	if len(l.elements) != len(s.Allow) {
		return nil, fmt.Errorf("service %q: its allow list cannot be edited; write the rule by hand: %s", service, strings.Join(added, ", "))
	}
	edited := []byte(l.with(added))
	// The list was found by a reader of our own: the library has the last word.
	if f, err = Parse(FileName, edited); err != nil {
		return nil, err
	}
	if got := f.Service(service); got == nil || !slices.Equal(got.Allow, want) {
		return nil, fmt.Errorf("service %q: its allow list cannot be edited; write the rule by hand: %s", service, strings.Join(added, ", "))
	}
	return edited, nil
}

// DropAsk takes a rule out of the ask list of a service that stands in source, and returns
// the file as it then is; a comment on the rule's own line goes with it, everything else
// stays byte for byte. It is an error where the list does not hold that very rule: one that
// is wider asks for other calls as well.
func DropAsk(source []byte, service, op string) ([]byte, error) {
	f, err := Parse(FileName, source)
	if err != nil {
		return nil, err
	}
	s := f.Service(service)
	if s == nil {
		return nil, fmt.Errorf("service %q does not stand in this file", service)
	}
	at := slices.IndexFunc(s.Ask, func(o rule.Op) bool { return o.String() == op })
	if at < 0 {
		return nil, fmt.Errorf("service %q: ask has no rule %q; one that is wider asks for it", service, op)
	}
	l := readList(string(source), join(join("service", service), "ask"))
	failed := fmt.Errorf("service %q: its ask list cannot be edited; take %q out by hand", service, op)
	if len(l.elements) != len(s.Ask) {
		return nil, failed
	}
	edited := []byte(l.without(at))
	if f, err = Parse(FileName, edited); err != nil {
		return nil, err
	}
	if got := f.Service(service); got == nil || !slices.Equal(got.Ask, slices.Delete(slices.Clone(s.Ask), at, at+1)) {
		return nil, failed
	}
	return edited, nil
}

// span is a part of a text, from begin up to end.
type span struct{ begin, end int }

// listText is a list as it stands in a text.
type listText struct {
	src      string
	span     // with its brackets
	elements []span
	comma    int // behind the comma after the last element; 0 for none
}

// readList finds the list at a path of scan; one without elements is returned where there
// is none.
func readList(src, path string) listText {
	l := listText{src: src}
	at, ok := scan(src)[path]
	if !ok || at.val >= len(src) || src[at.val] != '[' {
		return l
	}
	s := &scanner{src: src, i: at.val + 1, places: map[string]place{}, lists: map[string]int{}}
	for {
		s.blank()
		if s.i >= len(src) || s.is(']') {
			l.span = span{at.val, min(s.i+1, len(src))}
			return l
		}
		begin := s.i
		s.value("")
		if s.i == begin {
			return listText{src: src}
		}
		l.elements, l.comma = append(l.elements, span{begin, s.i}), 0
		s.blank()
		if s.is(',') {
			s.i++
			l.comma = s.i
		}
	}
}

// with is the text with elements more at the end of the list.
func (l listText) with(added []string) string {
	last := l.elements[len(l.elements)-1]
	list := l.src[l.begin:l.end]
	if !strings.Contains(list, "\n") {
		one := l.src[:last.end] + ", " + strings.Join(added, ", ") + l.src[last.end:]
		start := strings.LastIndexByte(one[:l.begin], '\n') + 1
		line, _, _ := strings.Cut(one[start:], "\n")
		if len(line) <= listWidth {
			return one
		}
		return l.opened(added)
	}
	end := "\n"
	if strings.Contains(l.src, "\r\n") {
		end = "\r\n"
	}
	indent := end + l.indent(last)
	// Behind the last element, its comma and what is said of it on the same line.
	at := max(last.end, l.comma)
	if rest, _, more := strings.Cut(l.src[at:l.end], "\n"); more {
		at += len(strings.TrimRight(rest, " \t\r"))
	}
	var b strings.Builder
	b.WriteString(l.src[:last.end])
	if l.comma == 0 {
		b.WriteByte(',')
	}
	b.WriteString(l.src[last.end:at])
	b.WriteString(indent + strings.Join(added, ","+indent))
	if l.comma != 0 {
		b.WriteByte(',')
	}
	return b.String() + l.src[at:]
}

// without is the text without an element of the list: without its line where it has one to
// itself.
func (l listText) without(at int) string {
	e := l.elements[at]
	start := strings.LastIndexByte(l.src[:e.begin], '\n') + 1
	end := len(l.src)
	if n := strings.IndexByte(l.src[e.end:], '\n'); n >= 0 {
		end = e.end + n + 1
	}
	behind := strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(l.src[e.end:end], " \t"), ","), " \t\r\n")
	switch {
	case start > l.begin && end < l.end && strings.TrimSpace(l.src[start:e.begin]) == "" && (behind == "" || behind[0] == '#'):
		return l.src[:start] + l.src[end:]
	case at+1 < len(l.elements):
		return l.src[:e.begin] + l.src[l.elements[at+1].begin:]
	case at > 0:
		return l.src[:l.elements[at-1].end] + l.src[e.end:]
	case l.comma > 0:
		return l.src[:e.begin] + l.src[l.comma:]
	}
	return l.src[:e.begin] + l.src[e.end:]
}

// opened is the text with each element of a list that stood on one line, and the added
// ones, on a line of its own.
func (l listText) opened(added []string) string {
	end := "\n"
	if strings.Contains(l.src, "\r\n") {
		end = "\r\n"
	}
	var b strings.Builder
	b.WriteString(l.src[:l.begin] + "[")
	for _, e := range l.elements {
		b.WriteString(end + "    " + l.src[e.begin:e.end] + ",")
	}
	for _, text := range added {
		b.WriteString(end + "    " + text + ",")
	}
	return b.String() + end + "]" + l.src[l.end:]
}

// indent is what stands before an element on its line; four blanks where something else
// than an element does.
func (l listText) indent(e span) string {
	start := strings.LastIndexByte(l.src[:e.begin], '\n') + 1
	lead := l.src[start : start+len(l.src[start:])-len(strings.TrimLeft(l.src[start:], " \t"))]
	if start > l.begin {
		return lead
	}
	return lead + "    "
}

// Edited is a file before and after a change.
type Edited struct {
	Before, After []byte
	Created       bool // there was none before
}

// Edit replaces a file by what change makes of it, or makes it where there is none. Its
// mode stays, as does a link to it. The result is loaded by itself before it takes the
// file's place; where it would not load, the file stays and the error is a Problems.
// Nothing is written where nothing changes.
func Edit(path string, change func(source []byte) ([]byte, error)) (Edited, error) {
	target, mode, err := placeOf(path)
	if err != nil {
		return Edited{}, err
	}
	old, created, err := current(path, target)
	if err != nil {
		return Edited{}, err
	}
	now, err := change(bytes.Clone(old))
	if err != nil {
		return Edited{}, err
	}
	e := Edited{old, now, created}
	if !created && bytes.Equal(old, now) {
		return e, nil
	}
	if err := verify(path, now); err != nil {
		return Edited{}, err
	}
	if again, gone, err := current(path, target); err != nil || gone != created || !bytes.Equal(again, old) {
		return Edited{}, fmt.Errorf("%s: changed while it was being written to", path)
	}
	if err := writeAtomic(target, now, mode); err != nil {
		return Edited{}, readError(path, err)
	}
	return e, nil
}
