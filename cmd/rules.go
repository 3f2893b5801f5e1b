package cmd

import (
	"context"
	"crypto/rand"
	"fmt"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/inject"
)

// rules turns the configuration into the proxy's, with placeholders of this session.
func (l *live) rules(c *config.Compiled) (*proxy.Rules, error) {
	r := &proxy.Rules{Set: c.Rules, Services: make(map[proxy.Endpoint]proxy.Service), Unmatched: proxy.Policy(c.Unmatched),
		Tunnel: c.Tunnel, Cover: (&cover{c}).toml}
	l.placeholders = make(map[string]string)
	for _, s := range c.Services {
		placeholder := ""
		if !s.Secret.IsZero() {
			var err error
			if placeholder, err = inject.NewPlaceholder(rand.Reader, s.Shape); err != nil {
				return nil, fmt.Errorf("service %q: %w", s.Name, err)
			}
		}
		for _, name := range s.Env {
			if placeholder != "" {
				l.placeholders[name] = placeholder
			}
		}
		for i, e := range s.Endpoints {
			in, err := l.injector(e, placeholder)
			if err != nil {
				return nil, fmt.Errorf("service %q: %w", s.Name, err)
			}
			r.Services[proxy.Endpoint{Service: s.Name, Index: i}] = proxy.Service{
				Name: s.Name, Secret: s.Secret, Inject: in, Always: e.Always,
				Insecure: s.Insecure, Copies: s.Copies, Placeholder: placeholder,
			}
		}
	}
	return r, nil
}

// injector fills in what the configuration could not know.
func (l *live) injector(e config.Endpoint, placeholder string) (inject.Injector, error) {
	switch in := e.Inject.(type) {
	case inject.Path:
		if in.Placeholder == "" {
			in.Placeholder = placeholder
		}
		return in, nil
	case inject.Basic:
		user, err := l.second(e.BasicUser)
		if !e.BasicUser.IsZero() {
			in.User = user.Reveal()
		}
		return in, err
	case inject.SigV4:
		id, err := l.second(e.AccessKeyID)
		if err != nil {
			return nil, err
		}
		in.AccessKeyID = id.Reveal()
		in.SessionToken, err = l.second(e.SessionToken)
		return in, err
	}
	return e.Inject, nil
}

// second is a secret that an injector needs beside the service's own; empty for no ref.
// It is got at the start, --lazy or not: the injector is made of it.
func (l *live) second(ref keyring.Ref) (keyring.Secret, error) {
	if ref.IsZero() {
		return keyring.Secret{}, nil
	}
	item, err := l.resolver.Get(context.Background(), ref)
	return item.Value, err
}

// cover writes the TOML that would cover a call.
type cover struct{ c *config.Compiled }

func (c *cover) toml(host string, port int, method, path string) string {
	return c.suggest(host, port, method, path, "")
}

func (c *cover) suggest(host string, port int, method, path, seen string) string {
	op := method + " " + discover.Template(host, path)
	m := c.c.Rules.Match(host, port, method, path)
	if m.Service != "" {
		return fmt.Sprintf("[service.%s]\nallow = [..., %q]   # add to the list that is there\n", m.Service, op)
	}
	s, err := config.Suggest(host, port, seen, nil)
	if err != nil {
		return ""
	}
	if parsed, err := parseOps(op); err == nil {
		s.Allow = parsed
	}
	return config.ServiceTOML(s)
}
