package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// editJSON replaces the values at the dotted paths, by their offsets.
func editJSON(body []byte, fields []string, v string) ([]byte, string, error) {
	text, err := quoteJSON(v)
	if err != nil {
		return nil, "", err
	}
	if !json.Valid(body) {
		return nil, "", errors.New("body: not valid JSON")
	}
	w := jsonWalker{body: body, edit: func([]byte) (string, bool) { return text, true }}
	live := make([]jsonPath, 0, len(fields))
	for _, f := range fields {
		live = append(live, jsonPath{f, strings.Split(f, ".")})
	}
	w.value(live)
	if w.odd != "" && w.hit != "" {
		return nil, "", otherLetters(w.odd)
	}
	return applySplices(body, w.edits), w.hit, nil
}

// otherLetters refuses a second field that some origins (Go's among them) take for the same.
func otherLetters(name string) error {
	return &problem{"body: " + slotName(name) + ": a second field, whose name differs in the case of its letters alone", "send the field once"}
}

// jsonPath is what is left of a field's path at some depth.
type jsonPath struct {
	field string
	rest  []string
}

// jsonWalker steps through JSON that json.Valid has accepted, so it checks nothing
// again, and its depth is bounded by encoding/json's own limit of 10,000.
type jsonWalker struct {
	body  []byte
	at    int
	edit  func(value []byte) (text string, ok bool) // what replaces a value, if anything
	edits []splice
	hit   string
	odd   string // a name that is on a path but for the case of its letters
}

// value steps over one value. live are the paths that lead into it; where one ends
// here the whole value is replaced, and not looked into.
func (w *jsonWalker) value(live []jsonPath) {
	w.space()
	from := w.at
	for _, p := range live {
		if len(p.rest) == 0 {
			w.skip()
			text, ok := w.edit(w.body[from:w.at])
			if !ok {
				return
			}
			w.edits = append(w.edits, splice{from, w.at, text})
			if w.hit == "" {
				w.hit = p.field
			}
			return
		}
	}
	switch {
	case len(live) == 0:
		w.skip()
	case w.body[w.at] == '{':
		w.object(live)
	case w.body[w.at] == '[':
		w.array(live)
	default:
		w.skip()
	}
}

func (w *jsonWalker) object(live []jsonPath) {
	w.at++
	for w.space(); w.body[w.at] != '}'; w.space() {
		if w.body[w.at] == ',' {
			w.at++
			w.space()
		}
		from := w.at
		w.skip()
		name := unquote(w.body[from:w.at])
		w.space()
		w.at++ // the colon
		next := under(live, name, false)
		for _, p := range live {
			if p.rest[0] != name && strings.EqualFold(p.rest[0], name) {
				w.odd = name
			}
		}
		w.value(next)
	}
	w.at++
}

func (w *jsonWalker) array(live []jsonPath) {
	w.at++
	i := 0
	for w.space(); w.body[w.at] != ']'; w.space() {
		if w.body[w.at] == ',' {
			w.at++
		}
		w.value(under(live, strconv.Itoa(i), true))
		i++
	}
	w.at++
}

// under returns the paths that go on below name.
func under(live []jsonPath, name string, element bool) []jsonPath {
	var next []jsonPath
	for _, p := range live {
		if p.rest[0] == name || element && p.rest[0] == "*" {
			next = append(next, jsonPath{p.field, p.rest[1:]})
		}
	}
	return next
}

// skip steps over one value without looking into it.
func (w *jsonWalker) skip() {
	switch w.body[w.at] {
	case '"':
		for w.at++; w.body[w.at] != '"'; w.at++ {
			if w.body[w.at] == '\\' {
				w.at++
			}
		}
		w.at++
	case '{', '[':
		w.skipNested()
	default: // a number or a word ends at the next delimiter
		for w.at < len(w.body) && strings.IndexByte(",]} \t\r\n", w.body[w.at]) < 0 {
			w.at++
		}
	}
}

func (w *jsonWalker) skipNested() {
	for depth := 0; ; {
		switch w.body[w.at] {
		case '"':
			w.skip()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.at++
		if depth == 0 {
			return
		}
	}
}

func (w *jsonWalker) space() {
	for w.at < len(w.body) {
		switch w.body[w.at] {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return
		}
	}
}

func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}
