package cmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/keyring/awssm"
	"agentvault/keyring/infisical"
	"agentvault/keyring/vault"
	"agentvault/proxy/rule"
)

// logins opens the backends that sign in somewhere, and decides what they may show to whom.
// A file that came with a project names both a credential and the server that it is shown
// to, so:
//
//   - a credential in the keychain or the file goes to the servers of its binding,
//   - one from a variable or a command goes to the servers of a [binding] in the user's own
//     file; without one to any, unless it was a project's file that named it,
//   - what needs no naming (VAULT_TOKEN, ~/.vault-token, the cloud that this machine runs in)
//     goes to no server that a project's file chose.
type logins struct {
	env      Env
	compiled *config.Compiled
	get      func(context.Context, keyring.Ref) (keyring.Item, error)
	account  func() (*awssm.Backend, error) // one for all who ask who we are for AWS
}

func newLogins(env Env, c *config.Compiled, get func(context.Context, keyring.Ref) (keyring.Item, error)) *logins {
	l := &logins{env: env, compiled: c, get: get}
	l.account = sync.OnceValues(l.newAccount)
	return l
}

// login is a credential that a backend signs in with.
type login struct {
	backend string
	ref     keyring.Ref
	get     func(context.Context) (keyring.Secret, error)
}

// own are the logins of the backends that refs need.
func (l *logins) own(refs []keyring.Ref) (all []login) {
	add := func(backend string, from config.Section, server string, own ...keyring.Ref) {
		if !needs(refs, backend) {
			return
		}
		for _, ref := range own {
			if !ref.IsZero() {
				all = append(all, login{backend, ref, l.credential(ref, from, server)})
			}
		}
	}
	i, v := l.compiled.Infisical, l.compiled.Vault
	add("infisical", i.Section, l.site(), i.ClientSecret, i.AccessToken, i.IdentityToken, i.IdentityKey)
	add("vault", v.Section, l.vaultServer(), v.Token, v.SecretID, v.JWT)
	return all
}

func needs(refs []keyring.Ref, scheme string) bool {
	return slices.ContainsFunc(refs, func(r keyring.Ref) bool { return r.Scheme == scheme })
}

// unlock gets the logins that are stored, where no time limit runs: a human may have to be
// asked for a passphrase. What goes wrong is told by the backend that needs it.
func (l *logins) unlock(ctx context.Context, refs []keyring.Ref) {
	for _, o := range l.own(refs) {
		if o.ref.Stored() && (o.backend != "vault" || l.env.get("VAULT_TOKEN") == "") { // with that none may be needed
			_, _ = o.get(ctx)
		}
	}
}

// runCommands runs the commands that backends of the refs sign in with, and keeps what they
// print for the session. It is for a session that gets its secrets later: once the child is
// there no command is run, which it could look into, or put another program in its place.
func (l *logins) runCommands(ctx context.Context, refs []keyring.Ref) (errs []error) {
	for _, o := range l.own(refs) {
		if o.ref.Scheme != "exec" {
			continue
		}
		if _, err := o.get(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.backend, err))
		}
	}
	if needs(refs, "aws") || needs(refs, "infisical") && l.compiled.Infisical.IdentityMethod == string(infisical.AWS) {
		account, err := l.account()
		if err == nil {
			err = account.Prepare(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("aws: %w", err))
		}
	}
	return errs
}

func (l *logins) site() string { return cmp.Or(l.compiled.Infisical.SiteURL, infisical.DefaultSite) }

func (l *logins) vaultServer() string {
	return cmp.Or(l.compiled.Vault.Address, l.env.get("VAULT_ADDR"))
}

// credential returns what gets ref for the server; nil for the zero Ref.
func (l *logins) credential(ref keyring.Ref, from config.Section, server string) func(context.Context) (keyring.Secret, error) {
	if ref.IsZero() {
		return nil
	}
	return func(ctx context.Context) (keyring.Secret, error) {
		// Before it is got: a command runs for nobody who may not have its answer.
		host, err := serverHost(server)
		if err == nil && !ref.Stored() {
			err = l.named(ref, from, host)
		}
		if err != nil {
			return keyring.Secret{}, err
		}
		item, err := l.get(ctx, ref)
		if err != nil {
			return keyring.Secret{}, err
		}
		if ref.Stored() && !bindingNames(item.Hosts, host) {
			return keyring.Secret{}, withHint(fmt.Errorf("%s is not bound to %s: %w", ref, host, keyring.ErrDenied), "agentvault secret set %s --host %s", ref.Name, host)
		}
		return item.Value, nil
	}
}

// named holds a variable or a command to the user's own binding.
func (l *logins) named(ref keyring.Ref, from config.Section, host rule.Host) error {
	const hint = "in your own file: [binding] %q = [%q]"
	hosts, bound := l.compiled.Bound(ref)
	var names []string
	for _, h := range hosts {
		names = append(names, h.String())
	}
	switch {
	case bound && !bindingNames(names, host):
		return withHint(fmt.Errorf("%s is not bound to %s: %w", ref, host, keyring.ErrDenied), hint, ref, host)
	case !bound && from.Kind == config.Project:
		return withHint(fmt.Errorf("%s: the project's file may not send %s to %s: %w", from.Pos, ref, host, keyring.ErrDenied), hint, ref, host)
	}
	return nil
}

