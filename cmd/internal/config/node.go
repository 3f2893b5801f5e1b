package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// document is one parsed file.
type document struct {
	file   string // as messages show it
	src    string
	places map[string]place
	problems
}

// node is a value of a document, with what messages need to name it.
type node struct {
	doc     *document
	path    string
	subject string // begins every message: `service "github": `
	v       any
}

// parse reads a text. Where it is no TOML the document holds the error, and root an
// empty table.
func parse(file string, content []byte) (*document, node) {
	d := &document{file: file, src: string(content)}
	var root map[string]any
	if _, err := toml.Decode(d.src, &root); err != nil {
		d.syntax(err)
		root = nil
	} else {
		d.places = scan(d.src)
	}
	return d, node{doc: d, v: root}
}

func (d *document) syntax(err error) {
	if pe, ok := err.(toml.ParseError); ok {
		pos := position(d.file, d.src, pe.Position.Start)
		text := strings.TrimPrefix(pe.Message, "toml: ")
		d.add(pos, "", "%s", text)
		return
	}
	d.add(Pos{d.file, 1, 1}, "", "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

// pos is where the value begins.
func (n node) pos() Pos { return position(n.doc.file, n.doc.src, n.doc.places[n.path].val) }

// keyPos is where the key begins.
func (n node) keyPos() Pos { return position(n.doc.file, n.doc.src, n.doc.places[n.path].key) }

func (n node) fail(hint, format string, a ...any) {
	n.doc.add(n.pos(), hint, "%s%s", n.subject, fmt.Sprintf(format, a...))
}

// key is the last part of the path, for messages.
func (n node) key() string {
	parts := strings.Split(n.path, "\x00")
	for i := len(parts) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(parts[i]); err != nil {
			return parts[i]
		}
	}
	return n.path
}

func (n node) wrongType(want string) {
	key := n.key() + ": "
	if key == n.subject { // a section
		key = ""
	}
	n.fail("", "%swant %s, got %s", key, want, typeName(n.v))
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "something else"
}

// table returns the entries by key. With legal keys, others are reported.
func (n node) table(legal ...string) (map[string]node, bool) {
	m, ok := n.v.(map[string]any)
	if !ok {
		n.wrongType("a table")
		return nil, false
	}
	out := make(map[string]node, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		child := node{n.doc, join(n.path, k), n.subject, m[k]}
		if legal != nil && !slices.Contains(legal, k) {
			n.doc.add(child.keyPos(), DidYouMean(k, legal), "%sunknown key %s (one of: %s)", n.subject, word(k), strings.Join(legal, ", "))
			continue
		}
		out[k] = child
	}
	return out, true
}

func (n node) str() (string, bool) {
	s, ok := n.v.(string)
	if !ok {
		n.wrongType("a string")
	}
	return s, ok
}

func (n node) boolean() bool {
	b, ok := n.v.(bool)
	if !ok {
		n.wrongType("true or false")
	}
	return b
}

// list returns the elements of a list.
func (n node) list(want string) []node {
	var values []any
	switch v := n.v.(type) {
	case []any:
		values = v
	case []map[string]any:
		for _, m := range v {
			values = append(values, m)
		}
	default:
		n.wrongType(want)
	}
	out := make([]node, len(values))
	for i, v := range values {
		out[i] = node{n.doc, join(n.path, strconv.Itoa(i)), n.subject, v}
	}
	return out
}

// words returns the elements of a list of strings; with single, one string is a list of one.
func (n node) words(single bool) []node {
	if _, ok := n.v.(string); ok && single {
		return []node{n}
	}
	want := "a list of strings"
	if single {
		want = "a string or a list of strings"
	}
	var out []node
	for _, e := range n.list(want) {
		if _, ok := e.str(); ok {
			out = append(out, e)
		}
	}
	return out
}

// oneOf reads a word out of a closed list.
func (n node) oneOf(legal ...string) string {
	s, ok := n.str()
	if !ok {
		return ""
	}
	if !slices.Contains(legal, s) {
		n.fail(DidYouMean(s, legal), "unknown %s %s (one of: %s)", n.key(), word(s), strings.Join(legal, ", "))
		return ""
	}
	return s
}
