package config

import (
	"maps"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// Binding says where the secrets whose ref matches Pattern may ever be sent.
type Binding struct {
	Pattern string // a ref in which * stands for any text
	Hosts   []rule.Host
	Pos     Pos
}

// bindings reads [binding], which only the user's own file may have: a file that came
// with a clone must not say where the user's secrets may go.
func (n node) bindings(kind Kind) []Binding {
	n.subject = "binding: "
	if kind != User {
		n.doc.add(n.keyPos(), "move it to "+FileName+" in your own configuration folder", "binding: only your own file may bind secrets to hosts")
		return nil
	}
	keys, _ := n.table()
	var out []Binding
	for _, pattern := range slices.Sorted(maps.Keys(keys)) {
		v := keys[pattern]
		scheme, rest, ok := strings.Cut(pattern, ":")
		if !ok || rest == "" || !slices.Contains(keyring.Schemes(), scheme) {
			n.doc.add(v.keyPos(), `write "env:GITHUB_*" = ["api.github.com"]`,
				"binding: not a pattern of refs (schemes: %s)", strings.Join(keyring.Schemes(), ", "))
			continue
		}
		out = append(out, Binding{pattern, v.hosts(), v.keyPos()})
	}
	return out
}

// Matches reports whether b speaks of ref.
func (b Binding) Matches(ref keyring.Ref) bool {
	parts := strings.Split(b.Pattern, "*")
	s, ok := strings.CutPrefix(ref.String(), parts[0])
	if !ok {
		return false
	}
	if len(parts) == 1 {
		return s == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// Bound returns the hosts that the user's file binds ref to. Of several patterns that
// match, the one with the most literal text counts alone. Without one, ok is false.
func (c *Compiled) Bound(ref keyring.Ref) (hosts []rule.Host, ok bool) {
	best := -1
	for _, b := range c.Bindings {
		if literal := len(b.Pattern) - strings.Count(b.Pattern, "*"); literal > best && b.Matches(ref) {
			best, hosts, ok = literal, b.Hosts, true
		}
	}
	return hosts, ok
}