func serverHost(server string) (rule.Host, error) {
	u, err := url.Parse(server)
	if err != nil {
		return rule.Host{}, errors.New("the server's address is no URL")
	}
	return rule.ParseHost(u.Host)
}

func (l *logins) infisical() (keyring.Backend, error) {
	way, err := parentUpstream(l.env)
	if err != nil {
		return nil, err
	}
	c := l.compiled.Infisical
	site := l.site()
	if c.ClientSecret.IsZero() && c.AccessToken.IsZero() && c.IdentityMethod == "" {
		return nil, withHint(fmt.Errorf("infisical: no credentials: %w", keyring.ErrDenied),
			"add [infisical] with client_id and client_secret = \"keychain:infisical\" to agentvault.toml")
	}
	o := infisical.Config{SiteURL: site, ClientID: c.ClientID, RootCAs: way.Roots, Proxy: way.Proxy, Project: c.Project, Env: c.Env, Path: c.Path,
		ClientSecret: l.credential(c.ClientSecret, c.Section, site), AccessToken: l.credential(c.AccessToken, c.Section, site)}
	if c.IdentityMethod == "" {
		return infisical.New(o), nil
	}
	o.Identity = &infisical.Identity{ID: c.IdentityID, Method: infisical.Method(c.IdentityMethod), Resource: c.IdentityResource,
		Token: l.credential(c.IdentityToken, c.Section, site), Key: l.credential(c.IdentityKey, c.Section, site), User: c.IdentityUser}
	if o.Identity.Token != nil || o.Identity.Key != nil {
		return infisical.New(o), nil
	}
	// The machine itself is what signs in.
	if c.Kind == config.Project && !infisicalCloud(site) {
		return nil, withHint(fmt.Errorf("%s: the project's file may not show what this machine is to %s: %w", c.Pos, site, keyring.ErrDenied),
			"put [infisical] into your own file, or name this one with --config")
	}
	switch o.Identity.Method {
	case infisical.Kubernetes:
		o.Identity.Token = serviceAccount
	case infisical.AWS:
		o.Identity.AWS = func(ctx context.Context) (infisical.AWSIdentity, error) {
			account, err := l.account()
			if err != nil {
				return infisical.AWSIdentity{}, err
			}
			who, region, err := account.Identity(ctx)
			return infisical.AWSIdentity{Credentials: who, Region: region}, err
		}
	}
	return infisical.New(o), nil
}

// infisicalCloud reports whether a site is one of Infisical's own, which a project's file may
// name: they tell nobody else who signed in.
func infisicalCloud(site string) bool {
	h, err := serverHost(site)
	return err == nil && (h.Name == "app.infisical.com" || h.Name == "us.infisical.com" || h.Name == "eu.infisical.com") && h.Port == rule.DefaultPort
}

// serviceAccount reads the token that Kubernetes gives to every pod, and replaces often.
func serviceAccount(context.Context) (keyring.Secret, error) {
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/token")
	if errors.Is(err, os.ErrNotExist) {
		return keyring.Secret{}, fmt.Errorf("no service account of Kubernetes here: %w", keyring.ErrNotFound)
	}
	return keyring.NewSecret(bytes.TrimSpace(text)), err
}

func (l *logins) vault() (keyring.Backend, error) {
	way, err := parentUpstream(l.env)
	if err != nil {
		return nil, err
	}
	c := l.compiled.Vault
	server := l.vaultServer()
	o := vault.Config{
		Address: c.Address, Namespace: c.Namespace, CACert: c.CACert, RootCAs: way.Roots, Proxy: way.Proxy, LookupEnv: l.env.LookupEnv,
		Token:    l.credential(c.Token, c.Section, server),
		OwnLogin: c.Kind != config.Project,
	}
	if home := l.env.home(); filepath.IsAbs(home) { // a relative one would be found in the project's folder
		o.TokenFile = filepath.Join(home, ".vault-token")
	}
	if !c.SecretID.IsZero() {
		o.AppRole = &vault.AppRole{Mount: c.Mount, RoleID: c.RoleID, SecretID: l.credential(c.SecretID, c.Section, server), Wrapped: c.Wrapped}
	}
	if !c.JWT.IsZero() {
		o.JWT = &vault.JWT{Mount: c.Mount, Role: c.Role, Token: l.credential(c.JWT, c.Section, server)}
	}
	return vault.New(o), nil
}

func (l *logins) aws() (keyring.Backend, error) {
	account, err := l.account()
	if err != nil {
		return nil, err // and not an interface around nil
	}
	return account, nil
}

// newAccount signs in as every AWS tool here does. A project's file may choose the region and
// the profile; the server is AWS's, or one that the user's own profile or environment names.
func (l *logins) newAccount() (*awssm.Backend, error) {
	way, err := parentUpstream(l.env)
	if err != nil {
		return nil, err
	}
	c := l.compiled.AWS
	return awssm.New(awssm.Config{Region: c.Region, Profile: c.Profile, RootCAs: way.Roots, Proxy: way.Proxy}), nil
}
