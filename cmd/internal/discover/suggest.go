package discover

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"agentvault/proxy/rule"
)

// Entry is what the catalogue knows of the service that a host belongs to.
type Entry struct {
	Name  string
	Hosts []string // as a binding has them
	// OwnHost says that `use` alone does not tell the hosts: every account has some of its
	// own, so the service names them.
	OwnHost bool
	// OneAccount says that the hosts that were seen are one account's, as those of a cloud
	// are; otherwise each of them is another's.
	OneAccount bool
	// Auth is the TOML value that the service has to say beside use, "" for none, and Note
	// what of it the human has to put right.
	Auth, Note string
	// More are further secrets that Auth names.
	More []string
	// Unseen says that the credential stands in the body, where no log sees it.
	Unseen bool
}

// Knowledge is what a suggestion takes into account beside the endpoints. The zero
// Knowledge knows nothing.
type Knowledge struct {
	// Entry looks a host and port up in the catalogue.
	Entry func(host string, port int) (Entry, bool)
	// Now asks the configuration as it is: whether it covers the endpoint by now, and
	// otherwise which service covers its place and lacks the rule. nil goes by what the
	// events say.
	Now func(e *Endpoint) (service string, covered bool)
	// Names are the services that there are, whose names are taken.
	Names []string
}

func (k Knowledge) entry(host string, port int) Entry {
	if k.Entry != nil {
		if e, ok := k.Entry(host, port); ok {
			return e
		}
	}
	return Entry{}
}

// coveredNow reports whether an endpoint that was not covered is so by now.
func (k Knowledge) coveredNow(e *Endpoint) bool {
	if k.Now == nil || e.Covered {
		return false
	}
	_, covered := k.Now(e)
	return covered
}

// Suggestion is a service that would cover endpoints which none covers.
type Suggestion struct {
	Name string // of the service; unique among the suggestions and the services in use
	// Extend says that a service of that name covers the host already and only lacks
	// the rules in Allow.
	Extend bool
	Use    string   // the catalogue's name; then auth comes from there, and the hosts unless OwnHost
	Entry  Entry    // of the catalogue, with Use
	Hosts  []string // as the configuration writes them, with the port where it is not 443
	Host   string   // the first host, bare
	Port   int      // of Host
	// Auth is the kind of credential that was seen, as in Event.Auth, or "none". A service
	// without a credential is suggested so that its host is listed and allowed.
	Auth     string
	Signed   string   // the scheme with which the agent signs each request itself; Auth is then "none"
	Secret   string   // the ref to store the credential under; empty for none
	Insecure bool     // plain HTTP on loopback with a credential
	NoEnv    bool     // the entry's variables belong to another service already
	Env      []string // variables in which the child held the credential; empty is the entry's
	User     string   // of basic auth, where it is known
	Allow    []string // as narrow as what was seen, sorted
	// Operations says of a rule that allows every operation which were seen there: not of
	// each of them could be told which it is.
	Operations map[string][]string
}

// NeedsSecret reports whether a secret must be stored before the service works.
func (s *Suggestion) NeedsSecret() bool { return s.Secret != "" && !s.Extend }

// Suggest gives the services that would cover the endpoints which are not, one for each
// host or entry of the catalogue, in the order of the hosts. What no service can cover
// (tunnels, direct connections, a path that is always refused) is left out.
func Suggest(endpoints []Endpoint, k Knowledge) []Suggestion {
	s := suggesting{k: k, names: make(map[string]bool), services: make(map[string]string), by: make(map[string]*suggested), uses: make(map[string]bool)}
	for _, name := range k.Names {
		s.names[name] = true
	}
	for i := range endpoints {
		e := &endpoints[i]
		if e.Service != "" {
			s.names[e.Service] = true
			if _, ok := s.services[e.HostPort()]; !ok || e.Covered {
				s.services[e.HostPort()] = e.Service
			}
		}
	}
	for i := range endpoints {
		if e := &endpoints[i]; e.Kind == Call && !e.Covered && len(e.Allow) > 0 {
			s.add(e)
		}
	}
	return s.finish()
}

type suggesting struct {
	k        Knowledge
	names    map[string]bool   // taken
	uses     map[string]bool   // entries that a suggestion has the variables of
	services map[string]string // host and port: the service that covers a part of it
	by       map[string]*suggested
	order    []*suggested
}

// suggested is a Suggestion that still grows.
type suggested struct {
	Suggestion
	scheme  string
	auth    map[string]int
	refused bool
	allow   map[string]bool
}

func (s *suggesting) add(e *Endpoint) {
	place := placeOf(e)
	if place == "" {
		return
	}
	service := cmp.Or(e.Service, s.services[e.HostPort()])
	if s.k.Now != nil {
		var covered bool
		if service, covered = s.k.Now(e); covered {
			return
		}
	}
	var entry Entry
	if e.Scheme != "http" && e.Scheme != "ws" {
		entry = s.k.entry(e.Host, e.Port)
	}
	key := place
	switch {
	case service != "":
		key = "service " + service
	case entry.Name != "" && (!entry.OwnHost || entry.OneAccount):
		key = "use " + entry.Name
	}
	p := s.by[key]
	if p == nil {
		p = &suggested{Suggestion: Suggestion{Name: service, Extend: service != "", Use: entry.Name, Entry: entry, Host: e.Host, Port: e.Port},
			scheme: e.Scheme, auth: make(map[string]int), allow: make(map[string]bool)}
		s.by[key] = p
		s.order = append(s.order, p)
	}
	if !slices.Contains(p.Hosts, place) {
		p.Hosts = append(p.Hosts, place)
	}
	for _, kind := range e.Auth {
		p.auth[kind] += e.Calls
	}
	p.refused = p.refused || e.Grade == Refused
	for _, op := range e.Allow {
		p.allow[op] = true
	}
	if e.Operation != "" {
		if p.Operations == nil {
			p.Operations = make(map[string][]string)
		}
		for _, op := range e.Allow {
			place := strings.Join(strings.SplitN(op, " ", 3)[:2], " ")
			p.Operations[place] = append(p.Operations[place], e.Operation)
		}
	}
}

