package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// unbound is a stored secret that may be sent nowhere so far, and what wants it.
type unbound struct {
	ref      keyring.Ref
	services []string
	hosts    []string
}

// unbound are the stored secrets of the session that have no binding.
func (l *live) unbound(ctx context.Context) []*unbound {
	var all []*unbound
	for _, c := range l.compiled.Services {
		for _, ref := range refsOf(c) {
			item, err := l.resolver.Get(ctx, ref)
			if err != nil || !ref.Stored() || len(item.Hosts) > 0 {
				continue
			}
			i := slices.IndexFunc(all, func(u *unbound) bool { return u.ref.String() == ref.String() })
			if i < 0 {
				i = len(all)
				all = append(all, &unbound{ref: ref})
			}
			all[i].services = append(all[i].services, c.Name)
			for _, host := range boundTo(c) {
				if !slices.Contains(all[i].hosts, host) {
					all[i].hosts = append(all[i].hosts, host)
				}
			}
		}
	}
	return all
}

// bind asks the human, before the child is there, where stored secrets without a binding
// may be sent. Where there is nobody to ask they stay as they are, and are refused.
func (l *live) bind(ctx context.Context) error {
	open := l.unbound(ctx)
	if len(open) == 0 || l.stores == nil {
		return nil
	}
	tty, err := openTerminal()
	if err != nil || !isTerminal(l.env.Stdin) {
		return nil
	}
	defer func() { _ = tty.Close() }()
	for _, u := range open {
		fmt.Fprintf(tty, "agentvault: %s is not bound to any host; %s would send it to\n", printable(u.ref.String()), printable(strings.Join(u.services, ", ")))
		for _, h := range u.hosts {
			fmt.Fprintf(tty, "    %s\n", printable(h))
		}
		dropTypedAhead(tty) // nobody has seen the hosts before now
		answer, err := ask(tty, "agentvault: bind it to these, for good? [y/N] ")
		if err != nil {
			return err
		}
		if answer != "y" && answer != "yes" {
			continue
		}
		if err := l.stores.bind(ctx, u.ref, u.hosts); err != nil {
			return fmt.Errorf("%s: %w", u.ref, err)
		}
		if _, _, err := l.resolver.Refresh(ctx, u.ref); err != nil {
			return err
		}
	}
	return nil
}

// bind stores hosts with a secret that has none.
func (s *stores) bind(ctx context.Context, ref keyring.Ref, hosts []string) error {
	return s.change(ctx, ref, func(item *keyring.Item) error {
		if len(item.Hosts) > 0 {
			return errors.New("it was bound meanwhile")
		}
		item.Hosts = hosts
		return nil
	})
}

// replace stores a new value under the hosts of the old one.
func (s *stores) replace(ctx context.Context, ref keyring.Ref, value keyring.Secret) error {
	return s.change(ctx, ref, func(item *keyring.Item) error {
		item.Value, item.Set = value, time.Now().UTC()
		return nil
	})
}

// change writes a stored item anew.
func (s *stores) change(ctx context.Context, ref keyring.Ref, edit func(*keyring.Item) error) error {
	store := keyring.Store(s.file)
	if ref.Scheme == "keychain" {
		var err error
		if store, err = s.chain(ctx); err != nil {
			return err
		}
	}
	item, err := store.Get(ctx, ref)
	if err != nil {
		return err
	}
	if err := edit(&item); err != nil {
		return err
	}
	return store.Set(ctx, ref.Name, item)
}

// boundTo are the places that a service sends its secrets to, without paths.
func boundTo(c config.CompiledService) []string {
	hosts := c.Hosts()
	if c.TokenHost.Name != "" {
		hosts = append(hosts, c.TokenHost)
	}
	var names []string
	for _, h := range hosts {
		h.Path = ""
		if name := h.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
