package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// token is a Vault token and where it came from.
type token struct {
	value        keyring.Secret
	source       string // for messages
	ours         bool   // we signed in for it: it is replaced before its end, and revoked
	leasing.Life        // guarded by the backend's mu
}

// seconds is how Vault counts.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// access returns a token other than refused.
func (b *Backend) access(ctx context.Context, refused *token) (*token, error) {
	if t, err := b.usable(refused); t != nil || err != nil {
		return t, err
	}
	return b.logins.Do(ctx, b.ctx, "", func(ctx context.Context) (*token, error) {
		if t, err := b.usable(refused); t != nil || err != nil {
			return t, err
		}
		t, renewable, err := b.obtain(ctx)
		if err != nil {
			return nil, err
		}
		b.hold(t.value)
		if refused != nil && t.value.Equal(refused.value) {
			return nil, keyring.WithHint(fmt.Errorf("the token (%s) has ended or was revoked: %w", t.source, keyring.ErrDenied),
				"sign in again: vault login")
		}
		b.adopt(t, renewable)
		return t, nil
	})
}

// hold remembers what Close overwrites.
func (b *Backend) hold(s keyring.Secret) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = append(b.held, s)
}

// usable returns the current token unless there must be another.
func (b *Backend) usable(refused *token) (*token, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch t := b.current; {
	case b.released:
		return nil, leasing.ErrReleased
	case t == nil, t == refused, t.ours && t.Ending():
		return nil, nil
	default:
		return t, nil
	}
}

// adopt makes t the current token, and keeps it alive.
func (b *Backend) adopt(t *token, renewable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = t
	if t.ours {
		b.tokens = append(b.tokens, t)
	}
	if b.released { // giveBack waits for this, and revokes it
		return
	}
	b.tasks.Go(func() {
		if !t.ours {
			renewable = b.inspect(t)
		}
		if renewable {
			b.keep(t)
		}
	})
}

// obtain gets a token from the first source that is there.
func (b *Backend) obtain(ctx context.Context) (t *token, renewable bool, err error) {
	switch {
	case b.c.Token != nil:
		v, err := own(ctx, "token", b.c.Token)
		return &token{value: v, source: "the configured token"}, false, err
	case b.trusted() && b.env(api.EnvVaultToken) != "":
		v, err := tidy([]byte(b.env(api.EnvVaultToken)))
		return &token{value: v, source: "VAULT_TOKEN"}, false, err
	case b.c.AppRole != nil:
		return b.appRole(ctx, *b.c.AppRole)
	case b.c.JWT != nil:
		return b.jwt(ctx, *b.c.JWT)
	case b.trusted() && b.c.TokenFile != "":
		text, err := os.ReadFile(b.c.TokenFile)
		if err == nil {
			v, err := tidy(text)
			return &token{value: v, source: b.c.TokenFile}, false, err
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, false, fmt.Errorf("Vault's token: %w", err)
		}
	}
	hint := "set VAULT_TOKEN, run vault login, or give [vault] role_id and secret_id = \"keychain:...\" in the configuration"
	switch {
	case !b.trusted():
		hint = "your own login is sent to VAULT_ADDR only, and " + b.server + " is what a project's file says: give [vault] role_id and secret_id there, or put [vault] into your own file"
	case b.c.TokenFile == "":
		hint = "~/.vault-token is not read where HOME is not set: set HOME to an absolute path, or VAULT_TOKEN, or give [vault] role_id and secret_id in the configuration"
	}
	return nil, false, keyring.WithHint(fmt.Errorf("no credential for Vault: %w", keyring.ErrDenied), hint)
}

// trusted reports whether the human's own login may be sent to the server.
func (b *Backend) trusted() bool {
	switch {
	case b.c.OwnLogin:
		return true
	case b.c.CACert != "":
		return false
	case b.c.Address == "":
		return true
	}
	theirs, err := address(b.env(api.EnvVaultAddress))
	return err == nil && theirs == b.server
}

func (b *Backend) appRole(ctx context.Context, c AppRole) (*token, bool, error) {
	at := first(c.Mount, "approle")
	b.mu.Lock()
	id := b.secretID
	b.mu.Unlock()
	kept := id.Len() > 0
	if !kept {
		var err error
		if id, err = own(ctx, "secret id", c.SecretID); err != nil {
			return nil, false, err
		}
		if c.Wrapped {
			if id, err = b.unwrap(ctx, at, id); err != nil {
				return nil, false, fmt.Errorf("unwrap the secret id: %w", err)
			}
			b.hold(id)
			b.mu.Lock()
			b.secretID = id
			b.mu.Unlock()
		}
	}
	t, renewable, err := b.signIn(ctx, at, "AppRole", id, map[string]any{"role_id": c.RoleID, "secret_id": id.Reveal()})
	if kept && errors.Is(err, keyring.ErrDenied) { // used up: the next try begins with a new wrapping
		b.mu.Lock()
		b.secretID = keyring.Secret{}
		b.mu.Unlock()
	}
	return t, renewable, err
}

