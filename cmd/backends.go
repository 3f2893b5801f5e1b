package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/command"
	"agentvault/keyring/envvar"
	"agentvault/keyring/file"
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

	file *file.Store

	mu       sync.Mutex
	keychain keyring.Store // nil until it was asked for
}

func newStores(env Env, passphraseFD int, notice func(string, ...any)) *stores {
	s := &stores{env: env, notice: notice, passphrase: passphraseSource(env, passphraseFD)}
	s.file = file.New(file.Config{Dir: s.dir(), Passphrase: s.passphrase})
	return s
}

// chain is the store behind keychain: refs. Where the machine has no keychain it is the
// encrypted file, which is said once. A keychain that is there and locked is an error: a
// secret that was stored in it must not be looked for elsewhere.
func (s *stores) chain(ctx context.Context) (keyring.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keychain != nil {
		return s.keychain, nil
	}
	if err := s.homeless(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, keychainTime)
	defer cancel()
	switch err := keychain.Available(ctx); {
	case err == nil:
		s.keychain = keychain.New(keychain.Config{Dir: filepath.Join(s.env.dataDir(), "large")})
	case errors.Is(err, keyring.ErrUnavailable):
		s.notice("no keychain here (%v); secrets are kept in the encrypted file below %s", err, s.dir())
		s.keychain = s.file
	default:
		return nil, err
	}
	return s.keychain, nil
}

// opened is a store that may be read at once: the passphrase of the file is asked for
// here, where no time limit runs, and not in the middle of a get.
func (s *stores) opened(store keyring.Store) (keyring.Backend, error) {
	if store == keyring.Store(s.file) {
		if err := s.homeless(); err != nil {
			return nil, err
		}
		if err := s.file.Unlock(context.Background()); err != nil {
			return nil, err
		}
	}
	return store, nil
}

// homeless is the error of a store that would be a folder of the working directory.
func (s *stores) homeless() error {
	if s.env.dataDir() != "" {
		return nil
	}
	return withHint(fmt.Errorf("secrets: no folder for them: HOME is not set: %w", keyring.ErrUnavailable), "set HOME or XDG_DATA_HOME to an absolute path")
}

// close overwrites the keys of the encrypted files that were opened.
func (s *stores) close() {
	_ = s.file.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.keychain.(io.Closer); ok {
		_ = c.Close()
	}
}

func (s *stores) dir() string { return filepath.Join(s.env.dataDir(), "secrets") }

// backends maps schemes to backends. Each is opened when the first ref needs it.
func backends(env Env, s *stores, l *logins) map[string]func() (keyring.Backend, error) {
	return map[string]func() (keyring.Backend, error){
		"keychain": func() (keyring.Backend, error) {
			store, err := s.chain(context.Background())
			if err != nil {
				return nil, err
			}
			return s.opened(store)
		},
		"file": func() (keyring.Backend, error) { return s.opened(s.file) },
		"env":  func() (keyring.Backend, error) { return envvar.New(env.LookupEnv), nil },
		"exec": func() (keyring.Backend, error) {
			return command.New(command.Config{Env: env.Environ, Dir: env.Dir}), nil
		},
		"infisical": l.infisical,
		"vault":     l.vault,
		"aws":       l.aws,
	}
}
