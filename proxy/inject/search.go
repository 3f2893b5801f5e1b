package inject

import (
	"fmt"
	"net/http"
	"strings"
)

// Place is a place in requests where a service's placeholder may stand although APIs at
// large take no credential there: the owner of the service says so. With a Name it is one
// header, cookie, parameter or field, which is what should be said: anywhere in a body is
// also where the API keeps content, and the child could have the secret written into it.
type Place struct {
	In   string // one of Places
	Name string // "" is anywhere in it; of a body or a message a dotted path as in Body
}

// Places lists what Place.In may be.
func Places() []string {
	return []string{"header", "cookie", "query", "path", "body", "websocket"}
}

// ParsePlace reads `websocket`, `body:auth.token`, `header:X-Session`. Its errors quote the
// place and may carry a Hint() string.
func ParsePlace(s string) (Place, error) {
	in, name, named := strings.Cut(s, ":")
	p := Place{in, name}
	switch {
	case in == "path" && named:
		return p, &problem{fmt.Sprintf("place %q: a path has no names", s), `write "path"`}
	case in == "path":
	case !containsWord(Places(), in):
		return p, &problem{fmt.Sprintf("place %q: unknown (one of: %s)", s, strings.Join(Places(), ", ")), `a name may follow: "body:auth.token", "header:X-Session"`}
	case named && name == "":
		return p, &problem{fmt.Sprintf("place %q: no name after the colon", s), fmt.Sprintf("write %q for anywhere in it", in)}
	case in == "header" && named && !usableName(name):
		return p, &problem{fmt.Sprintf("place %q: not a header that can carry a credential", s), ""}
	case in == "cookie" && named && !isToken(name):
		return p, &problem{fmt.Sprintf("place %q: not a cookie's name", s), ""}
	}
	return p, nil
}

func containsWord(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// String is the place as ParsePlace reads it.
func (p Place) String() string {
	if p.Name == "" {
		return p.In
	}
	return p.In + ":" + p.Name
}

// Search is all places of one service.
type Search []Place

// names returns the names under which one kind of place is searched. anywhere says that
// one of them has no name.
func (s Search) names(in string) (names []string, anywhere bool) {
	for _, p := range s {
		if p.In == in {
			names = append(names, p.Name)
			anywhere = anywhere || p.Name == ""
		}
	}
	return names, anywhere
}

// Messages says that WebSocket messages are searched.
func (s Search) Messages() bool {
	names, _ := s.names("websocket")
	return len(names) > 0
}

// Allows says that a copy stands where the service expects one.
func (s Search) Allows(x Found) bool {
	switch x.slot.kind {
	case inPath, inBody, inMessage:
		return true // nothing but a Search looks there
	}
	kind, name, _ := strings.Cut(x.Where, " ")
	name = strings.TrimSuffix(name, " (Basic)")
	names, anywhere := s.names(kind)
	if anywhere {
		return true
	}
	for _, n := range names {
		if kind == "header" && sameSlot(n, name) || n == name {
			return true
		}
	}
	return false
}

// Find returns the copies that Finder.Find does not look for: in headers whose names say
// nothing of credentials, in the path, and in the body, which is read whole and put back.
// It fails where a body has to be searched and cannot be; nothing may be sent then.
func (s Search) Find(req *http.Request, f *Finder) ([]Found, error) {
	if len(s) == 0 || f == nil || len(f.known) == 0 {
		return nil, nil
	}
	var found []Found
	names, anywhere := s.names("header")
	for key, lines := range req.Header {
		if credentialHeader(key) || !anywhere && !containsSlot(names, key) || !usableName(key) {
			continue
		}
		for i, line := range lines {
			found = f.findCopies(found, slot{inHeader, key, i}, line, "")
		}
	}
	if names, _ := s.names("path"); len(names) > 0 {
		found = f.findPath(found, req.URL.EscapedPath())
	}
	return s.findBody(found, req, f)
}

func containsSlot(names []string, key string) bool {
	for _, n := range names {
		if sameSlot(n, key) {
			return true
		}
	}
	return false
}

func (f *Finder) findPath(found []Found, escaped string) []Found {
	for _, k := range f.known {
		for n := countEncoded(escaped, k.placeholder); n > 0; n-- {
			found = append(found, Found{Placeholder: k.placeholder, Service: k.service, Where: "path", slot: slot{kind: inPath}})
		}
	}
	return found
}

// findBody adds one Found for each field that holds a placeholder, however often.
func (s Search) findBody(found []Found, req *http.Request, f *Finder) ([]Found, error) {
	names, anywhere := s.names("body")
	if len(names) == 0 || req.Body == nil || req.Body == http.NoBody {
		return found, nil
	}
	text, err := searchedBody(req)
	if text == nil || err != nil {
		return found, err
	}
	body, err := readBody(req)
	if err != nil {
		return found, err
	}
	setBody(req, body)
	if anywhere {
		names = []string{""}
	}
	for _, k := range f.known {
		for _, name := range names {
			_, n, err := text.replace(body, k.placeholder, name, k.placeholder)
			if err != nil {
				return found, err
			}
			if n == 0 {
				continue
			}
			if err := fixedBody(req); err != nil {
				return found, err
			}
			found = append(found, Found{Placeholder: k.placeholder, Service: k.service, Where: strings.TrimSpace("body " + slotName(name)),
				Copies: n, slot: slot{kind: inBody, key: name}})
		}
	}
	return found, nil
}

// Count is how many copies were found.
func Count(found []Found) int {
	n := 0
	for _, f := range found {
		n += max(f.Copies, 1)
	}
	return n
}
