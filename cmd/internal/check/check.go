// Package check says what a configuration means beyond what loading refuses: rules that
// can never match, services that are never reached, secrets that may go further than
// they need. It starts nothing, sends nothing, and never sees a secret's value.
//
// Codes of findings are stable: scripts may name them. Texts are for people and change.
package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// Severity orders findings.
type Severity string

// The severities. Only Error means that the configuration cannot be used.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info" // worth knowing, and often as it should be
)

// The codes.
const (
	Invalid          = "invalid"           // loading refuses it
	NeverMatches     = "never-matches"     // a rule that no call of its service can match
	ShadowedRule     = "shadowed-rule"     // an allow or ask rule of which deny takes all
	UntoldOperation  = "untold-operation"  // a rule names an operation where none can be told
	ShadowedService  = "shadowed-service"  // another service takes every call to a host
	Tunnelled        = "tunnelled"         // the host is in tunnel, so no credential is put in
	Bypassed         = "bypassed"          // the host is in no_proxy, so its calls are not seen
	BoundWider       = "bound-wider"       // a secret's binding has hosts that no service uses it for
	NotBound         = "not-bound"         // a service's host is not in its secret's binding
	NotStored        = "not-stored"        // no such secret in the store of this machine
	NoBinding        = "no-binding"        // a ref whose backend keeps no binding, and no [binding]
	PublicSuffix     = "public-suffix"     // a wildcard below which anybody can have a name
	UnmatchedAllow   = "unmatched-allow"   // unmatched = "allow" beside secrets
	PlainHTTP        = "plain-http"        // something goes, or would have to go, without TLS
	PlaceholderShape = "placeholder-shape" // the provider's own clients may refuse the placeholder
	Widens           = "widens"            // a project's file opens more than the user's own
	WideSearch       = "wide-search"       // the placeholder is replaced where the API keeps content
	KnownService     = "known-service"     // the catalogue knows the host of a service written by hand
	CatalogueChanged = "catalogue-changed" // an entry is not what it was when the file was approved
	AskKeys          = "ask-keys"          // the agent can press the keys that answer a question here
)

// Finding is one thing to tell.
type Finding struct {
	Pos      config.Pos // File "" where it belongs to none
	Severity Severity
	Code     string
	Text     string // one line
	Hint     string // what to do; "" where nothing is known
}

// Binding is what a store knows of one of its secrets without opening it.
type Binding struct {
	Stored bool
	Hosts  []string // patterns, see rule.ParseHost
}

// Options is what is looked at.
type Options struct {
	File     *config.File
	Compiled *config.Compiled // of File
	// Bindings looks a stored ref up (keychain:, file:). It reports false where the store
	// could not be read without asking the human. nil is a machine without stores.
	Bindings func(keyring.Ref) (Binding, bool)
	// Row tells what an entry of the catalogue was when a file was approved, see
	// config.Trust.Row; nil knows of none.
	Row func(path, use string) ([]string, bool)
	// Keys says who around this terminal presses keys for the agent too, and KeysHint what to
	// do about it; "" where nobody is known to.
	Keys, KeysHint string
}

// checker collects.
type checker struct {
	Options
	found []Finding
}

// Run returns the findings, file by file in the order in which they were read, then by place.
func Run(o Options) []Finding {
	if o.Bindings == nil {
		o.Bindings = func(keyring.Ref) (Binding, bool) { return Binding{}, false }
	}
	c := &checker{Options: o}
	c.widened()
	c.unmatched()
	c.askKeys()
	c.suffixes()
	c.plainHTTP()
	c.bindings()
	for i := range o.Compiled.Services {
		compiled := &o.Compiled.Services[i]
		s := o.File.Service(compiled.Name)
		c.rules(s, compiled)
		c.reached(s, compiled)
		c.shape(s)
		c.wide(s, compiled)
		c.known(s, compiled)
		c.changed(s)
	}
	c.sort()
	return c.found
}

// LoadError turns the error of config.Load into findings.
func LoadError(err error) []Finding {
	var problems config.Problems
	if !errors.As(err, &problems) {
		f := Finding{Severity: Error, Code: Invalid, Text: err.Error()}
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			f.Hint = h.Hint()
		}
		return []Finding{f}
	}
	out := make([]Finding, len(problems))
	for i, p := range problems {
		out[i] = Finding{p.Pos, Error, Invalid, p.Text, p.Hint()}
	}
	return out
}

func (c *checker) add(pos config.Pos, severity Severity, code, hint, format string, args ...any) {
	c.found = append(c.found, Finding{pos, severity, code, fmt.Sprintf(format, args...), hint})
}

// sort puts the findings in order, each once: a host may stand in several endpoints.
func (c *checker) sort() {
	rank := map[string]int{}
	for i, src := range c.File.Sources {
		rank[src.Name] = i
	}
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Pos.File], rank[b.Pos.File]), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	c.found = slices.Compact(c.found)
}

// Count returns how many findings there are of each severity.
func Count(findings []Finding) map[Severity]int {
	n := map[Severity]int{}
	for _, f := range findings {
		n[f.Severity]++
	}
	return n
}

// hosts pairs the hosts of a service with where they stand in its file.
func hosts(s *config.Service, compiled *config.CompiledService) (out []placed) {
	for _, e := range compiled.Endpoints {
		for _, h := range e.Rule.Hosts {
			at := s.At("host", "use")
			// A path of the catalogue's may stand behind the file's host.
			if i := slices.IndexFunc(s.Hosts, func(own rule.Host) bool { own.Path = h.Path; return own == h }); i >= 0 {
				at = s.At(fmt.Sprintf("host[%d]", i), "host")
			}
			out = append(out, placed{h, at})
		}
	}
	return out
}

type placed struct {
	rule.Host
	pos config.Pos
}
