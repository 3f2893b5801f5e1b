package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// Compiled is a File as the proxy uses it.
type Compiled struct {
	Rules     *rule.Set
	Services  []CompiledService // by name
	Unmatched string
	Tunnel    []rule.Host
	NoProxy   []string
	PassEnv   []string
	Refs      []keyring.Ref // all that the services need, each once: secrets and Endpoint.Refs
	Backends
	Bindings []Binding
	Keeping  Keeping
}

// CompiledService is one service: one secret, one placeholder, one or more endpoints.
type CompiledService struct {
	Name      string
	Secret    keyring.Ref // zero for auth "none"
	Endpoints []Endpoint  // rule.Match.Endpoint is the index
	Ask       []rule.Op
	Insecure  bool
	Copies    bool
	Env       []string // where the child gets the placeholder
	Shape     string   // of the placeholder, see inject.NewPlaceholder; "" is the default
	Tests     []Test   // the file's, or the catalogue's identity request
	Upstream  string
	Refusals  []Refusal // the catalogue's
	// Exchange makes what exchanges Secret for a short-lived token, which Inject of the
	// endpoints then sends in its stead; nil where Secret itself is sent. It is called
	// once a service, not once an endpoint, and what it returns goes into one
	// inject.Cache: a refresh token is often good for a single use. Of an *inject.OAuth2
	// the caller may set Rotated before the first Token.
	Exchange func(client inject.Doer) inject.Source
	// TokenHost is where the exchange sends Secret itself (oauth2). The binding of Secret
	// must allow it as much as the endpoints' hosts, before Token is called: a file could
	// name any issuer. Its Name is "" for the others, which send only what they signed.
	TokenHost rule.Host
	Source    string // path of the file that it came from
	Pos       Pos

	known string // the provider by the catalogue's name, if the hosts are its own
}

// Endpoint is one place of a service and how the credential is sent there: GitHub's API
// takes a bearer token, its git hosts the same token as a password.
type Endpoint struct {
	Rule   rule.Service
	Auth   string          // the type, for people
	Inject inject.Injector // inject.Path with an empty Placeholder means the session's
	Always bool            // also where the child presents nothing
	Search inject.Search   // where else the placeholder is looked for
	// BasicUser names the user of basic auth where that is a secret too; the caller
	// resolves it into inject.Basic.User.
	BasicUser keyring.Ref
	// AccessKeyID and SessionToken are set where Inject is an inject.SigV4; the caller
	// resolves them into its fields. SessionToken is zero where there is none.
	AccessKeyID, SessionToken keyring.Ref
	// ClientCert says that the secret is a certificate and its key, which the connection
	// to the service presents (inject.ClientCertificate). Inject is then inject.None.
	ClientCert bool
}

// Refs are those that Inject needs beside the service's secret.
func (e Endpoint) Refs() []keyring.Ref {
	var out []keyring.Ref
	for _, r := range []keyring.Ref{e.BasicUser, e.AccessKeyID, e.SessionToken} {
		if !r.IsZero() {
			out = append(out, r)
		}
	}
	return out
}

// Hosts are those of all endpoints.
func (s CompiledService) Hosts() []rule.Host {
	var out []rule.Host
	for _, e := range s.Endpoints {
		out = append(out, e.Rule.Hosts...)
	}
	return out
}

// Compile turns f into rules and injectors. Two services that tie, or that want the
// same environment variable, are Problems.
func (f *File) Compile() (*Compiled, error) {
	c := &Compiled{Unmatched: f.Unmatched, Tunnel: f.Tunnel, NoProxy: f.NoProxy, PassEnv: f.PassEnv,
		Backends: f.Backends, Bindings: f.Bindings, Keeping: f.Keeping}
	var found problems
	for i := range f.Services {
		s := &f.Services[i]
		cs, err := s.compile()
		if err != nil {
			found.add(s.Pos, hintOf(err), "service %q: %s", s.Name, err)
			continue
		}
		c.Services = append(c.Services, cs)
	}
	f.checkEnv(c.Services, &found)
	c.Rules = f.rules(c.Services, &found)
	if err := found.err(); err != nil {
		return nil, err
	}
	c.Refs = refs(c.Services)
	return c, nil
}

