package check

import (
	"fmt"
	"net/url"

	"golang.org/x/net/publicsuffix"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// widened tells what came with a clone and opens more than the user's own file does.
func (c *checker) widened() {
	for _, w := range c.File.Widened {
		switch w.Key {
		case "tunnel":
			c.add(w.Pos, Warning, Widens, "", "tunnel: the project has calls to %s passed without being looked at", w.Text)
		case "no_proxy":
			c.add(w.Pos, Warning, Widens, "", "no_proxy: the project has calls to %s go past the proxy", w.Text)
		case "pass_env":
			c.add(w.Pos, Warning, Widens, "", "pass_env: the project hands %s of your environment to the agent", w.Text)
		case "profile":
			c.add(w.Pos, Warning, Widens, "", "aws: the project chooses your AWS profile %q", w.Text)
		case "service":
			c.add(w.Pos, Warning, Widens, "give the project's service another name to keep yours",
				"service %q: the project's takes the place of the one in your own file, rules and all", w.Text)
		}
	}
}

func (c *checker) unmatched() {
	secrets := 0
	for _, s := range c.Compiled.Services {
		if !s.Secret.IsZero() {
			secrets++
		}
	}
	if c.File.Unmatched == "allow" && secrets > 0 {
		c.add(c.File.UnmatchedPos(), Warning, UnmatchedAllow, `unmatched = "warn" lets them pass as well, and shows them`,
			"unmatched: calls that no service covers pass unseen, beside services that hold secrets")
	}
}

// askKeys looks for what waits for an answer where the agent could give it.
func (c *checker) askKeys() {
	if c.Keys == "" {
		return
	}
	if c.File.Unmatched == "ask" {
		c.add(c.File.UnmatchedPos(), Info, AskKeys, c.KeysHint, "unmatched: %s", c.Keys)
	}
	for i := range c.File.Services {
		if s := &c.File.Services[i]; len(s.Ask) > 0 {
			c.add(s.At("ask"), Info, AskKeys, c.KeysHint, "service %q: ask: %s", s.Name, c.Keys)
		}
	}
}

// suffixes looks for wildcards over names that strangers own.
func (c *checker) suffixes() {
	for i := range c.Compiled.Services {
		s := &c.Compiled.Services[i]
		if s.Secret.IsZero() || signs(s) {
			continue
		}
		for _, h := range hosts(c.File.Service(s.Name), s) {
			if reachesSuffix(h.Host) {
				c.add(h.pos, Warning, PublicSuffix, "list the hosts that are yours",
					"service %q: anybody can have a name below %s, and %s would send the credential there", s.Name, h.Name, h.Host)
			}
		}
	}
	for _, b := range c.Compiled.Bindings {
		for _, h := range b.Hosts {
			if reachesSuffix(h) {
				c.add(b.Pos, Warning, PublicSuffix, "list the hosts that are yours",
					"binding: anybody can have a name below %s, and %s lets the secrets go there", h.Name, h)
			}
		}
	}
}

// signs reports that only a signature leaves, which is good for that one request.
func signs(s *config.CompiledService) bool {
	for _, e := range s.Endpoints {
		if _, ok := e.Inject.(inject.SigV4); !ok {
			return false
		}
	}
	return true
}

// reachesSuffix knows `*.co.uk` as well as `*.github.io`.
func reachesSuffix(h rule.Host) bool {
	if !h.Wildcard {
		return false
	}
	suffix, _ := publicsuffix.PublicSuffix(h.Name)
	return suffix == h.Name
}

// plainHTTP looks for what goes without TLS, or would have to.
func (c *checker) plainHTTP() {
	for i := range c.Compiled.Services {
		compiled := &c.Compiled.Services[i]
		s := c.File.Service(compiled.Name)
		if s.Insecure {
			c.add(s.At("insecure"), Info, PlainHTTP, "", "service %q: its credential goes over plain HTTP on this machine", s.Name)
		}
		for _, h := range hosts(s, compiled) {
			if h.Port == 80 && !s.Insecure && !compiled.Secret.IsZero() {
				c.add(h.pos, Warning, PlainHTTP, "let the agent use https, and name that port",
					"service %q: port 80 of %s is plain HTTP, over which no credential is sent", s.Name, h.Name)
			}
		}
		if inClear(s.Upstream) {
			c.add(s.At("upstream"), Warning, PlainHTTP, "write an https:// origin",
				"service %q: a test would send the credential to %s without TLS", s.Name, s.Upstream)
		}
		if compiled.TokenHost.Name != "" && s.Auth != nil && isHTTP(s.Auth.TokenURL) {
			c.add(s.At("auth"), Info, PlainHTTP, "", "service %q: the secret goes to the token_url over plain HTTP on this machine", s.Name)
		}
	}
	for name, at := range map[string]struct {
		server string
		pos    config.Pos
	}{
		"infisical": {c.Compiled.Infisical.SiteURL, c.Compiled.Infisical.Pos},
		"vault":     {c.Compiled.Vault.Address, c.Compiled.Vault.Pos},
	} {
		if inClear(at.server) {
			c.add(at.pos, Warning, PlainHTTP, "write an https:// origin", "%s: %s is plain HTTP, over which no credential is sent", name, at.server)
		}
	}
}

func isHTTP(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http"
}

// inClear reports plain HTTP that leaves this machine.
func inClear(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http" && !rule.IsLoopback(u.Hostname())
}

// wide tells where an agent can have the secret written down as content. Named fields are
// taken for what the API documents.
func (c *checker) wide(s *config.Service, compiled *config.CompiledService) {
	for _, e := range compiled.Endpoints {
		for _, p := range e.Search {
			if p.Name == "" && p.In != "path" {
				c.add(s.At("search", "use"), Warning, WideSearch, fmt.Sprintf("name the field: %q", p.In+":NAME"),
					"service %q: search: the agent can have the secret put anywhere into %s, and read it where the API keeps that as content", s.Name, p.In)
			}
		}
	}
}

// plural is "1 warning", "2 warnings".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
