package cmd

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/check"
	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// statusNotCovered is the exit status of explain for a call that gets no credential.
const statusNotCovered = status(1)

func newExplainCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say which rule would decide a call, and why, without sending it",
		ArgsUsage: "[METHOD] URL",
		Description: `Exit status: 0 where a service covers the call and allows it, 1 where not, 2 after
errors of the file or the arguments.

--json prints one object:
  method, url  the call
  covered      true where a service covers the call and allows it
  service      whose place it is; "" for none
  rule         the allow or deny rule that decided; "" for none
  unmatched    the policy for what is not covered
  steps        [{what, text}]: why, in the order in which it is decided
  config       the TOML that would cover it; "" where it is covered or none can`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "use this `FILE` instead of the project's agentvault.toml"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		},
		Action: func(c *cli.Context) error {
			asked, err := parseCall(c.Args().Slice())
			if err != nil {
				return err
			}
			return explain(c.Context, env, c.String("config"), asked, c.Bool("json"))
		},
	}
}

// askedCall is a call as the rules see it.
type askedCall struct {
	method, host, path string
	port               int
	plain              bool // http
}

func parseCall(args []string) (askedCall, error) {
	const example = "agentvault explain GET https://api.github.com/user"
	a := askedCall{method: "GET"}
	if len(args) == 2 {
		a.method, args = args[0], args[1:]
	}
	if len(args) != 1 {
		return a, usagef(example, "explain: want a method and a URL")
	}
	if !slices.Contains(rule.Methods(), a.method) {
		// Methods are case-sensitive on the wire; whoever types one means the usual.
		if a.method = strings.ToUpper(a.method); slices.Contains(rule.Methods(), a.method) {
			return parseURL(a, args[0])
		}
		return a, usagef(example, "explain: unknown method %q (one of: %s)", a.method, strings.Join(rule.Methods()[:8], ", "))
	}
	return parseURL(a, args[0])
}

func parseURL(a askedCall, given string) (askedCall, error) {
	const example = "agentvault explain GET https://api.github.com/user"
	text := given
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return a, usagef(example, "explain: %q is not a URL", given)
	}
	switch u.Scheme {
	case "https", "wss":
		a.port = 443
	case "http", "ws":
		a.port, a.plain = 80, true
	default:
		return a, usagef(example, "explain: unknown scheme %q (one of: https, http, wss, ws)", u.Scheme)
	}
	if u.Port() != "" {
		if a.port, err = strconv.Atoi(u.Port()); err != nil || a.port < 1 || a.port > 65535 {
			return a, usagef(example, "explain: port %q is not 1 to 65535", u.Port())
		}
	}
	if a.host, err = rule.CanonicalHost(u.Hostname()); err != nil {
		return a, usagef(example, "explain: %v", err)
	}
	if a.path = u.EscapedPath(); a.path == "" {
		a.path = "/"
	}
	return a, nil
}

func (a askedCall) String() string {
	scheme, usual := "https", 443
	if a.plain {
		scheme, usual = "http", 80
	}
	at := rule.Host{Name: a.host}
	if a.port != usual {
		at.Port = a.port
	}
	return a.method + " " + scheme + "://" + at.String() + a.path
}

func explain(ctx context.Context, env Env, path string, a askedCall, asJSON bool) error {
	v, err := viewConfig(env, path)
	if err != nil {
		return &configError{err}
	}
	c := v.compiled
	m := c.Rules.Match(a.host, a.port, a.method, a.path)
	if a.plain && m.Kind == rule.None && a.port == 80 { // as the proxy does
		m = c.Rules.Match(a.host, 443, a.method, a.path)
	}
	e := &explanation{askedCall: a, viewedConfig: v, match: m}
	e.bindings = func() func(keyring.Ref) (check.Binding, bool) { return storedBindings(ctx, env, c.Refs) }
	good, config := e.decide(), ""
	if !good {
		config = e.cover()
	}
	if asJSON {
		err = e.json(env.Stdout, good, config)
	} else {
		v.tellUnapproved(env)
		err = e.text(env.Stdout, config)
	}
	if err == nil && !good {
		err = statusNotCovered
	}
	return err
}

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
	if isLoopbackHost(e.host) {
		e.row("note", "most clients never send calls for %s to a proxy, whatever the rules say", e.host)
	}
	if compiled.Secret.IsZero() {
		e.row("credential", "none: the service has auth = \"none\"")
		return true
	}
	if e.asks(compiled.Ask) {
		e.row("asks", "the call waits for your answer, because ask names it")
	}
	e.credential(compiled, endpoint)
	if e.plain && !(compiled.Insecure && isLoopbackHost(e.host)) {
		e.row("refused", "a credential is never sent over plain HTTP, except with insecure = true to this machine")
		return false
	}
	return e.secret(compiled)
}

