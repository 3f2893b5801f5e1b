package inject

import "strings"

// graphqlOperation tells the kind and the root fields of the operation that a server runs of
// a document: the one with the name, or the only one. "?" is what cannot be told.
func graphqlOperation(document, name string) string {
	s := graphqlScanner{text: document}
	found, count := "", 0
	for token := s.next(); token != ""; token = s.next() {
		kind, own := token, ""
		switch token {
		case "{":
			kind = "query" // the short form
		case "query", "mutation", "subscription":
			if own = s.next(); own != "{" && own != "(" && own != "@" {
				token = s.next()
			} else {
				own, token = "", own
			}
			for token != "{" && token != "" { // variables and directives
				if token == "(" {
					s.skip("(", ")")
				}
				token = s.next()
			}
		case "fragment":
			for token != "{" && token != "" {
				token = s.next()
			}
			s.skip("{", "}")
			continue
		default:
			return "?"
		}
		fields := s.fields()
		count++
		if name == "" || own == name {
			found = strings.TrimSpace(kind + " " + joined(fields))
			if name != "" {
				return found
			}
		}
	}
	if count != 1 || found == "" {
		return "?"
	}
	return found
}

// graphqlScanner splits a document into words and signs.
type graphqlScanner struct {
	text string
	at   int
}

// next is the next word or sign, "" at the end. A string is `"`; an argument in it cannot be
// taken for a field.
func (s *graphqlScanner) next() string {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '#':
			if i := strings.IndexAny(s.text[s.at:], "\r\n"); i >= 0 {
				s.at += i
			} else {
				s.at = len(s.text)
			}
		case c <= ' ' || c == ',' || c >= 0x80:
			s.at++
		case c == '"':
			s.quoted()
			return `"`
		case word(c):
			start := s.at
			for s.at < len(s.text) && word(s.text[s.at]) {
				s.at++
			}
			return s.text[start:s.at]
		case strings.HasPrefix(s.text[s.at:], "..."):
			s.at += 3
			return "..."
		default:
			s.at++
			return s.text[s.at-1 : s.at]
		}
	}
	return ""
}

// quoted passes over a string, or a block string.
func (s *graphqlScanner) quoted() {
	end := `"`
	if strings.HasPrefix(s.text[s.at:], `"""`) {
		end = `"""`
	}
	s.at += len(end)
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '\\':
			s.at += 2
		case strings.HasPrefix(s.text[s.at:], end):
			s.at += len(end)
			return
		default:
			s.at++
		}
	}
	s.at = min(s.at, len(s.text))
}

func word(c byte) bool { return c == '_' || letter(c) || c >= '0' && c <= '9' }

// skip passes over what stands between two signs, of which the first has been read.
func (s *graphqlScanner) skip(open, shut string) {
	for depth := 1; depth > 0; {
		switch s.next() {
		case open:
			depth++
		case shut:
			depth--
		case "":
			return
		}
	}
}

// fields are the names of the fields of a selection whose brace has been read, without their
// aliases and without what stands in them. A fragment is "...".
func (s *graphqlScanner) fields() []string {
	var names []string
	for {
		token := s.next()
		switch token {
		case "}", "":
			return names
		case "{":
			s.skip("{", "}")
		case "(":
			s.skip("(", ")")
		case "@": // and the name of a directive
			s.next()
		case ":": // what came before was an alias
			names = append(names[:max(len(names)-1, 0)], nameOrNot(s.next()))
		case "...":
			names = append(names, "...")
			mark := s.at
			if name := s.next(); name == "on" {
				s.next()
			} else if name == "{" || name == "@" {
				s.at = mark
			}
		default:
			names = append(names, nameOrNot(token))
		}
	}
}
