package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sync"

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
	wrong error        // the passphrase was wrong: the others need not ask again; or errClosed
	use   sync.RWMutex // read-locked while key is used
}

// errClosed is what a closed store answers.
var errClosed = errors.New("the store of secrets is closed")

// NewIdentity returns a fresh age identity, for Config.Identity.
func NewIdentity() (keyring.Secret, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return keyring.Secret{}, err
	}
	return keyring.NewSecret([]byte(id.String())), nil
}

// unlock returns the store's key, asking for the passphrase once a process. The caller says
// when it is done with the key.
func (s *Store) unlock(ctx context.Context, create bool) (key *age.X25519Identity, done func(), err error) {
	select {
	case s.id.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-s.id.gate }()
	if s.id.wrong != nil {
		return nil, nil, s.id.wrong
	}
	if s.id.key == nil {
		if s.id.key, err = s.loadKey(ctx, create); err != nil {
			if errors.Is(err, errWrong) {
				s.id.wrong = err
			}
			return nil, nil, err
		}
	}
	s.id.use.RLock()
	return s.id.key, s.id.use.RUnlock, nil
}

// Close overwrites the store's key, once nobody uses it any more; nothing can be got or set
// afterwards. A store that asks for its passphrase at this moment has no key, and is left to
// its human.
func (s *Store) Close() error {
	select {
	case s.id.gate <- struct{}{}:
	default:
		return nil
	}
	defer func() { <-s.id.gate }()
	s.id.use.Lock()
	defer s.id.use.Unlock()
	if s.id.key != nil {
		clear(secretKey(s.id.key))
	}
	s.id.key, s.id.wrong = nil, errClosed
	return nil
}

// secretKey returns the bytes of an identity that open everything. The age package has no way
// to overwrite them; TestClose fails when a new one has moved the field.
func secretKey(id *age.X25519Identity) []byte {
	field := reflect.ValueOf(id).Elem().FieldByName("secretKey")
	if field.Kind() != reflect.Slice {
		return nil
	}
	return field.Bytes()
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
		if pass == nil || last != nil && bytes.Equal(pass, last) {
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
	return nil, keyring.WithHint(fmt.Errorf("%s: %w: %w", s.path(identityFile), errWrong, keyring.ErrDenied),
		"it is the one that was chosen when the first secret was stored; without it, remove that folder and store the secrets again")
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
		return written(err)
	}
	defer release()
	if _, err := os.Stat(s.path(identityFile)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: made by another agentvault at this moment: try again", s.path(identityFile))
	}
	return written(disk.WriteFile(s.path(identityFile), sealed))
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
