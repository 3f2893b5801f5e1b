package cmd

import (
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// knowledge is what suggestions take into account: the catalogue, and the configuration
// as it is now. c is nil where there is none, or where it does not load.
func knowledge(c *config.Compiled) discover.Knowledge {
	k := discover.Knowledge{Entry: catalogueEntry}
	if c == nil {
		return k
	}
	for _, s := range c.Services {
		k.Names = append(k.Names, s.Name)
	}
	k.Now = func(e *discover.Endpoint) (string, bool) {
		port, path := e.Port, examplePath(e.Path)
		m := c.Rules.MatchAsked(e.Host, port, e.Method, path, e.Asked())
		if m.Kind == rule.None && port == 80 && (e.Scheme == "http" || e.Scheme == "ws") { // as the proxy does
			m = c.Rules.MatchAsked(e.Host, rule.DefaultPort, e.Method, path, e.Asked())
		}
		return m.Service, m.Kind == rule.Covered || m.Kind == rule.Denied
	}
	return k
}

// examplePath is a path that has the template.
func examplePath(template string) string {
	return strings.ReplaceAll(strings.ReplaceAll(template, "**", "x"), "*", "x")
}

// catalogueEntry is the catalogue as discover asks it.
func catalogueEntry(host string, port int) (discover.Entry, bool) {
	e, ok := config.ForHost(host, port)
	if !ok && strings.HasSuffix(host, ".amazonaws.com") { // its hosts are too many to list
		e, ok = config.Lookup("aws")
	}
	if !ok {
		return discover.Entry{}, false
	}
	entry := discover.Entry{Name: e.Name, OwnHost: true, Unseen: true}
	for _, p := range e.Endpoints {
		for _, text := range p.Hosts {
			h, err := rule.ParseHost(text)
			entry.OwnHost = entry.OwnHost && (err != nil || !h.Match(host, port))
			h.Path = ""
			if name := h.String(); err == nil && !slices.Contains(entry.Hosts, name) {
				entry.Hosts = append(entry.Hosts, name)
			}
		}
		entry.Unseen = entry.Unseen && p.Auth.Type == "body"
		auth := &config.Auth{Type: p.Auth.Type}
		note := strings.Join(strings.Fields(e.Note), " ")
		switch {
		case p.Auth.User == "?":
			auth.User = "YOUR-USER"
		case strings.Contains(p.Auth.AccessKeyID, "YOUR-"):
			auth.AccessKeyID = keyring.Ref{Scheme: "keychain", Name: e.Name + "-id"}
			entry.More, entry.OneAccount = []string{e.Name + "-id"}, true
			note = "the access key id is kept as a secret as well"
		default:
			continue
		}
		entry.Auth, entry.Note = auth.TOML(), note
	}
	return entry, true
}
