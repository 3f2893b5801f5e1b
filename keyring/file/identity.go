package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"filippo.io/age"

	"agentvault/keyring"
	"agentvault/keyring/internal/disk"
)

// maxTries is how often a passphrase is asked for.
const maxTries = 3

// identity is the key of the store, once it is open. gate holds one token for whoever
// opens it, so that ten secrets ask for one passphrase.
type identity struct {
	gate  chan struct{}
	key   *age.X25519Identity
	wrong error // the passphrase was wrong: the others need not ask again
}

// NewIdentity returns a fresh age identity, for Config.Identity.
func NewIdentity() (keyring.Secret, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return keyring.Secret{}, err
	}
	return keyring.NewSecret([]byte(id.String())), nil
}

// unlock returns the store's key, asking for the passphrase once a process.
func (s *Store) unlock(ctx context.Context, create bool) (*age.X25519Identity, error) {
	select {
	case s.id.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.id.gate }()
	if s.id.key != nil || s.id.wrong != nil {
		return s.id.key, s.id.wrong
	}
	key, err := s.loadKey(ctx, create)
	if err != nil {
		if errors.Is(err, errWrong) {
			s.id.wrong = err
		}
		return nil, err
	}
	s.id.key = key
	return key, nil
}

func (s *Store) loadKey(ctx context.Context, create bool) (*age.X25519Identity, error) {
	if s.c.Identity != nil {
		text, err := s.c.Identity(ctx, create)
		if err != nil {
			return nil, err
		}
		return parseIdentity(text.Reveal())
	}
	if s.c.Passphrase == nil {
		return nil, keyring.WithHint(fmt.Errorf("no way to ask for the passphrase: %w", keyring.ErrLocked),
			"start agentvault in a terminal, or give it --passphrase-fd")
	}
	sealed, err := os.ReadFile(s.path(identityFile))
	switch {
	case err == nil:
		return s.decryptKey(ctx, sealed)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, access(err)
	}
	return s.createKey(ctx, create)
}

// errWrong is the end of the tries.
var errWrong = errors.New("wrong passphrase")

// decryptKey asks for the passphrase until it fits.
func (s *Store) decryptKey(ctx context.Context, sealed []byte) (*age.X25519Identity, error) {
	var last []byte
	defer func() { clear(last) }()
	for range maxTries {
		pass, err := s.c.Passphrase(ctx, false)
		if err != nil {
			return nil, locked(err)
		}
		if last != nil && bytes.Equal(pass, last) { // a file descriptor has one answer
			clear(pass)
			break
		}
		clear(last)
		last = pass
		guard, err := age.NewScryptIdentity(string(pass))
		if err != nil {
			continue // an empty one
		}
		plain, err := decrypt(sealed, guard)
		if errors.Is(err, errOtherKey) {
			continue
		}
		if err != nil {
			return nil, keyring.WithHint(fmt.Errorf("%s: %w", s.path(identityFile), err),
				"the file was left as it is: restore it from a copy; without it the secrets beside it cannot be read")
		}
		defer clear(plain)
		return parseIdentity(string(plain))
	}
	return nil, fmt.Errorf("%w: %w", keyring.ErrDenied, errWrong)
}

// createKey makes the identity, unless secrets wait for one that got lost.
func (s *Store) createKey(ctx context.Context, create bool) (*age.X25519Identity, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return nil, keyring.WithHint(fmt.Errorf("%s is missing, and %d secrets are encrypted for it", s.path(identityFile), len(names)),
			"restore it from a copy, or remove the secrets and store them again")
	}
	if !create {
		return nil, keyring.ErrNotFound
	}
	pass, err := s.c.Passphrase(ctx, true)
	if err != nil {
		return nil, locked(err)
	}
	defer clear(pass)
	guard, err := age.NewScryptRecipient(string(pass))
	if err != nil {
		return nil, errors.New("passphrase: empty")
	}
	if s.c.WorkFactor > 0 {
		guard.SetWorkFactor(s.c.WorkFactor)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	sealed, err := encrypt([]byte(key.String()), guard)
	if err != nil {
		return nil, err
	}
	return key, s.writeKey(ctx, sealed)
}

// writeKey puts the identity in place unless another process was faster.
func (s *Store) writeKey(ctx context.Context, sealed []byte) error {
	release, err := disk.Lock(ctx, s.path(lockFile))
	if err != nil {
		return access(err)
	}
	defer release()
	if _, err := os.Stat(s.path(identityFile)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: made by another agentvault at this moment: try again", s.path(identityFile))
	}
	return access(disk.WriteFile(s.path(identityFile), sealed))
}

func parseIdentity(text string) (*age.X25519Identity, error) {
	id, err := age.ParseX25519Identity(text)
	if err != nil {
		return nil, errors.New("damaged: the key of the encrypted store is not an age identity") // err may quote it
	}
	return id, nil
}

// locked says that nobody could be asked, unless the caller gave up, or err says it.
func locked(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, keyring.ErrLocked) {
		return err
	}
	return fmt.Errorf("%w: %w", keyring.ErrLocked, err)
}
