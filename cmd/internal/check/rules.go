package check

import (
	"fmt"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// rules looks for rules that do nothing.
func (c *checker) rules(s *config.Service, compiled *config.CompiledService) {
	for _, list := range []struct {
		key string
		ops []rule.Op
	}{{"allow", s.Allow}, {"deny", s.Deny}, {"ask", s.Ask}} {
		for i, op := range list.ops {
			pos := s.At(fmt.Sprintf("%s[%d]", list.key, i), list.key)
			if outside := outsidePaths(op, compiled, list.key == "deny"); outside != "" {
				c.add(pos, Warning, NeverMatches, "rules hold the whole path, beginning with that of the host",
					"service %q: %s %q can never match: the service has only %s", s.Name, list.key, op, outside)
				continue
			}
			if untold(op, compiled) {
				effect := "is never in force"
				if list.key != "allow" {
					effect = "holds for every call of its method and path"
				}
				c.add(pos, Warning, UntoldOperation, "name the path that takes the operations, such as /graphql or /mcp; docs/discover.md says where they can be told",
					"service %q: %s %q names an operation where none can be told, so it %s", s.Name, list.key, op, effect)
			}
			if list.key != "deny" && deniedWhole(op, s.Deny) {
				c.add(pos, Warning, ShadowedRule, "deny wins over allow and ask; narrow it, or take this rule out",
					"service %q: %s %q has no effect: everything that it names is denied", s.Name, list.key, op)
			}
		}
	}
}

// outsidePaths names the paths of the service if the rule lies outside of all of them.
func outsidePaths(op rule.Op, compiled *config.CompiledService, fold bool) string {
	g := parseGlob(op.Path, fold)
	var paths []string
	for _, h := range compiled.Hosts() {
		if h.Path == "" || overlaps(parseGlob(h.Path, fold), g) {
			return ""
		}
		paths = append(paths, h.Path)
	}
	return strings.Join(paths, ", ")
}

// untold reports a rule for an operation at a path at which no host of the service tells
// operations. A `*` is taken for a name that nobody else has, a `**` for nothing.
func untold(op rule.Op, compiled *config.CompiledService) bool {
	return op.Operation != "" && !slices.ContainsFunc(compiled.Hosts(), func(h rule.Host) bool {
		name := h.Name
		if h.Wildcard {
			name = witness + "." + name
		}
		return inject.TellsOperations(name, example(op.Path, 0))
	})
}

// deniedWhole reports whether deny takes every call that op names.
func deniedWhole(op rule.Op, deny []rule.Op) bool {
	anyMethod := func(o rule.Op) bool { return o.Method == "" || o.Method == "*" }
	var globs []glob
	for _, d := range deny {
		if (anyMethod(d) || d.Method == op.Method) && (d.Operation == "" || strings.EqualFold(d.Operation, op.Operation)) {
			globs = append(globs, parseGlob(d.Path, true)) // a denial ignores case
		}
	}
	return covered(parseGlob(op.Path, true), globs)
}

// shape looks for placeholders that the provider's own clients would not take.
func (c *checker) shape(s *config.Service) {
	e, ok := config.Lookup(s.Use)
	if !ok || s.Placeholder == "" || len(e.Keys) == 0 {
		return
	}
	for _, r := range []cycle{{0}, {7, 61, 29, 113}, {1, 2, 3, 5, 8, 13, 21, 34, 55}} {
		p, err := inject.NewPlaceholder(r, s.Placeholder)
		if err == nil && !e.IsKey(p) {
			c.add(s.At("placeholder"), Warning, PlaceholderShape, fmt.Sprintf("leave placeholder out: the catalogue's is %q", e.Shape),
				"service %q: a placeholder of this shape does not look like a key of %s, which its clients may check", s.Name, e.Title)
			return
		}
	}
}

// changed looks for entries of the catalogue that are not what the human approved. They
// come with a new agentvault, and the file that uses them stays as it is.
func (c *checker) changed(s *config.Service) {
	e, ok := config.Lookup(s.Use)
	if !ok || c.Row == nil {
		return
	}
	was, ok := c.Row(s.Source, s.Use)
	if !ok {
		return
	}
	now := e.Row()
	var parts []string
	for _, line := range now {
		if !slices.Contains(was, line) {
			parts = append(parts, "new: "+line)
		}
	}
	for _, line := range was {
		if !slices.Contains(now, line) {
			parts = append(parts, "gone: "+line)
		}
	}
	if len(parts) > 0 {
		c.add(s.At("use"), Warning, CatalogueChanged, fmt.Sprintf("agentvault services %s shows it; to accept it: agentvault trust %s", s.Use, s.Pos.File),
			"service %q: the catalogue's %s is not what it was when this file was approved: %s", s.Name, s.Use, strings.Join(parts, "; "))
	}
}

// cycle is randomness that is the same every time.
type cycle []byte

func (c cycle) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c[i%len(c)] + byte(i/len(c))
	}
	return len(p), nil
}

// known looks for hosts that the catalogue knows more of than the file says.
func (c *checker) known(s *config.Service, compiled *config.CompiledService) {
	if s.Use != "" || compiled.Secret.IsZero() {
		return
	}
	for _, h := range hosts(s, compiled) {
		port := h.Port
		if port == 0 {
			port = rule.DefaultPort
		}
		if e, ok := config.ForHost(h.Name, port); ok && !h.Wildcard && h.Path == "" {
			c.add(h.pos, Info, KnownService, fmt.Sprintf("agentvault services %s; to take auth, variables and placeholder from there: use = %q", e.Name, e.Name),
				"service %q: the catalogue knows %s as %s", s.Name, h.Name, e.Title)
			return
		}
	}
}