// unwrap takes a secret id out of its wrapping, after a look at who wrapped it: a stolen
// token that was wrapped again would come from elsewhere.
func (b *Backend) unwrap(ctx context.Context, at string, wrapping keyring.Secret) (keyring.Secret, error) {
	none := keyring.Secret{}
	gone := func(err error) error {
		err = explain(ctx, err, wrapping)
		if errors.Is(err, errRequest) || errors.Is(err, keyring.ErrDenied) {
			return keyring.WithHint(fmt.Errorf("%w: %w", err, keyring.ErrDenied),
				"the wrapping token has ended, or was used; if you did not use it, somebody else has: revoke the secret id")
		}
		return err
	}
	s, err := b.as(none).WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": wrapping.Reveal()})
	if err != nil {
		return none, gone(err)
	}
	var from string
	if s != nil {
		from, _ = s.Data["creation_path"].(string)
	}
	if !strings.HasPrefix(from, "auth/"+at+"/role/") || !strings.HasSuffix(from, "/secret-id") {
		return none, fmt.Errorf("the token wraps what %q issued, which is no secret id: %w", keyring.Excerpt(from), keyring.ErrDenied)
	}
	s, err = b.as(wrapping).WriteWithContext(ctx, "sys/wrapping/unwrap", map[string]any{})
	if err != nil {
		return none, gone(err)
	}
	if s != nil {
		if id, _ := s.Data["secret_id"].(string); id != "" {
			return keyring.NewSecret([]byte(id)), nil
		}
	}
	return none, fmt.Errorf("the wrapping holds no secret id: %w", keyring.ErrDenied)
}

func (b *Backend) jwt(ctx context.Context, c JWT) (*token, bool, error) {
	jwt, err := own(ctx, "JWT", c.Token)
	if err != nil {
		return nil, false, err
	}
	return b.signIn(ctx, first(c.Mount, "jwt"), "JWT", jwt, map[string]any{"role": c.Role, "jwt": jwt.Reveal()})
}

func (b *Backend) signIn(ctx context.Context, at, method string, credential keyring.Secret, body map[string]any) (*token, bool, error) {
	s, err := b.as(keyring.Secret{}).WriteWithContext(ctx, "auth/"+at+"/login", body)
	if err != nil {
		err = explain(ctx, err, credential)
		if errors.Is(err, errRequest) || errors.Is(err, keyring.ErrDenied) {
			err = keyring.WithHint(fmt.Errorf("%w: %w", err, keyring.ErrDenied),
				"check the role and its credential, how often it may be used, and from which addresses")
		}
		return nil, false, fmt.Errorf("sign in with %s: %w", method, err)
	}
	if s == nil || s.Auth == nil || s.Auth.ClientToken == "" {
		return nil, false, fmt.Errorf("sign in with %s: the server gave no token: %w", method, keyring.ErrUnavailable)
	}
	return &token{
		value: keyring.NewSecret([]byte(s.Auth.ClientToken)), source: method, ours: true, Life: leasing.NewLife(seconds(s.Auth.LeaseDuration)),
	}, s.Auth.Renewable, nil
}

// own gets one of our own credentials.
func own(ctx context.Context, what string, get func(context.Context) (keyring.Secret, error)) (keyring.Secret, error) {
	if get == nil {
		return keyring.Secret{}, fmt.Errorf("Vault's %s: %w", what, keyring.ErrNotFound)
	}
	s, err := get(ctx)
	if err != nil {
		return keyring.Secret{}, fmt.Errorf("Vault's %s: %w", what, err)
	}
	if s.Len() == 0 {
		return keyring.Secret{}, fmt.Errorf("Vault's %s: %w", what, keyring.ErrEmpty)
	}
	return s, nil
}

// tidy is a token as files and variables hold it, perhaps with a newline.
func tidy(text []byte) (keyring.Secret, error) {
	defer clear(text)
	s := strings.TrimSpace(string(text))
	if s == "" {
		return keyring.Secret{}, fmt.Errorf("Vault's token: %w", keyring.ErrEmpty)
	}
	return keyring.NewSecret([]byte(s)), nil
}

// dead asks whether t is still a token: every one may look itself up.
func (b *Backend) dead(ctx context.Context, t *token) (bool, error) {
	_, err := b.as(t.value).ReadWithContext(ctx, "auth/token/lookup-self")
	if err == nil {
		return false, nil
	}
	if err = explain(ctx, err, t.value); errors.Is(err, keyring.ErrDenied) {
		return true, nil
	}
	return false, err
}

// inspect learns how long a token that we were given lives, and whether it can be renewed.
func (b *Backend) inspect(t *token) (renewable bool) {
	ctx, cancel := context.WithTimeout(b.ctx, leasing.CallTime)
	defer cancel()
	s, err := b.as(t.value).ReadWithContext(ctx, "auth/token/lookup-self")
	if err != nil || s == nil {
		return false // then it lives as long as it lives
	}
	ttl, _ := s.Data["ttl"].(json.Number)
	n, _ := ttl.Int64()
	b.mu.Lock()
	t.Life = leasing.NewLife(seconds(int(n)))
	b.mu.Unlock()
	return n > 0 && s.Data["renewable"] == true
}

func (b *Backend) renewToken(ctx context.Context, t *token) (time.Duration, error) {
	s, err := b.as(t.value).WriteWithContext(ctx, "auth/token/renew-self", map[string]any{})
	if err != nil {
		return 0, explain(ctx, err, t.value)
	}
	if s == nil || s.Auth == nil {
		return 0, errRequest
	}
	return seconds(s.Auth.LeaseDuration), nil
}
