package inject

import (
	"strings"

	"agentvault/proxy/rule"
)

// graphqlOperation tells the kind and the root fields of the operation that a server runs of
// a document: the one with the name, or the only one.
func graphqlOperation(document, name string) rule.Asked {
	p := graphqlParser{text: document}
	p.next()
	var found []string
	count, chosen := 0, 0
	for p.token != "" && !p.wrong {
		if p.token == "fragment" {
			p.fragment()
			continue
		}
		own, names := p.operation()
		if count++; name == "" || own == name {
			found = names
			chosen++
		}
	}
	switch {
	case p.wrong, count == 0:
		return rule.Asked{Why: "its document cannot be read"}
	case chosen != 1:
		return rule.Asked{Why: "it does not say which operation of its document runs"}
	}
	a := rule.Asked{Names: found, Known: true}
	for _, one := range found {
		if uncertain(one) {
			a.Known, a.Why = false, "its operation takes fields from a fragment, or has one of an odd name"
		}
	}
	return a
}

// graphqlParser reads documents by the grammar of the GraphQL specification (October 2021, 2
// and appendix C), as far as the root fields ask for it: what stands in brackets is only
// checked to be closed in order. Where servers, old ones included, read a sign differently
// the document counts as wrong.
type graphqlParser struct {
	text  string
	at    int
	token string // a name, a sign, `"` for a string, "0" for a number; "" at the end
	wrong bool
}

// operation reads one definition and gives its own name and its fields.
func (p *graphqlParser) operation() (own string, names []string) {
	kind := "query" // the short form
	switch p.token {
	case "{":
	case "query", "mutation", "subscription":
		kind = p.token
		p.next()
		if p.isName() {
			own = p.token
			p.next()
		}
		p.bracketed("(")
		p.directives()
	default:
		p.wrong = true
		return "", nil
	}
	return own, p.fields(kind)
}

func (p *graphqlParser) fragment() {
	for _, want := range [...]string{"", "on", ""} {
		p.next()
		p.wrong = p.wrong || !p.isName() || want != "" && p.token != want
	}
	p.next()
	p.directives()
	p.wrong = p.wrong || !p.bracketed("{")
}

// fields reads a selection and gives the names in it, without aliases and without what
// stands in them.
func (p *graphqlParser) fields(kind string) (names []string) {
	p.wrong = p.wrong || p.token != "{"
	for p.next(); !p.wrong && p.token != "}"; {
		if p.token == spread {
			names = append(names, kind+" "+spread)
			if p.next(); p.token == "on" {
				p.next()
			}
			if p.isName() {
				p.next()
			}
			p.directives()
			p.bracketed("{")
			continue
		}
		field := p.token
		p.wrong = p.wrong || !p.isName()
		if p.next(); p.token == ":" { // that was an alias
			p.next()
			field = p.token
			p.wrong = p.wrong || !p.isName()
			p.next()
		}
		names = append(names, kind+" "+nameOrNot(field))
		p.bracketed("(")
		p.directives()
		p.bracketed("{")
	}
	p.wrong = p.wrong || len(names) == 0
	p.next()
	return names
}

func (p *graphqlParser) directives() {
	for p.token == "@" && !p.wrong {
		p.next()
		p.wrong = p.wrong || !p.isName()
		p.next()
		p.bracketed("(")
	}
}

// bracketed passes over what stands in brackets, if they begin here.
func (p *graphqlParser) bracketed(open string) bool {
	if p.token != open {
		return false
	}
	var shut []string // what has to come, the last first
	for {
		switch p.token {
		case "(":
			shut = append(shut, ")")
		case "[":
			shut = append(shut, "]")
		case "{":
			shut = append(shut, "}")
		case ")", "]", "}":
			if shut[len(shut)-1] != p.token {
				p.wrong = true
			}
			shut = shut[:len(shut)-1]
		case "":
			p.wrong = true
		}
		p.next()
		if p.wrong || len(shut) == 0 {
			return true
		}
	}
}

func (p *graphqlParser) isName() bool {
	return p.token != "" && (p.token[0] == '_' || letter(p.token[0]))
}

// next reads the next token.
func (p *graphqlParser) next() {
	for p.token = ""; p.token == "" && p.at < len(p.text) && !p.wrong; {
		start, rest := p.at, p.text[p.at:]
		switch c := rest[0]; {
		case c == ' ', c == '\t', c == '\n', c == '\r', c == ',':
			p.at++
		case c == '#':
			p.comment()
		case c == '"':
			p.quoted()
			p.token = `"`
		case word(c):
			for p.at < len(p.text) && word(p.text[p.at]) {
				p.at++
			}
			if p.token = p.text[start:p.at]; c >= '0' && c <= '9' {
				p.token = "0"
			}
		case strings.HasPrefix(rest, spread):
			p.at += len(spread)
			p.token = spread
		case strings.IndexByte("!$&()-.:=@[]{|}+", c) >= 0:
			p.at++
			p.token = rest[:1]
		default:
			p.wrong = true
		}
	}
	if p.wrong {
		p.token = ""
	}
}

// comment passes over the rest of a line. Drafts of the specification knew other ends of
// lines than these two.
func (p *graphqlParser) comment() {
	for ; p.at < len(p.text) && p.text[p.at] != '\n' && p.text[p.at] != '\r'; p.at++ {
		if c := p.text[p.at]; c >= 0x7f || c < ' ' && c != '\t' {
			p.wrong = true
		}
	}
}

// quoted passes over a string, or a block string. Servers of before 2018 take a block string
// for three strings, so that one with a quote in it is wrong.
func (p *graphqlParser) quoted() {
	const fence = `"""`
	if rest, ok := strings.CutPrefix(p.text[p.at:], fence); ok {
		content, _, closed := strings.Cut(rest, fence)
		p.wrong = !closed || strings.ContainsAny(content, `"\`)
		p.at += len(content) + 2*len(fence)
		return
	}
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return
		case c == '\\' && p.at+1 < len(p.text) && strings.IndexByte(`"\/bfnrtu`, p.text[p.at+1]) >= 0:
			p.at++
		case c == '\\', c < ' ' && c != '\t':
			p.wrong = true
			return
		}
	}
	p.wrong = true
}

func word(c byte) bool { return c == '_' || letter(c) || c >= '0' && c <= '9' }