// asks reports that an ask rule names the call.
func (e *explanation) asks(ask []rule.Op) bool {
	host := rule.Host{Name: e.host, Port: rule.AnyPort}
	set, err := rule.New([]rule.Service{{Name: e.match.Service, Hosts: []rule.Host{host}, Allow: ask}})
	return err == nil && len(ask) > 0 && set.Match(e.host, e.port, e.method, e.path).Kind == rule.Covered
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

func (e *explanation) credential(s *config.CompiledService, endpoint config.Endpoint) {
	when := "only where the agent shows its placeholder (inject = \"asked\")"
	if endpoint.Always {
		when = "also where the agent shows none (inject = \"always\")"
	}
	switch {
	case endpoint.ClientCert:
		e.row("credential", "%s", endpoint.Slot())
		return
	case endpoint.Auth == "sigv4":
		when = "in place of the agent's own signature"
	}
	e.row("credential", "%s, %s", endpoint.Slot(), when)
	if len(endpoint.Search) > 0 {
		e.row("search", "the placeholder is replaced here too: %s", spellPlaces(endpoint.Search))
	}
	if s.Exchange != nil {
		text := "the secret is exchanged for a short-lived token (" + endpoint.Auth + "), which is what is sent"
		if s.TokenHost.Name != "" {
			text += "; the secret itself goes to " + s.TokenHost.String()
		}
		e.row("token", "%s", text)
	}
}

// spellPlaces writes places for people.
func spellPlaces(search inject.Search) string {
	var words []string
	for _, p := range search {
		word := strings.NewReplacer("body", "the body's", "websocket", "a WebSocket message's").Replace(p.In)
		switch {
		case p.Name == "":
			word = "anywhere in " + map[string]string{"header": "any header", "cookie": "any cookie", "query": "the query", "path": "the path",
				"body": "the body", "websocket": "WebSocket messages"}[p.In]
		case p.In == "body", p.In == "websocket":
			word += " field " + p.Name
		default:
			word += " " + p.Name
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// secret tells where the credential comes from, and whether it may go to the host.
func (e *explanation) secret(s *config.CompiledService) bool {
	var hosts []string
	known, bound := false, false
	if s.Secret.Stored() {
		var b check.Binding
		b, known = e.bindings()(s.Secret)
		if known && !b.Stored {
			e.row("secret", "%s, not stored on this machine yet", s.Secret)
			return true
		}
		hosts, bound = b.Hosts, known
	} else if list, ok := e.compiled.Bound(s.Secret); ok {
		bound = true
		for _, h := range list {
			hosts = append(hosts, h.String())
		}
	}
	switch {
	case s.Secret.Stored() && !known:
		e.row("secret", "%s; its store cannot be looked at without you", s.Secret)
		return true
	case !bound:
		e.row("secret", "%s, bound to no hosts", s.Secret)
		return true
	case !e.allowedBy(hosts):
		e.row("secret", "%s", s.Secret)
		e.row("refused", "the secret is bound to %s and will not be sent to %s", join(hosts, "no host"), e.host)
		return false
	}
	e.row("secret", "%s, bound to %s", s.Secret, strings.Join(hosts, ", "))
	return true
}

func (e *explanation) allowedBy(hosts []string) bool {
	return slices.ContainsFunc(hosts, func(text string) bool {
		h, err := rule.ParseHost(text)
		return err == nil && h.Match(e.host, e.port)
	})
}

func (e *explanation) refused() {
	s, compiled := e.service()
	endpoint := compiled.Endpoints[e.match.Endpoint]
	if e.match.Kind == rule.Denied {
		e.row("denied", "by %q of service %s, %s", e.match.Rule, s.Name, rulePos(s, "deny", endpoint.Rule.Deny, e.match.Rule))
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

func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// cover is the TOML that would cover the call, where a rule is all that it lacks.
func (e *explanation) cover() string {
	lacking := e.match.Kind == rule.None || e.match.Kind == rule.NotAllowed
	if !lacking || e.tunnelled() || check.PastProxy(e.compiled.NoProxy, e.host) != "" {
		return ""
	}
	return (&cover{e.compiled}).toml(e.host, e.port, e.method, e.path)
}
