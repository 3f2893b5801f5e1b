package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

func (n node) services(source string) []Service {
	tables, _ := n.table()
	var out []Service
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		t := tables[name]
		if !isServiceName(name) {
			t.doc.add(t.keyPos(), "letters, digits, '.', '_' and '-', at most 64", "service %s: not a name for a service", word(name))
			continue
		}
		t.subject = fmt.Sprintf("service %q: ", name)
		if s, ok := t.service(name); ok {
			s.Source = source
			out = append(out, s)
		}
	}
	return out
}

// isServiceName keeps names to what stands in logs, commands and keychain items alike.
func isServiceName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
		return !ok
	})
}

func serviceKeys() []string {
	return []string{"use", "host", "auth", "secret", "allow", "deny", "ask", "env", "inject",
		"insecure", "copies", "search", "placeholder", "test", "upstream"}
}

func (n node) service(name string) (Service, bool) {
	s := Service{Name: name, Pos: n.keyPos(), at: map[string]Pos{}}
	before := len(n.doc.list)
	keys, ok := n.table(serviceKeys()...)
	if !ok {
		return s, false
	}
	for k, v := range keys {
		s.at[k] = v.pos()
		if _, isList := v.v.([]any); isList {
			for i, e := range v.list("") {
				s.at[fmt.Sprintf("%s[%d]", k, i)] = e.pos()
			}
		}
	}
	if v, ok := keys["use"]; ok {
		s.Use = v.use()
	}
	if v, ok := keys["host"]; ok {
		if s.Hosts = v.hosts(); len(s.Hosts) == 0 && len(n.doc.list) == before {
			v.fail("", "host: the list is empty")
		}
	}
	if v, ok := keys["auth"]; ok {
		s.Auth = v.auth()
	}
	if v, ok := keys["secret"]; ok {
		s.Secret = v.ref()
	}
	for k, dst := range map[string]*[]rule.Op{"allow": &s.Allow, "deny": &s.Deny, "ask": &s.Ask} {
		if v, ok := keys[k]; ok {
			*dst = v.ops()
		}
	}
	if v, ok := keys["env"]; ok {
		s.Env = v.envNames(false)
	}
	if v, ok := keys["inject"]; ok {
		s.Inject = v.oneOf("always", "asked")
	}
	if v, ok := keys["insecure"]; ok {
		s.Insecure = v.boolean()
	}
	if v, ok := keys["copies"]; ok {
		s.Copies = v.boolean()
	}
	if v, ok := keys["search"]; ok {
		s.Search = v.search()
	}
	if v, ok := keys["placeholder"]; ok {
		s.Placeholder = v.shape()
	}
	if v, ok := keys["test"]; ok {
		s.Tests = v.tests()
	}
	if v, ok := keys["upstream"]; ok {
		s.Upstream = v.origin()
	}
	if len(n.doc.list) == before {
		n.complete(&s)
	}
	return s, len(n.doc.list) == before
}

// complete reports what only the whole service can lack.
func (n node) complete(s *Service) {
	fail := func(hint, format string, a ...any) {
		n.doc.add(s.Pos, hint, "%s%s", n.subject, fmt.Sprintf(format, a...))
	}
	if s.Use == "" && s.Hosts == nil {
		hint := `write host = "api.example.test", or use = "..." for a service of the catalogue`
		if _, known := Lookup(s.Name); known {
			hint = fmt.Sprintf("the catalogue knows it: use = %q", s.Name)
		}
		fail(hint, "has neither host nor use")
		return
	}
	if s.Use == "" && s.Auth == nil {
		fail(`write auth = "bearer" if it takes a token`, "has no auth (one of: %s)", strings.Join(authTypes(), ", "))
		return
	}
	none := s.Auth != nil && s.Auth.Type == "none"
	switch {
	case none && !s.Secret.IsZero():
		n.doc.add(s.at["secret"], "", "%sauth \"none\" takes no secret", n.subject)
	case !none && s.Secret.IsZero():
		fail(fmt.Sprintf("write secret = %q, and store it: agentvault secret set %s", "keychain:"+s.Name, s.Name), "has no secret")
	}
	points, err := s.endpoints()
	if err != nil {
		n.doc.add(s.At("host", "use"), hintOf(err), "%s%s", n.subject, err)
		return
	}
	n.checkInsecure(s, points)
	n.checkSearch(s, points)
	n.chooseKey(s, points)
}

// checkSearch: where the agent's placeholder is no part of the credential, replacing it
// would put the secret where nobody expects it.
func (n node) checkSearch(s *Service, points []point) {
	for _, p := range points {
		switch p.auth.Type {
		case "none", "sigv4", "mtls":
			if len(s.Search) > 0 {
				n.doc.add(s.At("search"), "leave search out", "%ssearch: auth %q has no placeholder that could be replaced", n.subject, p.auth.Type)
				return
			}
		}
	}
}

