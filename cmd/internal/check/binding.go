package check

import (
	"fmt"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// use is where one ref is needed.
type use struct {
	ref      keyring.Ref
	pos      config.Pos
	services []string
	hosts    []rule.Host // where the value, or what is made of it, is sent
	signed   bool        // only signatures leave, whichever service uses it
}

// uses collects the refs of all services, in their order.
func (c *checker) uses() []*use {
	var out []*use
	add := func(ref keyring.Ref, pos config.Pos, s *config.CompiledService, hosts []rule.Host) {
		i := slices.IndexFunc(out, func(u *use) bool { return u.ref.String() == ref.String() })
		if i < 0 {
			i = len(out)
			out = append(out, &use{ref: ref, pos: pos, signed: true})
		}
		out[i].signed = out[i].signed && signs(s)
		if !slices.Contains(out[i].services, s.Name) {
			out[i].services = append(out[i].services, s.Name)
		}
		out[i].hosts = append(out[i].hosts, hosts...)
	}
	for i := range c.Compiled.Services {
		s := &c.Compiled.Services[i]
		at := c.File.Service(s.Name)
		if !s.Secret.IsZero() {
			hosts := s.Hosts()
			if s.TokenHost.Name != "" {
				hosts = append(hosts, s.TokenHost)
			}
			add(s.Secret, at.At("secret"), s, hosts)
		}
		for _, e := range s.Endpoints {
			for _, ref := range e.Refs() {
				add(ref, at.At("auth"), s, e.Rule.Hosts)
			}
		}
	}
	return out
}

// bindings holds what the secrets may be sent to against what they are used for.
func (c *checker) bindings() {
	for _, u := range c.uses() {
		if !u.ref.Stored() {
			c.ownBinding(u)
			continue
		}
		b, known := c.Bindings(u.ref)
		switch {
		case !known:
		case !b.Stored:
			c.add(u.pos, Info, NotStored, setCommand(u), "%s: %s is not stored on this machine", services(u), u.ref)
		default:
			c.stored(u, parseHosts(b.Hosts))
		}
	}
}

func (c *checker) stored(u *use, bound []rule.Host) {
	c.unbound(u, bound)
	var wider []string
	for _, b := range bound {
		switch {
		case reachesSuffix(b) && !u.signed:
			c.add(u.pos, Warning, PublicSuffix, setCommand(u), "%s: %s is bound to %s, below which anybody can have a name", services(u), u.ref, b)
		case !slices.ContainsFunc(u.hosts, func(h rule.Host) bool { return within(b, h) }):
			wider = append(wider, b.String())
		}
	}
	if len(wider) > 0 {
		c.add(u.pos, Warning, BoundWider, "to bind it to what is used, store it again: "+setCommand(u),
			"%s: %s may also be sent to %s, which no service here uses it for", services(u), u.ref, strings.Join(wider, ", "))
	}
}

// ownBinding is for backends that keep no binding: only the user's own file can.
func (c *checker) ownBinding(u *use) {
	bound, ok := c.Compiled.Bound(u.ref)
	if ok {
		c.unbound(u, bound)
		return
	}
	var names []string
	for _, h := range u.hosts {
		if text := fmt.Sprintf("%q", place(h)); !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	c.add(u.pos, Info, NoBinding, fmt.Sprintf("in your own agentvault.toml: [binding] %q = [%s]", u.ref, strings.Join(names, ", ")),
		"%s: %s is bound to no hosts: whichever file is in use says where it goes", services(u), u.ref)
}

// unbound looks for hosts to which the proxy will refuse to send the secret.
func (c *checker) unbound(u *use, bound []rule.Host) {
	var missing []string
	for _, h := range u.hosts {
		text := place(h).String()
		if !slices.Contains(missing, text) && !slices.ContainsFunc(bound, func(b rule.Host) bool { return meets(h, b) }) {
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return
	}
	hint := fmt.Sprintf("add it in [binding] of your own agentvault.toml, if %s may go there", u.ref)
	if u.ref.Stored() {
		hint = "if it may go there, store it again: " + setCommand(u)
	}
	c.add(u.pos, Warning, NotBound, hint, "%s: %s is not bound to %s and will not be sent there", services(u), u.ref, strings.Join(missing, ", "))
}

func parseHosts(texts []string) (out []rule.Host) {
	for _, t := range texts {
		if h, err := rule.ParseHost(t); err == nil {
			out = append(out, h)
		}
	}
	return out
}

func services(u *use) string {
	if len(u.services) == 1 {
		return fmt.Sprintf("service %q", u.services[0])
	}
	quoted := make([]string, len(u.services))
	for i, s := range u.services {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "services " + strings.Join(quoted, ", ")
}

func setCommand(u *use) string {
	text := "agentvault secret set " + u.ref.Name
	if u.ref.Scheme == "file" {
		text += " --file"
	}
	var seen []string
	for _, h := range u.hosts {
		if name := place(h).String(); !slices.Contains(seen, name) {
			seen = append(seen, name)
			text += " --host " + name
		}
	}
	return text
}
