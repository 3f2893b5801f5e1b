package prove

import (
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/rule"
)

// AllowIdentity returns a copy of c in which services may send the catalogue's request that
// asks who one is, also where their allow list does not name it: a list as narrow as what
// an agent needs seldom does. What deny names stays denied, and a test that the file itself
// has gets no such leave.
func AllowIdentity(c *config.Compiled) (*config.Compiled, error) {
	out := *c
	out.Services = slices.Clone(c.Services)
	var all []rule.Service
	for i := range out.Services {
		s := &out.Services[i]
		s.Endpoints = slices.Clone(s.Endpoints)
		for j := range s.Endpoints {
			r := &s.Endpoints[j].Rule
			for _, t := range s.Tests {
				if t.Pos != s.Pos || len(r.Allow) == 0 { // the catalogue's stands where the service does
					continue
				}
				if op, ok := opOf(t); ok {
					r.Allow = append(slices.Clone(r.Allow), op)
				}
			}
			all = append(all, *r)
		}
	}
	var err error
	out.Rules, err = rule.New(all)
	return &out, err
}

// opOf is the rule that names a test's request.
func opOf(t config.Test) (rule.Op, bool) {
	path, _, _ := strings.Cut(t.Path, "?")
	op, err := rule.ParseOp(t.Method + " " + path)
	return op, err == nil
}
