package prove

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/rule"
)

// AtStaging returns a copy of c in which the tests of a service go to another origin
// (`https://staging.example.test`), and the rules of the endpoints that they reach with
// them. Nothing else of the proxy's identity checks changes: the certificate is verified
// for the name of the staging host, and the secret's binding must allow that host.
//
// A service of which two endpoints are tested cannot have both at one host, where the
// proxy could not tell which way of sending the credential is meant: that is the error.
func AtStaging(c *config.Compiled, service, origin string) (*config.Compiled, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fmt.Errorf("upstream %q: not an origin such as https://staging.example.test", origin)
	}
	staging, err := rule.ParseHost(u.Host)
	if err != nil {
		return nil, fmt.Errorf("upstream %q: %w", origin, err)
	}
	out := *c
	out.Services = slices.Clone(c.Services)
	i := slices.IndexFunc(out.Services, func(s config.CompiledService) bool { return s.Name == service })
	if i < 0 {
		return nil, fmt.Errorf("upstream: no service %q", service)
	}
	s := &out.Services[i]
	if u.Scheme == "http" && !(s.Insecure && rule.IsLoopback(staging.Name)) {
		return nil, fmt.Errorf("upstream %q: a credential goes over https only", origin)
	}
	s.Endpoints, s.Tests = slices.Clone(s.Endpoints), slices.Clone(s.Tests)
	s.Insecure = u.Scheme == "http"
	move(c, c.Services[i], s, staging)
	for j := range s.Tests {
		s.Tests[j].Host = u.Host
	}
	var all []rule.Service
	for _, s := range out.Services {
		for _, e := range s.Endpoints {
			all = append(all, e.Rule)
		}
	}
	out.Rules, err = rule.New(all)
	var tie *rule.TieError
	if errors.As(err, &tie) && tie.A == tie.B {
		return nil, fmt.Errorf("upstream %q: service %q has several ways to send its secret, which one host cannot be told apart for", origin, service)
	}
	if err != nil {
		return nil, fmt.Errorf("upstream %q: %w", origin, err)
	}
	return &out, nil
}

// move gives the endpoints of s that the tests of the original reach another host. Their
// paths stay.
func move(c *config.Compiled, original config.CompiledService, s *config.CompiledService, staging rule.Host) {
	for _, t := range original.Tests {
		x := &trial{s: original, t: t}
		at, err := x.target()
		if err != nil {
			continue // said when it is run
		}
		m := c.Rules.Match(at.host, at.port, t.Method, at.url.EscapedPath())
		if m.Kind == rule.None || m.Service != s.Name {
			continue
		}
		e := &s.Endpoints[m.Endpoint]
		var hosts []rule.Host
		for _, h := range e.Rule.Hosts {
			moved := staging
			moved.Path = h.Path
			if !slices.Contains(hosts, moved) {
				hosts = append(hosts, moved)
			}
		}
		e.Rule.Hosts = hosts
	}
}
