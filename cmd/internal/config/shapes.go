package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// marked are texts by which keys of a service, or the public halves of its pairs, are known.
type marked struct {
	service string
	marks   []string // see Entry.Marks
	ids     []string // see Entry.IDs
}

// allMarks are those of the whole catalogue. A session needs them at its start, so only the few
// lines that name them are read, each a list of strings without an escape (a test compares them
// with the rows): decoding the whole catalogue takes 13 ms, decoding these lines 1 ms.
var allMarks = sync.OnceValue(func() []marked {
	var out []marked
	name := ""
	for line := range strings.Lines(servicesTOML) {
		if strings.HasPrefix(line, "[") {
			name = strings.Trim(line, "[]\r\n")
		} else if list, ok := strings.CutPrefix(line, "marks = "); ok {
			out = append(out, marked{service: name, marks: quoted(list)})
		} else if list, ok := strings.CutPrefix(line, "ids = "); ok {
			out = append(out, marked{service: name, ids: quoted(list)})
		}
	}
	return out
})

// quoted gives the strings of a list, each in quotes of either kind.
func quoted(list string) (all []string) {
	for {
		i := strings.IndexAny(list, `"'`)
		if i < 0 {
			return all
		}
		text, rest, _ := strings.Cut(list[i+1:], list[i:i+1])
		all, list = append(all, text), rest
	}
}

// claimed returns the services of which text plainly is a key, or an id.
func claimed(text string) (keys, ids []string) {
	for _, m := range allMarks() {
		if slices.ContainsFunc(m.ids, func(id string) bool {
			re, err := regexp.Compile(`\A(?:` + id + `)\z`) // a test compiles every row's
			return err == nil && re.MatchString(text)
		}) {
			ids = append(ids, m.service)
		}
	}
	return owners(text), ids
}

// owners are the services of which text plainly is a key.
func owners(text string) (names []string) {
	for _, m := range allMarks() {
		if !hasMark(m.marks, text) {
			continue
		}
		if e, ok := Lookup(m.service); ok && e.IsPlainly(text) {
			names = append(names, m.service)
		}
	}
	return names
}

// shared are texts with which keys of more than one provider begin: sk_test_ is what Stripe,
// Paystack and Clerk write in front. Such a key is plainly a key, and not whose.
var shared = []string{"sk-", "sk_", "rk_"}

// IsKey reports whether text plainly is a key of a provider, whichever it is: it has a mark of
// one (see Entry.IsPlainly), or begins as those of several do. Digits in some number are
// nobody's, and a name made of words (sk-service-payments-production) is no key, although the
// patterns of a few providers take it.
func IsKey(text string) bool {
	return (len(owners(text)) > 0 || hasMark(shared, text) && slices.ContainsFunc(Catalogue(), func(e Entry) bool {
		return hasMark(shared, e.Shape) && e.IsKey(text)
	})) && !madeOfWords(text)
}

// madeOfWords reports whether all that stands between dashes, underscores and dots is a word, a
// short number, or next to nothing. As many random characters as a key has are not.
func madeOfWords(text string) bool {
	const part = `(?:[A-Z]?[a-z]{1,20}[0-9]{0,2}|[A-Z]{2,20}[0-9]{0,2}|[0-9]{1,8}|[A-Za-z0-9]{1,3})`
	return regexp.MustCompile(`\A` + part + `(?:[-_.]` + part + `)*\z`).MatchString(text)
}

// ForeignError is a value that plainly is no key of the service that it would be sent to.
type ForeignError struct {
	Service string
	Of      []string // whose keys look like it
	ID      bool     // it is the public half of a pair
}

// Error implements error.
func (e *ForeignError) Error() string {
	if e.ID {
		return fmt.Sprintf("the value is the id of an access key of %s, and not a secret", strings.Join(e.Of, " or "))
	}
	return fmt.Sprintf("the value is plainly a key of %s, and not of %s", strings.Join(e.Of, " or "), e.Service)
}

// Inspect looks at a value before it is sent to a host of the service: it returns what the
// catalogue tells of the two ("live", "test"; empty for nothing), or a *ForeignError for a
// key that plainly is another provider's. What no provider claims passes, and so does
// everything that goes to a host that the catalogue does not know: a gateway takes
// whichever keys it likes. host may be empty for all hosts of the service.
func (s *CompiledService) Inspect(value keyring.Secret, host string) (label string, err error) {
	text := value.Reveal() // to be compared with patterns; it goes nowhere
	keys, ids := claimed(text)
	provider := s.provider(len(keys)+len(ids) > 0)
	if provider == "" && len(keys) == 1 {
		provider = keys[0] // behind a gateway
	}
	e, known := Lookup(provider)
	switch {
	case !known:
		return "", nil
	case len(ids) > 0:
		return "", &ForeignError{provider, ids, true}
	case len(keys) > 0 && !slices.Contains(keys, provider) && !e.IsKey(text):
		return "", &ForeignError{provider, keys, false}
	}
	if label = e.Label(text); label == "" {
		label = e.Environment(host)
	}
	return label, nil
}

// InspectFor looks at the shape of a value that is to be stored for these hosts.
func InspectFor(name string, hosts []string, value keyring.Secret) error {
	s := CompiledService{Name: name, Endpoints: []Endpoint{{}}}
	for _, text := range hosts {
		if h, err := rule.ParseHost(text); err == nil {
			s.Endpoints[0].Rule.Hosts = append(s.Endpoints[0].Rule.Hosts, h)
		}
	}
	_, err := s.Inspect(value, "")
	return err
}

// provider is the service of the catalogue whose hosts the credential goes to; "" where
// they are not the catalogue's. To look for them by their names takes the whole
// catalogue, which only a value that somebody claims is worth.
func (s *CompiledService) provider(search bool) string {
	if s.known != "" || !search {
		return s.known
	}
	for _, h := range s.Hosts() {
		port := h.Port
		if port == 0 {
			port = rule.DefaultPort
		}
		if e, ok := ForHost(h.Name, port); ok {
			return e.Name
		}
	}
	return ""
}
