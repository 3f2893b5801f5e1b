package cmd

import (
	"fmt"
	"slices"
	"strings"

	"agentvault/cmd/internal/check"
	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// explanation says what becomes of one call.
type explanation struct {
	askedCall
	*viewedConfig
	match    rule.Match
	bindings func() func(keyring.Ref) (check.Binding, bool)
	steps    []decision
}

func (e *explanation) row(key, format string, args ...any) {
	e.steps = append(e.steps, decision{key, fmt.Sprintf(format, args...)})
}

// decide goes through what decides, and reports whether the call is covered and allowed.
func (e *explanation) decide() bool {
	if e.tunnelled() {
		e.row("tunnelled", "%s is in tunnel: the call is never looked at and gets no credential", e.host)
		return false
	}
	if entry := check.PastProxy(e.compiled.NoProxy, e.host); entry != "" {
		e.row("bypassed", "%s is in no_proxy (%s): most clients send the call past the proxy, without a credential", e.host, entry)
		return false
	}
	switch e.match.Kind {
	case rule.Covered:
		return e.covered()
	case rule.Denied, rule.NotAllowed:
		e.refused()
	case rule.Ambiguous:
		e.row("refused", "%s", e.match.Reason)
		e.row("why", "servers differ in how they read this path, and so would the rules; send it in its plain form")
	default:
		e.uncovered()
	}
	return false
}

// tunnelled reports that the proxy will not look at the call.
func (e *explanation) tunnelled() bool {
	return slices.ContainsFunc(e.compiled.Tunnel, func(h rule.Host) bool { return h.Match(e.host, e.port) })
}

func (e *explanation) service() (*config.Service, *config.CompiledService) {
	i := slices.IndexFunc(e.compiled.Services, func(s config.CompiledService) bool { return s.Name == e.match.Service })
	return e.file.Service(e.match.Service), &e.compiled.Services[i]
}

func (e *explanation) covered() bool {
	s, compiled := e.service()
	endpoint := compiled.Endpoints[e.match.Endpoint]
	e.row("covered", "by service %s, %s", s.Name, s.Pos)
	e.row("host", "%s", e.pattern(endpoint.Rule.Hosts))
	if e.match.Rule == "" {
		e.row("allowed", "the service has no allow list, which allows everything")
	} else {
		e.row("allowed", "by %q, %s", e.match.Rule, rulePos(s, "allow", endpoint.Rule.Allow, e.match.Rule))
	}
	if rule.IsLoopback(e.host) {
		e.row("note", "most clients never send calls for %s to a proxy, whatever the rules say", e.host)
	}
	if compiled.Secret.IsZero() {
		e.row("credential", "none: the service has auth = \"none\"")
		return true
	}
	if e.match.Ask {
		e.row("asks", "the call waits for your answer, because ask names it")
	}
	e.credential(compiled, endpoint)
	if e.plain && !(compiled.Insecure && rule.IsLoopback(e.host)) {
		e.row("refused", "a credential is never sent over plain HTTP, except with insecure = true to this machine")
		return false
	}
	return e.secret(compiled)
}

// pattern is the host pattern that the call fell to.
func (e *explanation) pattern(hosts []rule.Host) string {
	var each []rule.Service
	for _, h := range hosts {
		each = append(each, rule.Service{Name: h.String(), Hosts: []rule.Host{h}})
	}
	set, err := rule.New(each)
	if err != nil {
		return ""
	}
	if m := set.Match(e.host, e.port, e.method, e.path); m.Service != "" {
		return m.Service
	}
	return set.Match(e.host, rule.DefaultPort, e.method, e.path).Service
}

func (e *explanation) refused() {
	s, compiled := e.service()
	endpoint := compiled.Endpoints[e.match.Endpoint]
	if e.match.Kind == rule.Denied {
		e.row("denied", "by %q of service %s, %s", e.match.Rule, s.Name, rulePos(s, "deny", endpoint.Rule.Deny, e.match.Rule))
		if i := slices.IndexFunc(endpoint.Rule.Deny, func(o rule.Op) bool { return o.String() == e.match.Rule }); endpoint.Rule.Deny[i].Operation != "" && !e.asked().Known {
			e.row("why", "%s", e.match.Reason)
		}
		e.row("host", "%s", e.pattern(endpoint.Rule.Hosts))
		return
	}
	e.row("not covered", "%s", e.match.Reason)
	e.row("service", "%s, %s", s.Name, s.Pos)
	e.row("host", "%s", e.pattern(endpoint.Rule.Hosts))
	for i, op := range endpoint.Rule.Allow {
		key := ""
		if i == 0 {
			key = "allow"
		}
		e.row(key, "%s", op)
	}
	e.policy()
}

func (e *explanation) uncovered() {
	e.row("not covered", "%s", e.match.Reason)
	for _, s := range e.compiled.Services {
		for _, h := range s.Hosts() {
			near := h
			near.Port, near.Path = rule.AnyPort, ""
			if near.Match(e.host, e.port) {
				e.row("near", "service %s covers %s", s.Name, h)
			}
		}
	}
	if entry, ok := config.ForHost(e.host, e.port); ok {
		e.row("known", "the catalogue has it: agentvault services %s", entry.Name)
	}
	e.policy()
}

// policy is what becomes of calls without a service.
func (e *explanation) policy() {
	e.row("unmatched", "%s", map[string]string{
		"allow": "allow: it passes without a credential, unseen",
		"warn":  "warn: it passes without a credential, and is shown",
		"ask":   "ask: it waits for your answer",
		"deny":  "deny: it is refused",
	}[e.compiled.Unmatched])
}

func rulePos(s *config.Service, key string, ops []rule.Op, text string) config.Pos {
	i := slices.IndexFunc(ops, func(o rule.Op) bool { return o.String() == text })
	return s.At(fmt.Sprintf("%s[%d]", key, i), key)
}

func join(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// cover is the TOML that would cover the call, where a rule is all that it lacks.
func (e *explanation) cover() string {
	lacking := e.match.Kind == rule.None || e.match.Kind == rule.NotAllowed
	if !lacking || e.tunnelled() || check.PastProxy(e.compiled.NoProxy, e.host) != "" {
		return ""
	}
	operation := e.operation
	if !e.told {
		operation = "?" // and not none
	}
	return (&cover{e.compiled}).toml(e.host, e.port, e.method, e.path, operation)
}
