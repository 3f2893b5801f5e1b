// Package dotenv reads the files of variables that projects keep for development
// (.env), and writes them anew with some of the values taken out.
//
// There is no standard for these files. What is read here is what the tools agree on:
// NAME=VALUE with an optional "export", values bare, in single quotes (literal) or in
// double quotes (escapes, more than one line), comments behind a blank and a #. Where
// the tools disagree it is an error, or the variable says that it is no literal: a key
// that was misread would be stored, and fail far from here.
//
// No error holds any text of the file but the name of a variable.
package dotenv

import (
	"bytes"
	"fmt"
	"strings"

	"agentvault/keyring"
)

// File is a file that was read. It belongs to one goroutine.
type File struct {
	Path    string // as it was given; errors begin with it
	Vars    []Var  // in the order of the file; a name may stand in it more than once
	content []byte
}

// Var is one assignment.
type Var struct {
	Name  string
	Value keyring.Secret
	Line  int // of the name, from 1
	// Made says that the value is put together by whoever reads the file, out of other
	// variables or the output of a command, so that Value is not what a program sees.
	Made bool

	line, from, to int  // offsets: of the line, and of the value with its quotes
	tail           bool // more than blanks stand behind the value
}

// parser is a place in the content.
type parser struct {
	path string
	b    []byte
	at   int
	line int
}

// Parse reads the content of a file. path is for errors alone.
func Parse(path string, content []byte) (*File, error) {
	f := &File{Path: path, content: content}
	p := &parser{path: path, b: content, line: 1}
	if bytes.IndexByte(content, 0) >= 0 {
		return nil, fmt.Errorf("%s: not a text file", path)
	}
	if bytes.HasPrefix(content, []byte("\xef\xbb\xbf")) {
		p.at = 3
	}
	for p.at < len(p.b) {
		v, ok, err := p.assignment()
		if err != nil {
			return nil, err
		}
		if ok {
			f.Vars = append(f.Vars, v)
		}
	}
	return f, nil
}

func (p *parser) fail(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.path, line, fmt.Sprintf(format, args...))
}

// assignment reads one line, or more where a value goes on. ok is false for a line
// without an assignment.
func (p *parser) assignment() (v Var, ok bool, err error) {
	v = Var{Line: p.line, line: p.at}
	p.blanks()
	if p.end() || p.b[p.at] == '#' {
		p.nextLine()
		return v, false, nil
	}
	v.Name = p.name()
	exported := v.Name == "export" && p.blanks() > 0 && !p.is('=')
	if exported {
		v.Name = p.name()
	}
	if v.Name == "" {
		return v, false, p.fail(v.Line, "not NAME=VALUE")
	}
	p.blanks()
	if exported && p.end() { // `export NAME` exports what is set elsewhere
		p.nextLine()
		return v, false, nil
	}
	if !p.is('=') {
		// The word may be a part of a value that lost its quotes: it is not repeated.
		return v, false, p.fail(v.Line, "not NAME=VALUE: no = behind the name")
	}
	p.at++
	gap := p.blanks()
	v.from = p.at
	text, err := p.value(&v, gap > 0)
	if err != nil {
		return v, false, err
	}
	v.Value = keyring.NewSecret(text)
	clear(text)
	v.to = p.at
	return v, true, p.rest(&v)
}

// name reads what may be a variable's name; "" is none.
func (p *parser) name() string {
	from := p.at
	for p.at < len(p.b) && isNameByte(p.b[p.at], p.at == from) {
		p.at++
	}
	return string(p.b[from:p.at])
}

func isNameByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		return true
	}
	return !first && ('0' <= c && c <= '9' || c == '.' || c == '-')
}

func (p *parser) is(c byte) bool { return p.at < len(p.b) && p.b[p.at] == c }

// end reports the end of the line or of the file.
func (p *parser) end() bool {
	return p.at == len(p.b) || p.b[p.at] == '\n' || p.b[p.at] == '\r' && (p.at+1 == len(p.b) || p.b[p.at+1] == '\n')
}

func (p *parser) blanks() int {
	from := p.at
	for p.is(' ') || p.is('\t') {
		p.at++
	}
	return p.at - from
}

// nextLine goes behind the end of this one.
func (p *parser) nextLine() {
	i := bytes.IndexByte(p.b[p.at:], '\n')
	if i < 0 {
		p.at = len(p.b)
		return
	}
	p.at += i + 1
	p.line++
}

func (p *parser) value(v *Var, gap bool) ([]byte, error) {
	switch {
	case p.end(), gap && p.is('#'):
		return nil, nil
	case p.is('\''):
		return p.single(v)
	case p.is('"'):
		return p.double(v)
	case p.is('`'):
		return nil, p.fail(v.Line, "%s: a value in backquotes is a command to some tools and a text to others; use single or double quotes", v.Name)
	}
	return p.bare(v), nil
}

// bare reads to the end of the line, or to a comment.
func (p *parser) bare(v *Var) []byte {
	from := p.at
	for !p.end() && !(p.b[p.at] == '#' && (p.b[p.at-1] == ' ' || p.b[p.at-1] == '\t')) {
		p.at++
	}
	text := bytes.TrimRight(p.b[from:p.at], " \t")
	p.at = from + len(text)
	v.Made = isMade(text)
	return bytes.Clone(text)
}

func (p *parser) single(v *Var) ([]byte, error) {
	from := p.at + 1
	n := bytes.IndexByte(p.b[from:], '\'')
	if n < 0 {
		return nil, p.fail(v.Line, "%s: the single quote is not closed", v.Name)
	}
	text := p.b[from : from+n]
	p.line += bytes.Count(text, []byte("\n"))
	p.at = from + n + 1
	return bytes.Clone(text), nil
}

// double reads a value in which a backslash escapes, and which may have several lines.
func (p *parser) double(v *Var) ([]byte, error) {
	var text []byte
	for p.at++; p.at < len(p.b); p.at++ {
		c := p.b[p.at]
		switch {
		case c == '"':
			p.at++
			return text, nil
		case c == '\\' && p.at+1 < len(p.b):
			p.at++
			text = append(text, unescape(p.b[p.at])...)
			if p.b[p.at] == '\n' {
				p.line++
			}
			continue
		case c == '\n':
			p.line++
		case beginsMade(p.b[p.at:]), c == '`':
			v.Made = true
		}
		text = append(text, c)
	}
	clear(text)
	return nil, p.fail(v.Line, "%s: the double quote is not closed", v.Name)
}

// unescape keeps the backslash before what needs none.
func unescape(c byte) []byte {
	switch c {
	case 'n':
		return []byte{'\n'}
	case 'r':
		return []byte{'\r'}
	case 't':
		return []byte{'\t'}
	case '"', '\\', '$', '`', '\'':
		return []byte{c}
	}
	return []byte{'\\', c}
}

// isMade finds $NAME, ${NAME} and $(command).
func isMade(text []byte) bool {
	for i := range text {
		if beginsMade(text[i:]) {
			return true
		}
	}
	return false
}

func beginsMade(text []byte) bool {
	return text[0] == '$' && len(text) > 1 && (isNameByte(text[1], true) || strings.IndexByte("{(", text[1]) >= 0)
}

// rest reads what stands behind a value, which is a comment or nothing.
func (p *parser) rest(v *Var) error {
	p.blanks()
	if !p.end() {
		if !p.is('#') {
			return p.fail(p.line, "%s: text behind the closing quote", v.Name)
		}
		v.tail = true
	}
	p.nextLine()
	return nil
}
