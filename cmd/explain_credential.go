package cmd

import (
	"slices"
	"strings"

	"agentvault/cmd/internal/check"
	"agentvault/cmd/internal/config"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

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