// rules adds the endpoints one by one, so that every tie is found and not only the first.
func (f *File) rules(services []CompiledService, found *problems) *rule.Set {
	var all []rule.Service
	for _, s := range services {
		for _, e := range s.Endpoints {
			all = append(all, e.Rule)
		}
	}
	set, err := rule.New(all)
	if err == nil {
		return set
	}
	var good []rule.Service
	for _, r := range all {
		if _, err = rule.New(append(good, r)); err == nil {
			good = append(good, r)
			continue
		}
		at := f.Service(r.Name)
		var tie *rule.TieError
		if !errors.As(err, &tie) {
			found.add(at.Pos, hintOf(err), "%s", err)
			continue
		}
		pos, other := at.At("host", "use"), f.Service(tie.A).At("host", "use")
		found.add(pos, tie.Hint(), "service %q: covers %s, as does service %q at %s, and neither is more specific", r.Name, tie.What, tie.A, other)
	}
	return nil
}

func (f *File) checkEnv(services []CompiledService, found *problems) {
	owner := map[string]string{}
	for _, s := range services {
		for _, name := range s.Env {
			if f.own != nil && f.own(name) {
				found.add(f.Service(s.Name).At("env", "use"), "name the variable in which the agent looks for its key",
					"service %q: env: %s is agentvault's own: it leads the agent to the proxy", s.Name, name)
			}
			other, taken := owner[name]
			if !taken {
				owner[name] = s.Name
				continue
			}
			at := f.Service(s.Name).At("env", "use")
			if other == s.Name {
				found.add(at, "", "service %q: env names %s twice", s.Name, name)
				continue
			}
			found.add(at, "give one of them an env of its own, or env = []", "service %q: the variable %s is that of service %q at %s already",
				s.Name, name, other, f.Service(other).At("env", "use"))
		}
	}
}

func refs(services []CompiledService) []keyring.Ref {
	var out []keyring.Ref
	add := func(r keyring.Ref) {
		if !r.IsZero() && !slices.ContainsFunc(out, func(o keyring.Ref) bool { return o.String() == r.String() }) {
			out = append(out, r)
		}
	}
	for _, s := range services {
		add(s.Secret)
		for _, e := range s.Endpoints {
			for _, r := range e.Refs() {
				add(r)
			}
		}
	}
	return out
}

