package inject

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"agentvault/keyring"
)

// Finder finds placeholders in requests. It is immutable and safe for concurrent use;
// the nil Finder finds nothing.
type Finder struct {
	known  []known
	minLen int
}

type known struct{ placeholder, service string }

// NewFinder takes placeholder -> service name.
func NewFinder(placeholders map[string]string) *Finder {
	f := &Finder{}
	for p, service := range placeholders {
		if p == "" {
			continue
		}
		f.known = append(f.known, known{p, service})
		if f.minLen == 0 || len(p) < f.minLen {
			f.minLen = len(p)
		}
	}
	slices.SortFunc(f.known, func(a, b known) int { return cmp.Compare(a.placeholder, b.placeholder) })
	return f
}

// Found is one copy of a placeholder in one slot of one request.
type Found struct {
	Placeholder string
	Service     string
	// Where is "header X-Api-Key", "header Authorization (Basic)", "cookie NAME" or
	// "query NAME". Names come from the child: bounded in length, not escaped.
	Where string
	// Copies is how many copies a Found stands for where it is one for a whole field; zero
	// is one.
	Copies int
	slot   slot
}

type slotKind int

const (
	inHeader slotKind = iota
	inBasic
	inCookie
	inQuery
	inPath
	inBody
	inMessage
)

type slot struct {
	kind slotKind
	key  string // the header's key as it stands in the map
	line int
}

// Find returns every copy that stands in a credential slot, one Found a copy: in the
// headers that read like credentials, inside Basic after decoding, in cookies and in
// the query, percent-encoded or not. The order is stable. A request without such a slot
// costs one pass over its header names and no allocation.
func (f *Finder) Find(req *http.Request) []Found {
	if f == nil || len(f.known) == 0 {
		return nil
	}
	var found []Found
	for key, lines := range req.Header {
		for i, line := range lines {
			// The length is asked first: most headers are shorter than any placeholder.
			if len(line) >= f.minLen && credentialHeader(key) {
				found = f.findLine(found, key, i, line)
			}
		}
	}
	if len(found) > 1 {
		slices.SortStableFunc(found, func(a, b Found) int {
			return cmp.Or(cmp.Compare(a.slot.key, b.slot.key), cmp.Compare(a.slot.line, b.slot.line))
		})
	}
	if req.URL != nil && len(req.URL.RawQuery) >= f.minLen {
		found = f.findQuery(found, req.URL.RawQuery)
	}
	return found
}

func (f *Finder) findLine(found []Found, key string, line int, value string) []Found {
	if sameSlot(key, "Cookie") {
		return f.findPieces(found, slot{inCookie, key, line}, value, ";", "cookie ")
	}
	if pair, ok := parseBasic(value); ok {
		before := len(found)
		found = f.findCopies(found, slot{inBasic, key, line}, pair.text, " (Basic)")
		if len(found) > before {
			return found
		}
		// A placeholder that was not encoded may be valid base64 by chance.
	}
	return f.findCopies(found, slot{inHeader, key, line}, value, "")
}

// findCopies looks at text that is not percent-encoded.
func (f *Finder) findCopies(found []Found, at slot, text, note string) []Found {
	for _, k := range f.known {
		for n := strings.Count(text, k.placeholder); n > 0; n-- {
			found = append(found, Found{Placeholder: k.placeholder, Service: k.service, Where: "header " + slotName(at.key) + note, slot: at})
		}
	}
	return found
}

func (f *Finder) findQuery(found []Found, raw string) []Found {
	return f.findPieces(found, slot{kind: inQuery}, raw, "&", "query ")
}

// findPieces looks at `name=value` pieces. A placeholder may stand in a name too.
func (f *Finder) findPieces(found []Found, at slot, raw, separator, prefix string) []Found {
	for more := true; more; {
		var piece string
		piece, raw, more = strings.Cut(raw, separator)
		if len(piece) < f.minLen {
			continue
		}
		for _, k := range f.known {
			for n := countEncoded(piece, k.placeholder); n > 0; n-- {
				found = append(found, Found{Placeholder: k.placeholder, Service: k.service, Where: prefix + f.pieceName(piece), slot: at})
			}
		}
	}
	return found
}

