package check

import (
	"net/netip"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/rule"
)

// reached looks for hosts of a service whose calls go elsewhere.
func (c *checker) reached(s *config.Service, compiled *config.CompiledService) {
	for _, h := range hosts(s, compiled) {
		switch {
		case c.tunnelled(h.Host):
			c.add(h.pos, Warning, Tunnelled, "take the host out of tunnel, or the service out of the file",
				"service %q: %s is in tunnel and never intercepted, so no credential is put in", s.Name, place(h.Host))
		case PastProxy(c.Compiled.NoProxy, h.Name) != "":
			c.add(h.pos, Warning, Bypassed, "take the entry out of no_proxy",
				"service %q: %s is in no_proxy (%s), so its calls do not come through the proxy", s.Name, place(h.Host), PastProxy(c.Compiled.NoProxy, h.Name))
		case rule.IsLoopback(h.Name):
			c.add(h.pos, Info, Bypassed, "let the service have a name of its own, for instance in the hosts file",
				"service %q: most clients never send calls for %s to a proxy", s.Name, h.Name)
		default:
			c.shadowed(s, h)
		}
	}
}

func (c *checker) tunnelled(h rule.Host) bool {
	for _, t := range c.Compiled.Tunnel {
		if within(h, t) {
			return true
		}
	}
	return false
}

// PastProxy returns the entry of no_proxy by which clients send calls for the host past
// the proxy; "" where there is none. They take an entry for the name and for everything
// below it.
func PastProxy(noProxy []string, host string) string {
	addr, notAddr := netip.ParseAddr(host)
	for _, entry := range noProxy {
		if p, err := netip.ParsePrefix(entry); err == nil {
			if notAddr == nil && p.Contains(addr) {
				return entry
			}
			continue
		}
		name := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(entry, "*"), "."))
		if host == name || notAddr != nil && strings.HasSuffix(host, "."+name) {
			return entry
		}
	}
	return ""
}

// shadowed asks the rules themselves who gets the calls, with paths made from the
// host's own pattern: what is said here is what the proxy does.
func (c *checker) shadowed(s *config.Service, h placed) {
	by := ""
	for _, port := range ports(h.Host) {
		for depth := range 6 {
			name := h.Name
			if h.Wildcard {
				name = witness + "." + name
			}
			m := c.Compiled.Rules.Match(name, port, "GET", example(h.Path, depth))
			if m.Service == s.Name || m.Kind == rule.Ambiguous || m.Service == "" {
				return
			}
			by = m.Service
		}
	}
	c.add(h.pos, Warning, ShadowedService, "an exact host goes before a wildcard, a port before none, the longer path before the shorter",
		"service %q: every call to %s goes to service %q, which is more specific", s.Name, h.Host, by)
}

// witness is a label and a segment that nobody writes into a file.
const witness = "x7q-witness"

func ports(h rule.Host) []int {
	switch h.Port {
	case 0:
		return []int{rule.DefaultPort}
	case rule.AnyPort:
		return []int{rule.DefaultPort, 61999}
	}
	return []int{h.Port}
}

// example is a path that the pattern matches, with that many segments for each `**`.
func example(pattern string, depth int) string {
	if pattern == "" {
		pattern = "/**"
	}
	var out strings.Builder
	for segment := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		if segment == "**" {
			out.WriteString(strings.Repeat("/"+witness, depth))
			continue
		}
		out.WriteString("/" + strings.ReplaceAll(segment, "*", witness))
	}
	if out.Len() == 0 {
		return "/"
	}
	return out.String()
}

// place is the host without its path.
func place(h rule.Host) rule.Host {
	h.Path = ""
	return h
}

// within reports whether every place that inner names is named by outer; paths take no part.
func within(inner, outer rule.Host) bool {
	switch {
	case outer.Port != rule.AnyPort && effectivePort(inner) != effectivePort(outer):
		return false
	case outer.Wildcard && !inner.Wildcard:
		label, rest, ok := strings.Cut(inner.Name, ".")
		return ok && label != "" && rest == outer.Name
	}
	return inner.Wildcard == outer.Wildcard && inner.Name == outer.Name
}

func effectivePort(h rule.Host) int {
	if h.Port == 0 {
		return rule.DefaultPort
	}
	return h.Port
}

// meets reports whether some place is named by both.
func meets(a, b rule.Host) bool {
	if a.Port == rule.AnyPort || b.Port == rule.AnyPort {
		a.Port, b.Port = 0, 0
	}
	return within(a, b) || within(b, a)
}
