package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

func (l *live) newResolver(o sessionOptions) (err error) {
	if o.secrets != nil {
		l.resolver, err = o.secrets()
		return err
	}
	s := newStores(l.env, o.passphraseFD, l.notice)
	l.stores = s
	// The backends' own credentials have a resolver to themselves: they are not the
	// session's secrets, and no service can name them by accident.
	own := keyring.NewResolver(keyring.ResolverConfig{TTL: timeToLive, Backends: backends(l.env, s, newLogins(l.env, &config.Compiled{}, nil))})
	l.logins = newLogins(l.env, l.compiled, own.Get)
	l.resolver = keyring.NewResolver(keyring.ResolverConfig{TTL: timeToLive, Bind: ownBinding(l.compiled), Notify: l.changed,
		Backends: backends(l.env, s, l.logins)})
	l.onClose(s.close) // after the resolvers, which close what they have opened
	l.onClose(own.Close)
	l.onClose(l.resolver.Close)
	return nil
}

// timeToLive keeps what is read once, variables and the output of commands, for the whole
// session, and everything else as long as a rotation may stay unnoticed.
//
// A command is not run again beside the child, not even where its value ends: the child is a
// process of the same user, which could have put another program in its place, and could
// look into it while it runs with the environment that was kept from the child.
func timeToLive(scheme string) time.Duration {
	if scheme == "env" || scheme == "exec" {
		return 0
	}
	return 5 * time.Minute
}

// resolve gets every secret that the services name, side by side. One that cannot be had
// stops the start, unless that was put off to its first use.
func (l *live) resolve(ctx context.Context, o sessionOptions) error {
	refs := l.compiled.Refs
	if o.lazy { // a command runs before the child is there, or not at all
		refs = slices.DeleteFunc(slices.Clone(refs), func(r keyring.Ref) bool { return o.alone || r.Scheme != "exec" })
	}
	var errs []error
	switch {
	case l.logins == nil:
	case !o.lazy:
		l.logins.unlock(ctx, refs)
	case !o.alone:
		errs = l.logins.runCommands(ctx, l.compiled.Refs)
	}
	failed := l.resolver.ResolveAll(ctx, refs)
	for _, err := range failed {
		if errors.Is(err, errInterrupted) { // the human does not want to start
			return errInterrupted
		}
	}
	for _, c := range l.compiled.Services {
		for _, ref := range refsOf(c) {
			if err := failed[ref.String()]; err != nil {
				errs = append(errs, secretError(c, ref, err))
			}
		}
	}
	if len(errs) == 0 && !o.lazy {
		errs = append(errs, l.bind(ctx))
	}
	if errors.Join(errs...) == nil && !o.lazy {
		errs = append(errs, l.checkBindings(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return &configError{err}
	}
	l.tellEnds()
	return nil
}

// tellEnds says which values end that are read once.
func (l *live) tellEnds() {
	l.resolver.Each(func(ref keyring.Ref, item keyring.Item) {
		if timeToLive(ref.Scheme) == 0 && !item.Expires.IsZero() {
			l.notice("%s ends at %s and is not read again in this session", ref, item.Expires.Local().Format(time.DateTime))
		}
	})
}

// refsOf are all refs of a service, each once.
func refsOf(c config.CompiledService) []keyring.Ref {
	var refs []keyring.Ref
	add := func(r keyring.Ref) {
		if !r.IsZero() && !slices.ContainsFunc(refs, func(o keyring.Ref) bool { return o.String() == r.String() }) {
			refs = append(refs, r)
		}
	}
	add(c.Secret)
	for _, e := range c.Endpoints {
		for _, r := range e.Refs() {
			add(r)
		}
	}
	return refs
}

// know teaches the proxy every secret that is resolved already, the second ones of a
// service too, so that it finds them where they must not be.
func (l *live) know() {
	resolved := make(map[string]keyring.Item)
	l.resolver.Each(func(ref keyring.Ref, item keyring.Item) { resolved[ref.String()] = item })
	for _, c := range l.compiled.Services {
		for _, ref := range refsOf(c) {
			if item, ok := resolved[ref.String()]; ok {
				l.proxy.Know(c.Name, item)
			}
		}
	}
}

// envRefs are the variables that secrets are read from.
func (l *live) envRefs() []string {
	var names []string
	for _, ref := range append(slices.Clone(l.compiled.Refs), l.compiled.Own()...) {
		if ref.Scheme == "env" {
			names = append(names, ref.Name)
		}
	}
	return names
}

func secretError(c config.CompiledService, ref keyring.Ref, err error) error {
	wrapped := fmt.Errorf("service %q: %w", c.Name, err)
	var h interface{ Hint() string }
	switch {
	case errors.Is(err, keyring.ErrNotFound) && ref.Stored():
		return withHint(wrapped, "%s", setCommand(ref, c))
	case errors.As(err, &h), ref.Scheme == "exec":
		return wrapped
	}
	return withHint(wrapped, "to start without it and fail at its first use: --lazy")
}

func setCommand(ref keyring.Ref, c config.CompiledService) string {
	text := "agentvault secret set " + ref.Name
	if ref.Scheme == "file" {
		text += " --file"
	}
	for _, name := range boundTo(c) {
		text += " --host " + name
	}
	return text
}

// checkBindings finds, before the child starts, a service that its secrets' bindings
// would never let work.
func (l *live) checkBindings(ctx context.Context) error {
	var errs []error
	for _, c := range l.compiled.Services {
		for _, e := range c.Endpoints {
			if err := l.checkOthers(ctx, e); err != nil {
				errs = append(errs, fmt.Errorf("service %q: %w", c.Name, err))
			}
		}
		if c.Secret.IsZero() {
			continue
		}
		item, err := l.resolver.Get(ctx, c.Secret)
		if err != nil {
			continue // told already, or put off
		}
		if _, err := c.Inspect(item.Value, ""); err != nil {
			errs = append(errs, withHint(fmt.Errorf("service %q: %s: %w", c.Name, c.Secret, err), "%s", shapeHint(c)))
		}
		if c.Secret.Stored() && len(item.Hosts) == 0 {
			errs = append(errs, withHint(fmt.Errorf("service %q: %s is not bound to any host", c.Name, c.Secret), "%s", setCommand(c.Secret, c)))
		}
	}
	return errors.Join(errs...)
}

// shapeHint is the way out where a secret holds another provider's key.
func shapeHint(c config.CompiledService) string {
	if c.Secret.Stored() {
		return "store the right one: " + setCommand(c.Secret, c)
	}
	return "put the right value there, or correct the secret of the service in agentvault.toml"
}

// ownBinding reads the bindings of the user's own configuration, for what is not stored
// with one. No project's file has a say in them.
func ownBinding(c *config.Compiled) func(keyring.Ref) ([]string, bool) {
	return func(ref keyring.Ref) ([]string, bool) {
		bound, ok := c.Bound(ref)
		if !ok || ref.Stored() {
			return nil, false
		}
		hosts := make([]string, 0, len(bound))
		for _, h := range bound {
			hosts = append(hosts, h.String())
		}
		return hosts, true
	}
}