// pieceName is the name of a piece, or nothing where the placeholder is in the name.
func (f *Finder) pieceName(piece string) string {
	name, _, ok := strings.Cut(piece, "=")
	if _, hit := f.FindString(name); hit || !ok {
		return "(name)"
	}
	return slotName(strings.Trim(name, " \t"))
}

func countEncoded(raw, old string) int {
	if strings.IndexByte(raw, '%') < 0 {
		return strings.Count(raw, old)
	}
	_, n := replaceEncoded(raw, old, "", true, -1)
	return n
}

// FindString says whether any placeholder stands in s, raw or percent-encoded, and
// whose it is. It is for paths, bodies and the headers that Find does not read.
func (f *Finder) FindString(s string) (service string, ok bool) {
	if f == nil || len(s) < f.minLen {
		return "", false
	}
	encoded := strings.IndexByte(s, '%') >= 0
	for _, k := range f.known {
		if strings.Contains(s, k.placeholder) || encoded && countEncoded(s, k.placeholder) > 0 {
			return k.service, true
		}
	}
	return "", false
}

// Replace puts secret where the copy stands and keeps the scheme and everything around
// it, encoded as the slot asks: percent-encoded in a query, base64 again in Basic. One
// Replace replaces one copy; two Founds of the same slot need one each. It is an error
// when the copy is no longer there.
func (x Found) Replace(req *http.Request, secret keyring.Secret) error {
	v := secret.Reveal()
	switch x.slot.kind {
	case inPath:
		return x.replacePath(req, v)
	case inBody:
		return x.replaceBody(req, v)
	case inQuery:
		if err := checkText(x.Where, v); err != nil {
			return err
		}
		raw, n := replaceEncoded(req.URL.RawQuery, x.Placeholder, escapeParam(v), true, 1)
		if n == 0 {
			return x.gone()
		}
		req.URL.RawQuery = raw
		return nil
	}
	lines := req.Header[x.slot.key]
	if x.slot.line >= len(lines) {
		return x.gone()
	}
	line, err := x.replaceLine(lines[x.slot.line], v)
	if err != nil {
		return err
	}
	// The slice may be shared with the request that the child sent.
	lines = slices.Clone(lines)
	lines[x.slot.line] = line
	req.Header[x.slot.key] = lines
	return nil
}

func (x Found) replaceLine(line, v string) (string, error) {
	switch x.slot.kind {
	case inBasic:
		return x.replaceBasic(line, v)
	case inCookie:
		if err := checkCookieValue(x.Where, v); err != nil {
			return "", err
		}
		if strings.Contains(line, x.Placeholder) {
			return strings.Replace(line, x.Placeholder, v, 1), nil
		}
		out, n := replaceEncoded(line, x.Placeholder, escapeParam(v), true, 1)
		if n == 0 {
			return "", x.gone()
		}
		return out, nil
	}
	if err := checkHeaderValue(x.Where, v); err != nil {
		return "", err
	}
	if !strings.Contains(line, x.Placeholder) {
		return "", x.gone()
	}
	return strings.Replace(line, x.Placeholder, v, 1), nil
}

func (x Found) replaceBasic(line, v string) (string, error) {
	if err := checkText(x.Where, v); err != nil {
		return "", err
	}
	pair, ok := parseBasic(line)
	if !ok || !strings.Contains(pair.text, x.Placeholder) {
		return "", x.gone()
	}
	user, _, _ := strings.Cut(pair.text, ":")
	if strings.Contains(user, x.Placeholder) {
		if err := checkUser(x.Where, v); err != nil {
			return "", err
		}
	}
	return pair.with(strings.Replace(pair.text, x.Placeholder, v, 1)), nil
}

func (x Found) gone() error {
	return &problem{x.Where + ": the placeholder is no longer there", ""}
}