func (s *Service) compile() (c CompiledService, err error) {
	c = CompiledService{Name: s.Name, Secret: s.Secret, Ask: s.Ask, Insecure: s.Insecure, Copies: s.Copies, Env: s.Env,
		Shape: s.Placeholder, Tests: s.Tests, Upstream: s.Upstream, Source: s.Source, Pos: s.Pos}
	if e, ok := Lookup(s.Use); ok {
		if s.Hosts == nil || !e.hasHosts() {
			c.known = e.Name
		}
		if c.Refusals, err = e.refusals(); err != nil {
			return c, err
		}
		if c.Env == nil {
			c.Env = e.Env
		}
		if c.Shape == "" {
			c.Shape = e.Shape
		}
		if c.Tests == nil && e.Identity != "" {
			t, err := e.identity()
			if err != nil {
				return c, err
			}
			// One that names the catalogue's host means nothing on a host of one's own.
			if t.Pos = s.Pos; t.Host == "" || s.Hosts == nil {
				c.Tests = []Test{t}
			}
		}
	}
	points, err := s.endpoints()
	if err != nil {
		return c, err
	}
	for i, p := range points {
		e := Endpoint{Rule: rule.Service{Name: s.Name, Endpoint: i, Hosts: p.hosts, Allow: s.Allow, Deny: s.Deny, Ask: s.Ask}, Always: p.always, Search: p.search}
		if err := p.auth.deliver(&e); err != nil {
			return c, err
		}
		if p.carrier != nil {
			if err := p.carrier.deliver(&e); err != nil {
				return c, err
			}
			e.Auth = p.auth.Type
		}
		if s.Inject != "" {
			e.Always = s.Inject == "always"
		}
		switch {
		case s.Search != nil:
			e.Search = s.Search
		case p.search == nil && !e.Always:
			e.Search = p.auth.slots()
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	return c, c.setExchange(points)
}

// setExchange: all endpoints of a service have the same one, or none.
func (s *CompiledService) setExchange(points []point) (err error) {
	for _, p := range points {
		if p.auth.exchanges() && s.Exchange == nil {
			s.Exchange = p.auth.exchange(s.Hosts())
		}
		if p.auth.Type == "oauth2" {
			s.TokenHost, err = p.auth.tokenHost()
		}
	}
	return err
}

// point is an endpoint before it is compiled.
type point struct {
	hosts []rule.Host
	auth  *Auth
	// carrier is how the token of an exchange is sent where that is not as a bearer.
	carrier *Auth
	always  bool
	search  inject.Search
}

// endpoints joins what the service says with what the catalogue knows. A host of one's
// own takes the place of the catalogue's host name, which every endpoint must share:
// self-hosted GitLab has API and git on one name.
func (s *Service) endpoints() ([]point, error) {
	if s.Use == "" {
		return []point{{hosts: s.Hosts, auth: s.Auth, always: true}}, nil
	}
	e, ok := Lookup(s.Use)
	if !ok {
		return nil, fmt.Errorf("use: the catalogue has no %s", word(s.Use))
	}
	if s.Hosts != nil && s.Auth != nil {
		return []point{{hosts: s.Hosts, auth: s.Auth, always: true}}, nil
	}
	if s.Hosts == nil && e.OwnHost != "" && !e.hasHosts() {
		return nil, &lack{fmt.Sprintf("use: every account of %s has a host of its own", e.Title),
			strings.TrimSuffix(fmt.Sprintf("write host = %q; %s", e.OwnHost, e.Note), "; ")}
	}
	var out []point
	for _, ep := range e.Endpoints {
		hosts, err := ep.rules()
		if err != nil {
			return nil, err
		}
		if s.Hosts != nil {
			if hosts, err = e.rehost(hosts, s.Hosts); err != nil {
				return nil, err
			}
		}
		p := point{hosts: hosts, auth: ep.Auth.auth(), always: ep.Inject == "always"}
		if p.search, err = ep.search(); err != nil {
			return nil, err
		}
		if s.Auth != nil {
			// git takes a token as a password, also one that was exchanged.
			if s.Auth.exchanges() && p.auth.Type == "basic" && ep.Auth.lacks() == "" {
				p.carrier = p.auth
			}
			p.auth = s.Auth
		} else if lacks := ep.Auth.lacks(); lacks != "" {
			return nil, &lack{fmt.Sprintf("use: %s wants %s beside the secret", e.Title, lacks),
				strings.TrimSuffix(fmt.Sprintf("write auth = %s; %s", ep.Auth.example().TOML(), e.Note), "; ")}
		}
		out = append(out, p)
	}
	return out, nil
}

// rehost puts the user's hosts in place of an endpoint's, keeping the endpoint's path
// where there are several endpoints to tell apart.
func (e Entry) rehost(hosts, own []rule.Host) ([]rule.Host, error) {
	if len(e.Endpoints) == 1 {
		return own, nil
	}
	if names := e.names(); len(names) > 1 {
		return nil, &lack{fmt.Sprintf("host: %s has several hosts (%s), which one name cannot replace", e.Title, strings.Join(names, ", ")),
			"leave host out, or say auth as well"}
	}
	paths := []string{""}
	if len(hosts) > 0 {
		paths = nil
		for _, h := range hosts {
			paths = append(paths, h.Path)
		}
	}
	var out []rule.Host
	for _, h := range own {
		if h.Path != "" {
			return nil, &lack{fmt.Sprintf("host: %s has a path for its API and one for the rest, so the host stands alone", e.Title), "use allow to say which paths"}
		}
		for _, path := range paths {
			h.Path = path
			out = append(out, h)
		}
	}
	return out, nil
}
