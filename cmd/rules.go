package cmd

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// rules turns the configuration into the proxy's. Placeholders and tokens belong to the
// session: rules that replace others in the middle of it keep them, because the child
// holds the ones and a refresh token may be good for a single use.
func (l *live) rules(c *config.Compiled) (*proxy.Rules, error) {
	r := &proxy.Rules{Set: c.Rules, Services: make(map[proxy.Endpoint]proxy.Service), Unmatched: proxy.Policy(c.Unmatched),
		Tunnel: c.Tunnel, Cover: (&cover{c}).toml}
	for _, s := range c.Services {
		placeholder, err := l.stand(s)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", s.Name, err)
		}
		for i, e := range s.Endpoints {
			r.Services[proxy.Endpoint{Service: s.Name, Index: i}] = proxy.Service{
				Name: s.Name, Secret: s.Secret, Others: e.Refs(), Inject: injector(e, placeholder), Always: e.Always,
				Insecure: s.Insecure, Copies: s.Copies, Search: e.Search, Placeholder: placeholder,
				Tokens: l.tokens(s), TokenHost: s.TokenHost, ClientCert: e.ClientCert, Inspect: s.Inspect,
				Refusals: refusals(s),
			}
		}
	}
	return r, nil
}

// refusals are what the catalogue knows of how the provider refuses a credential.
func refusals(s config.CompiledService) []proxy.Refusal {
	var all []proxy.Refusal
	for _, r := range s.Refusals {
		all = append(all, proxy.Refusal(r))
	}
	return all
}

// standIn is what a service has for as long as the session lives.
type standIn struct {
	placeholder string
	tokens      *inject.Cache // nil where the secret itself is sent
}

// stand makes a service's stand-in at its first call and returns the placeholder; "" for
// a service without a secret.
func (l *live) stand(s config.CompiledService) (string, error) {
	if s.Secret.IsZero() {
		return "", nil
	}
	if l.standIns == nil {
		l.standIns = make(map[string]*standIn)
	}
	if known, ok := l.standIns[s.Name]; ok {
		return known.placeholder, nil
	}
	p, err := inject.NewPlaceholder(rand.Reader, s.Shape)
	if err != nil {
		return "", err
	}
	in := &standIn{placeholder: p}
	if s.Exchange != nil {
		source := s.Exchange(l.wayOut)
		if o, ok := source.(*inject.OAuth2); ok {
			o.Rotated = func(ctx context.Context, refresh keyring.Secret) { l.rotated(ctx, s.Secret, refresh) }
		}
		in.tokens = inject.NewCache(source, nil)
	}
	l.mu.Lock() // tokenCaches looks from another goroutine
	l.standIns[s.Name] = in
	l.mu.Unlock()
	return p, nil
}

// tokens is nil, and not an interface around nil, where there are none.
func (l *live) tokens(s config.CompiledService) proxy.Tokens {
	if in := l.standIns[s.Name]; in != nil && in.tokens != nil {
		return in.tokens
	}
	return nil
}

// tokenCaches are the caches of all tokens that were made of secrets.
func (l *live) tokenCaches() []*inject.Cache {
	l.mu.Lock()
	defer l.mu.Unlock()
	var caches []*inject.Cache
	for _, in := range l.standIns {
		if in.tokens != nil {
			caches = append(caches, in.tokens)
		}
	}
	return caches
}

// variables are the child's placeholders by the names under which it finds them.
func (l *live) variables() map[string]string {
	vars := make(map[string]string)
	for _, s := range l.compiled.Services {
		if in := l.standIns[s.Name]; in != nil {
			for _, name := range s.Env {
				vars[name] = in.placeholder
			}
		}
	}
	return vars
}

// rotated keeps a refresh token that replaced the stored one. The old one is worth
// nothing any more, so a failure is told at once.
func (l *live) rotated(ctx context.Context, ref keyring.Ref, refresh keyring.Secret) {
	err := errors.New("only keychain: and file: secrets can be written back")
	if l.stores != nil && ref.Stored() {
		err = l.stores.replace(ctx, ref, refresh)
	}
	if err != nil {
		l.notice("%s: the issuer replaced the refresh token and the new one is not stored: %v; sign in again after this session", ref, err)
	}
}

// injector fills in what the configuration could not know.
func injector(e config.Endpoint, placeholder string) inject.Injector {
	if in, ok := e.Inject.(inject.Path); ok && in.Placeholder == "" {
		in.Placeholder = placeholder
		return in
	}
	return e.Inject
}

// checkOthers holds the secrets that an injector needs beside the service's own to their
// bindings, before the child starts: each has to name every host of the endpoint, or a
// file could send it anywhere by calling it a user.
func (l *live) checkOthers(ctx context.Context, e config.Endpoint) error {
	for _, ref := range e.Refs() {
		item, err := l.resolver.Get(ctx, ref)
		if err != nil {
			return err
		}
		for _, h := range e.Rule.Hosts {
			if (ref.Stored() || item.Hosts != nil) && !bindingNames(item.Hosts, h) {
				h.Path = ""
				return withHint(fmt.Errorf("%s is not bound to %s", ref, h),
					"agentvault secret set %s --host %s", ref.Name, strings.Join(append(slices.Clone(item.Hosts), h.String()), " --host "))
			}
		}
	}
	return nil
}

// bindingNames reports whether a binding allows all that a host pattern stands for.
func bindingNames(binding []string, h rule.Host) bool {
	for _, text := range binding {
		b, err := rule.ParseHost(text)
		if err != nil || b.Port != rule.AnyPort && b.Port != h.Port {
			continue
		}
		if b.Name == h.Name && b.Wildcard == h.Wildcard || !h.Wildcard && b.Wildcard && b.Match(h.Name, cmp.Or(h.Port, rule.DefaultPort)) {
			return true
		}
	}
	return false
}

// cover writes the TOML that would cover a call.
type cover struct{ c *config.Compiled }

func (c *cover) toml(host string, port int, method, path, operation string) string {
	folded := discover.Template(host, path)
	ops := discover.Rules(host, method, folded, operation)
	if m := c.c.Rules.Match(host, port, method, path); m.Service != "" {
		return fmt.Sprintf("[service.%s]\nallow = [..., %s]   # add to the list that is there\n", m.Service, quoted(ops))
	}
	s, err := config.Suggest(host, port, "", nil)
	if err != nil {
		return ""
	}
	if parsed, err := parseOps(ops...); err == nil {
		s.Allow = parsed
	}
	return config.ServiceTOML(s)
}
