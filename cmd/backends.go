package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/keyring/command"
	"agentvault/keyring/envvar"
	"agentvault/keyring/file"
	"agentvault/keyring/infisical"
	"agentvault/keyring/keychain"
)

// A keychain that does not answer in this time is taken for missing.
const keychainTime = 5 * time.Second

// stores opens the places that agentvault itself writes: the keychain and, beside it or
// in its stead, the encrypted file.
type stores struct {
	env        Env
	passphrase func(ctx context.Context, create bool) ([]byte, error)
	notice     func(format string, args ...any)

	once     sync.Once
	keychain keyring.Store
	file     *file.Store
}

func newStores(env Env, passphraseFD int, notice func(string, ...any)) *stores {
	s := &stores{env: env, notice: notice, passphrase: passphraseSource(env, passphraseFD)}
	s.file = file.New(file.Config{Dir: filepath.Join(env.dataDir(), "secrets"), Passphrase: s.passphrase})
	return s
}

// chain is the store behind keychain: refs. Where the machine has no keychain it is the
// encrypted file, which is said once.
func (s *stores) chain() keyring.Store {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), keychainTime)
		defer cancel()
		if err := keychain.Available(ctx); err != nil {
			s.notice("no keychain here (%v); secrets are kept in the encrypted file below %s", err, filepath.Join(s.env.dataDir(), "secrets"))
			s.keychain = s.file
			return
		}
		s.keychain = keychain.New(keychain.Config{Dir: filepath.Join(s.env.dataDir(), "large")})
	})
	return s.keychain
}

// backends maps schemes to backends. Each is opened when the first ref needs it.
func backends(env Env, s *stores, c config.Infisical, resolve func(context.Context, keyring.Ref) (keyring.Secret, error)) map[string]func() (keyring.Backend, error) {
	return map[string]func() (keyring.Backend, error){
		"keychain": func() (keyring.Backend, error) { return s.chain(), nil },
		"file":     func() (keyring.Backend, error) { return s.file, nil },
		"env":      func() (keyring.Backend, error) { return envvar.New(env.LookupEnv), nil },
		"exec": func() (keyring.Backend, error) {
			return command.New(command.Config{Env: env.Environ, Dir: env.Dir}), nil
		},
		"infisical": func() (keyring.Backend, error) {
			return newInfisical(c, resolve)
		},
	}
}

func newInfisical(c config.Infisical, resolve func(context.Context, keyring.Ref) (keyring.Secret, error)) (keyring.Backend, error) {
	if c.ClientSecret.IsZero() && c.AccessToken.IsZero() {
		return nil, withHint(fmt.Errorf("infisical: no credentials: %w", keyring.ErrDenied),
			"add [infisical] with client_id and client_secret = \"keychain:infisical\" to agentvault.toml")
	}
	secret := func(r keyring.Ref) func(context.Context) (keyring.Secret, error) {
		if r.IsZero() {
			return nil
		}
		return func(ctx context.Context) (keyring.Secret, error) { return resolve(ctx, r) }
	}
	return infisical.New(infisical.Config{SiteURL: c.SiteURL, ClientID: c.ClientID,
		ClientSecret: secret(c.ClientSecret), AccessToken: secret(c.AccessToken)}), nil
}
