package scan

import (
	"regexp"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// Guesser tells from a variable's name, and from what its value looks like, which
// service of the catalogue it is for. It is immutable and safe for concurrent use.
type Guesser struct {
	env    map[string]string // variable -> service
	shapes []shape
}

type shape struct {
	entry config.Entry
	key   *regexp.Regexp
}

// NewGuesser takes the catalogue.
func NewGuesser(entries []config.Entry) *Guesser {
	g := &Guesser{env: map[string]string{}}
	for _, e := range entries {
		for _, name := range e.Env {
			g.env[name] = e.Name
		}
		for _, k := range e.Keys {
			if re, err := regexp.Compile(`\A(?:` + k + `)\z`); err == nil { // a test of the catalogue compiles every row
				g.shapes = append(g.shapes, shape{e, re})
			}
		}
	}
	return g
}

// Guess is what name and shape say.
type Guess struct {
	// Service is the one; "" where neither says, or where they disagree.
	Service string
	// Named is the service that the variable's name stands for; "" is none.
	Named string
	// Shaped are the services whose keys plainly look like the value. It is set where it
	// decides: Service is "" and one of them, and not Named, is meant.
	Shaped []string
	// Unlike says that the value does not look like any key of Service that the
	// catalogue knows. Providers add kinds of keys: it is worth a word and no more.
	Unlike bool
}

// Guess looks at one variable. What the value looks like wins over the name: a key of
// one provider under the name of another is a mistake of whoever wrote the file.
func (g *Guesser) Guess(name string, value keyring.Secret) Guess {
	var plain, any []string
	text := value.Reveal() // to be compared with patterns; it goes nowhere
	known := map[string]bool{}
	for _, s := range g.shapes {
		known[s.entry.Name] = true
		if !s.key.MatchString(text) {
			continue
		}
		any = append(any, s.entry.Name)
		if s.entry.IsPlainly(text) && !slices.Contains(plain, s.entry.Name) {
			plain = append(plain, s.entry.Name)
		}
	}
	named := g.env[name]
	switch {
	case named != "" && (slices.Contains(any, named) || len(plain) == 0):
		return Guess{Service: named, Named: named, Unlike: known[named] && !slices.Contains(any, named)}
	case named == "" && len(plain) == 1:
		return Guess{Service: plain[0]}
	}
	return Guess{Named: named, Shaped: plain}
}

// LooksSecret says of a variable that no service claims whether its name promises a
// credential, so that it is worth a word.
func LooksSecret(name string) bool {
	words := strings.FieldsFunc(strings.ToUpper(name), func(c rune) bool { return c == '_' || c == '-' || c == '.' })
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	return slices.Contains([]string{"TOKEN", "KEY", "APIKEY", "SECRET", "PASSWORD", "PASSWD", "PASS", "PAT", "PWD", "CREDENTIAL", "CREDENTIALS"}, last)
}