// PlaceOf is a host and port as the configuration writes it.
func PlaceOf(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != 0 && port != rule.DefaultPort {
		host += ":" + strconv.Itoa(port)
	}
	return host
}

// placeOf is the place of an endpoint, empty if the configuration cannot have it.
func placeOf(e *Endpoint) string {
	place := PlaceOf(e.Host, e.Port)
	if _, err := rule.ParseHost(place); err != nil {
		return ""
	}
	return place
}

func (s *suggesting) finish() []Suggestion {
	var all []Suggestion
	for _, p := range s.order {
		for op := range p.allow {
			method, rest, _ := strings.Cut(op, " ")
			if path, _, narrow := strings.Cut(rest, " "); narrow && p.allow[method+" "+path] {
				delete(p.allow, op) // the place as a whole is allowed
			}
		}
		p.Allow = slices.Sorted(maps.Keys(p.allow))
		p.Auth = p.strongest()
		if p.Extend {
			p.Use, p.Entry = "", Entry{}
		} else {
			s.complete(p)
		}
		all = append(all, p.Suggestion)
	}
	return all
}

// complete fills in what a new service needs.
func (s *suggesting) complete(p *suggested) {
	// A known host that nobody showed a credential to, and that answered all the same, is
	// public here: its service would ask for a secret that nobody has.
	if p.Auth == "" && (p.refused || p.Entry.Unseen) && p.Use != "" {
		p.Auth = "unknown"
	}
	if p.Use == "" && signed(p.Auth) {
		p.Signed, p.Auth = p.Auth, "none"
	}
	name := p.Use
	if p.Auth == "" || p.Auth == "none" {
		p.Auth, p.Use, p.Entry = "none", "", Entry{}
	}
	if name == "" {
		name = nameOf(p.Host, p.Port)
	}
	p.Name = s.unique(name)
	if p.Auth != "none" {
		p.Secret = "keychain:" + p.Name
		if p.scheme == "http" || p.scheme == "ws" {
			p.plain()
		}
	}
	if p.Use != "" {
		p.NoEnv = s.uses[p.Use]
		s.uses[p.Use] = true
	}
}

// plain says what becomes of a credential over plain HTTP: the proxy adds it on loopback
// only, and there only when it is told to.
func (p *suggested) plain() {
	if rule.IsLoopback(p.Host) {
		p.Insecure = true
		return
	}
	p.Auth, p.Use, p.Secret = "none", "", ""
}

// strongest gives the kind of credential that most calls carried. A cookie is what is
// left when there is nothing else: clients send them beside the key.
func (p *suggested) strongest() string {
	kinds := slices.Sorted(maps.Keys(p.auth))
	slices.SortStableFunc(kinds, func(a, b string) int {
		ca, cb := strings.HasPrefix(a, "cookie"), strings.HasPrefix(b, "cookie")
		switch {
		case ca != cb && ca:
			return 1
		case ca != cb:
			return -1
		}
		return cmp.Compare(p.auth[b], p.auth[a])
	})
	if len(kinds) == 0 {
		return ""
	}
	return kinds[0]
}

func (s *suggesting) unique(name string) string {
	for n := 2; ; n++ {
		try := name
		if n > 2 {
			try = fmt.Sprintf("%s-%d", name, n-1)
		}
		if !s.names[try] {
			s.names[try] = true
			return try
		}
	}
}

// nameMost leaves room for a number behind it: a file takes names of at most 64 bytes.
const nameMost = 48

// nameOf makes a service's name of a host: api.linear.app is linear, telemetry.example.com
// is telemetry-example, 10.0.0.5:8443 is host-10-0-0-5-8443. Of a long one the end stays.
func nameOf(host string, port int) string {
	labels := strings.Split(host, ".")
	if _, err := netip.ParseAddr(host); err == nil {
		labels = append([]string{"host"}, strings.FieldsFunc(host, func(r rune) bool { return r == '.' || r == ':' || r == '%' })...)
	} else if len(labels) > 1 {
		labels = labels[:len(labels)-1]
		for len(labels) > 1 && (labels[0] == "api" || labels[0] == "www") {
			labels = labels[1:]
		}
	}
	if port != 0 && port != rule.DefaultPort && port != 80 {
		labels = append(labels, strconv.Itoa(port))
	}
	for len(labels) > 1 && len(strings.Join(labels, "-")) > nameMost {
		labels = labels[1:]
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '-'
	}, strings.ToLower(strings.Join(labels, "-")))
	if name = strings.Trim(name[:min(len(name), nameMost)], "-"); name == "" {
		return "service"
	}
	if name[0] >= '0' && name[0] <= '9' {
		return "host-" + name
	}
	return name
}