// search reads `["websocket:d.token", "body"]`.
func (n node) search() inject.Search {
	var out inject.Search
	for _, e := range n.words(true) {
		p, err := inject.ParsePlace(e.v.(string))
		switch {
		case err != nil:
			in, _, _ := strings.Cut(e.v.(string), ":")
			hint := DidYouMean(in, inject.Places())
			if hint == "" {
				hint = hintOf(err)
			}
			e.fail(hint, "search: %s", err)
		case slices.Contains(out, p):
			e.fail("", "search: %q stands there twice", p)
		default:
			out = append(out, p)
		}
	}
	return out
}

// chooseKey makes a key of a secret that is a whole folder: the one that has the name of the
// service's variable.
func (n node) chooseKey(s *Service, points []point) {
	for _, p := range points {
		var e Endpoint
		if p.auth.deliver(&e) == nil && slices.ContainsFunc(e.Refs(), keyring.Ref.Whole) {
			n.doc.add(s.At("auth", "use"), "name the key in place of the *", "%sauth: a whole folder, and a service says the key of its secret alone", n.subject)
		}
	}
	if !s.Secret.Whole() {
		return
	}
	env := s.Env
	if e, ok := Lookup(s.Use); ok && env == nil {
		env = e.Env
	}
	if len(env) == 0 {
		n.doc.add(s.At("secret"), "name the key in place of the *, or the variable: env = [\"API_KEY\"]",
			"%ssecret: a whole folder, and the service has no variable that names a key of it", n.subject)
		return
	}
	s.Secret, _ = s.Secret.Key(env[0]) // a variable's name is a key's
}

// checkInsecure: the proxy sends a credential without TLS to this machine alone, so that
// a service that asks for more would never work.
func (n node) checkInsecure(s *Service, points []point) {
	for _, p := range points {
		for _, h := range p.hosts {
			if s.Insecure && (h.Wildcard || !rule.IsLoopback(h.Name)) {
				n.doc.add(s.At("insecure"), "leave insecure out, and let the agent use https",
					"%sinsecure: %s is not on this machine; a credential goes over plain HTTP to localhost and loopback addresses only", n.subject, h)
				return
			}
		}
	}
}

func (n node) use() string {
	s, ok := n.str()
	if !ok {
		return ""
	}
	if _, known := Lookup(s); !known {
		hint := DidYouMean(s, catalogueNames())
		if hint == "" {
			hint = "agentvault services lists the catalogue; a service that it lacks needs host and auth"
		}
		n.fail(hint, "use: the catalogue has no %s", word(s))
		return ""
	}
	return s
}

func (n node) ref() keyring.Ref {
	s, ok := n.str()
	if !ok {
		return keyring.Ref{}
	}
	r, err := keyring.ParseRef(s)
	if err != nil {
		hint := ""
		if scheme, _, ok := strings.Cut(s, ":"); ok && !slices.Contains(keyring.Schemes(), scheme) {
			hint = DidYouMean(scheme, keyring.Schemes())
		}
		n.fail(hint, "%s: %s", n.key(), err)
	}
	return r
}

func (n node) ops() []rule.Op {
	var out []rule.Op
	for _, e := range n.words(false) {
		o, err := rule.ParseOp(e.v.(string))
		if err != nil {
			hint := hintOf(err)
			if hint == "" {
				method, _, _ := strings.Cut(e.v.(string), " ")
				hint = didYouMeanUpper(method)
			}
			e.fail(hint, "%s: %s", n.key(), err)
			continue
		}
		out = append(out, o)
	}
	return out
}

func didYouMeanUpper(method string) string {
	lower := make([]string, 0, 20)
	for _, m := range rule.Methods() {
		if m == method {
			return "" // the path is what is wrong
		}
		lower = append(lower, strings.ToLower(m))
	}
	hint := DidYouMean(method, lower)
	if hint == "" {
		return ""
	}
	return "did you mean " + strings.ToUpper(strings.TrimPrefix(hint, "did you mean "))
}

func (n node) shape() string {
	s, ok := n.str()
	if !ok {
		return ""
	}
	if _, err := inject.NewPlaceholder(zeros{}, s); err != nil {
		n.fail("", "%s", err)
	}
	return s
}

// zeros is randomness enough to see whether a shape is legal.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// origin reads `https://host[:port]`.
func (n node) origin() string {
	s, ok := n.str()
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		n.fail(`write "https://staging.example.test"`, "%s: not an origin (scheme, host and port alone)", n.key())
		return ""
	}
	if _, err := rule.CanonicalHost(u.Hostname()); err != nil {
		n.fail("", "%s: %s", n.key(), err)
		return ""
	}
	return u.Scheme + "://" + u.Host
}
