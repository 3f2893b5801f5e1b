package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Service is what rules know of a service. One service of the configuration may be
// several of these, one an endpoint: they share the Name and differ in Endpoint.
type Service struct {
	Name     string
	Endpoint int // the caller's number, returned in Match
	Hosts    []Host
	Allow    []Op // empty allows everything
	Deny     []Op // wins over Allow; compared without regard to ASCII case
	Ask      []Op // of what Allow lets through; compared like Deny
}

// Set is a compiled list of services.
type Set struct {
	exact map[string][]target // by host, most specific first
	wild  map[string][]target // by what follows the first label
}

// target is one host pattern of one service.
type target struct {
	host Host
	path *pattern
	svc  *service
}

type service struct {
	name            string
	endpoint        int
	allow, deny     []op
	ask             []op
	methods         []string // that allow names; nil where one of its rules names none
	notAllowed      string   // reasons, made once: Match runs for every request
	methodsNotAllow string
	operations      bool // a rule names one
}

type op struct {
	method    string // "" is any
	path      *pattern
	operation *operation // nil is any, and none
	text      string
	reason    string // for a deny or an ask rule
}

// TieError is two services that are equally specific for one place.
type TieError struct {
	A, B string // the names; equal when two endpoints of one service tie
	What string // the place, a host pattern
}

func (e *TieError) Error() string {
	return fmt.Sprintf("services %q and %q both cover %s, and neither is more specific", e.A, e.B, e.What)
}

// Hint says how to break the tie.
func (e *TieError) Hint() string {
	return "give one of them a path, a port or an exact host"
}

// New compiles services. It ends with a *TieError where two of them tie, and with the
// error of a pattern that does not parse.
func New(services []Service) (*Set, error) {
	s := &Set{exact: map[string][]target{}, wild: map[string][]target{}}
	for _, in := range services {
		svc, err := compile(in)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", in.Name, err)
		}
		for _, h := range in.Hosts {
			path := h.Path
			if path == "" {
				path = "/**"
			}
			p, err := parsePattern(path)
			if err != nil {
				return nil, fmt.Errorf("service %q: host %q: %w", in.Name, h, err)
			}
			m := s.exact
			if h.Wildcard {
				m = s.wild
			}
			t := target{h, p, svc}
			if err := tie(m[h.Name], t); err != nil {
				return nil, err
			}
			m[h.Name] = append(m[h.Name], t)
		}
	}
	for _, m := range []map[string][]target{s.exact, s.wild} {
		for _, targets := range m {
			slices.SortStableFunc(targets, compare)
		}
	}
	return s, nil
}

// compare orders the targets of one host, most specific first.
func compare(a, b target) int {
	return cmp.Or(
		cmp.Compare(portRank(b.host.Port), portRank(a.host.Port)),
		cmp.Compare(b.path.literal, a.path.literal),
		cmp.Compare(a.path.doubles, b.path.doubles),
		cmp.Compare(len(b.path.segs), len(a.path.segs)),
	)
}

func portRank(port int) int {
	switch port {
	case AnyPort:
		return 0
	case 0:
		return 1
	}
	return 2
}

func tie(others []target, t target) error {
	for _, o := range others {
		if o.svc == t.svc || o.host.Port != t.host.Port || compare(o, t) != 0 || !o.path.overlaps(t.path) {
			continue
		}
		return &TieError{o.svc.name, t.svc.name, t.host.String()}
	}
	return nil
}

func compile(in Service) (*service, error) {
	svc := &service{name: in.Name, endpoint: in.Endpoint, notAllowed: "not in allow of " + in.Name}
	anyMethod := false
	for _, o := range in.Allow {
		c, err := compileOp(o)
		if err != nil {
			return nil, err
		}
		svc.allow = append(svc.allow, c)
		anyMethod = anyMethod || o.anyMethod()
		if !slices.Contains(svc.methods, c.method) {
			svc.methods = append(svc.methods, c.method)
		}
	}
	if anyMethod {
		svc.methods = nil
	}
	svc.methodsNotAllow = fmt.Sprintf("rule %s allows %s only", in.Name, strings.Join(svc.methods, ", "))
	svc.operations = slices.ContainsFunc(slices.Concat(in.Allow, in.Deny, in.Ask), func(o Op) bool { return o.Operation != "" })
	for _, o := range in.Deny {
		c, err := compileOp(o)
		if err != nil {
			return nil, err
		}
		c.reason = fmt.Sprintf("rule %s denies %s", in.Name, c.text)
		svc.deny = append(svc.deny, c)
	}
	for _, o := range in.Ask {
		c, err := compileOp(o)
		if err != nil {
			return nil, err
		}
		c.reason = fmt.Sprintf("rule %s asks for %s", in.Name, c.text)
		svc.ask = append(svc.ask, c)
	}
	return svc, nil
}

func compileOp(o Op) (op, error) {
	p, err := parsePattern(o.Path)
	if err != nil {
		return op{}, fmt.Errorf("rule %q: %w", o, err)
	}
	asked, err := parseOperation(o.Operation)
	if err != nil {
		return op{}, fmt.Errorf("rule %q: %w", o, err)
	}
	c := op{path: p, operation: asked, text: o.String()}
	if !o.anyMethod() {
		c.method = o.Method
	}
	return c, nil
}

// Covers reports whether some service names this host and port, on whichever path.
func (s *Set) Covers(host string, port int) bool {
	name, err := CanonicalHost(host)
	if err != nil {
		return false
	}
	exact, wild := s.targets(name)
	return covers(exact, port) || covers(wild, port)
}

func covers(targets []target, port int) bool {
	for i := range targets {
		if targets[i].host.matchPort(port) {
			return true
		}
	}
	return false
}

// targets wants a canonical name.
func (s *Set) targets(name string) (exact, wild []target) {
	exact = s.exact[name]
	if len(s.wild) > 0 {
		if i := strings.IndexByte(name, '.'); i > 0 {
			wild = s.wild[name[i+1:]]
		}
	}
	return exact, wild
}
