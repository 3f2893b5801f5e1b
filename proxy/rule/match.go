package rule

import (
	"slices"
	"strings"
)

// Kind is what the rules say of a call.
type Kind int

// The kinds. Only Covered calls get a credential.
const (
	None       Kind = iota // no service covers it
	Covered                // a service covers and allows it
	NotAllowed             // a service covers it, its allow list does not
	Denied                 // a deny rule names it
	Ambiguous              // its path is illegitimate, or can be read in ways that the rules treat differently
)

// String is the kind in one word.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Covered:
		return "covered"
	case NotAllowed:
		return "not-allowed"
	case Denied:
		return "denied"
	case Ambiguous:
		return "ambiguous"
	}
	return "unknown"
}

// Match is a decision.
type Match struct {
	Kind     Kind
	Service  string // "" for None, and for Ambiguous where no single service is meant
	Endpoint int    // of the service
	Rule     string // the deny or allow rule that decided; "" where none did
	Reason   string // a sentence for people; "" for Covered without Ask
	Ask      bool   // Covered, once the human has said so
}

const (
	noHost = "no service for this host"
	noPort = "no service for this port of the host"
	noPath = "no service for this path of the host"
)

// Match decides a call of which nobody knows what it asks for beside its method and path.
func (s *Set) Match(host string, port int, method, escapedPath string) Match {
	return s.MatchAsked(host, port, method, escapedPath, Asked{})
}

// MatchAsked decides a call. The path is escaped, as it is sent, and without its query; the
// port is the effective one (443 where a URL names none). Methods and operations compare
// exactly, but in a denial and in what asks.
func (s *Set) MatchAsked(host string, port int, method, escapedPath string, asked Asked) Match {
	name, err := CanonicalHost(host)
	if err != nil {
		return Match{Reason: noHost}
	}
	exact, wild := s.targets(name)
	if len(exact) == 0 && len(wild) == 0 {
		return Match{Reason: noHost}
	}
	if !covers(exact, port) && !covers(wild, port) {
		return Match{Reason: noPort}
	}
	if plain(escapedPath) {
		return decide(exact, wild, port, method, escapedPath, asked)
	}
	paths, err := readings(escapedPath)
	if err != nil {
		return Match{Kind: Ambiguous, Service: only(exact, wild, port), Reason: err.Error()}
	}
	first := decide(exact, wild, port, method, paths[0], asked)
	for _, path := range paths[1:] {
		m := decide(exact, wild, port, method, path, asked)
		if m.Kind != first.Kind || m.Service != first.Service || m.Endpoint != first.Endpoint {
			return Match{Kind: Ambiguous, Service: only(exact, wild, port), Reason: ambiguity(paths[0], path)}
		}
		if m.Ask { // one reading that asks is enough: the human sees the path as it is
			first = m
		}
	}
	return first
}

// decide wants a path in the inner form.
func decide(exact, wild []target, port int, method, path string, asked Asked) Match {
	path = strings.TrimSuffix(path, "/")
	t := find(exact, port, path)
	if t == nil {
		t = find(wild, port, path)
	}
	if t == nil {
		return Match{Reason: noPath}
	}
	return t.svc.decide(method, path, asked)
}

func find(targets []target, port int, path string) *target {
	for i := range targets {
		t := &targets[i]
		if t.host.matchPort(port) && t.path.match(path, false) {
			return t
		}
	}
	return nil
}

func (svc *service) decide(method, path string, asked Asked) Match {
	m := Match{Service: svc.name, Endpoint: svc.endpoint}
	for i := range svc.deny {
		// Case takes no part in a denial: some routers (Express) ignore it in paths, some
		// frameworks (Django, Symfony, Werkzeug) in methods, and a rule that another spelling
		// gets around is none.
		if o := &svc.deny[i]; o.match(method, path, true) && o.meets(asked) {
			m.Kind, m.Rule, m.Reason = Denied, o.text, o.reasonFor(asked)
			return m
		}
	}
	if len(svc.allow) == 0 {
		return svc.asks(m, method, path, asked)
	}
	text, stopped, ok := svc.allows(method, path, asked)
	if ok {
		m.Rule = text
		return svc.asks(m, method, path, asked)
	}
	m.Kind, m.Reason = NotAllowed, svc.notAllowed
	switch {
	case stopped != "":
		m.Reason = stopped
	case len(svc.methods) > 0 && !slices.Contains(svc.methods, method):
		m.Reason = svc.methodsNotAllow
	}
	return m
}

// asks completes the match of a call that is allowed. Case takes no part, as in a denial.
func (svc *service) asks(m Match, method, path string, asked Asked) Match {
	m.Kind = Covered
	for i := range svc.ask {
		if o := &svc.ask[i]; o.match(method, path, true) && o.meets(asked) {
			m.Ask, m.Reason = true, o.reasonFor(asked)
			return m
		}
	}
	return m
}

// match is about the place alone: meets and allows look at the operation.
func (o *op) match(method, path string, fold bool) bool {
	named := o.method == "" || o.method == method || fold && strings.EqualFold(o.method, method)
	return named && o.path.match(path, fold)
}

// only returns the name of the service if the host has a single one.
func only(exact, wild []target, port int) string {
	name := ""
	for _, targets := range [][]target{exact, wild} {
		for i := range targets {
			if !targets[i].host.matchPort(port) {
				continue
			}
			if name != "" && name != targets[i].svc.name {
				return ""
			}
			name = targets[i].svc.name
		}
	}
	return name
}
