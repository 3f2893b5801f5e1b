// Package file keeps secrets as age files in a private folder: the store of a machine
// that has no keychain, and of values that a keychain has no room for.
//
// The folder (0700) holds
//
//	identity.key   one X25519 identity, encrypted under the passphrase with scrypt
//	NAME.age       one secret each, encrypted to that identity: value, hosts, date, name
//	index.json     names, hosts and dates, in clear
//	lock           taken by whoever changes something
//
// Readable without the passphrase are the names (they are file names), the hosts and
// the dates: List asks for nothing. The index is for reading only: what a secret may be
// sent to stands inside its encrypted file, beside the value and the name, so that no
// edit of the index and no renaming of a file changes where a value goes. The public half
// of the identity is nowhere on the disk; who lacks the passphrase cannot add a file.
//
// Files are replaced atomically. A file that cannot be read, because it is damaged or was
// encrypted to another identity, is reported and left as it is; only Remove deletes it.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"agentvault/keyring"
	"agentvault/keyring/internal/disk"
)

const (
	identityFile = "identity.key" // not .age: no secret's file can have this name
	indexFile    = "index.json"
	lockFile     = "lock"
	suffix       = ".age"

	// maxFile bounds what is read: the largest value in base64, with room for its hosts.
	maxFile = keyring.MaxValue*4/3 + 1<<16
)

// Config says where the store is and what opens it. Either Passphrase or Identity is set.
type Config struct {
	// Dir is made when the first secret is stored.
	Dir string
	// Passphrase is asked when a value is first read or written in this process, up to
	// three times while the answers are wrong and differ; no answer and no error mean that
	// there is no other. create says that there is no identity yet and this passphrase will
	// guard the new one. The bytes are overwritten after use.
	Passphrase func(ctx context.Context, create bool) ([]byte, error)
	// Identity takes the place of passphrase and identity.key: it returns an age
	// identity that is kept elsewhere. With create it makes one if there is none.
	Identity func(ctx context.Context, create bool) (keyring.Secret, error)
	// WorkFactor is the log2 of scrypt's cost. Zero is age's own choice, about a second;
	// tests lower it.
	WorkFactor int
}

// Store is a folder of age files. It is safe for concurrent use, by several processes too.
type Store struct {
	c  Config
	id identity
}

var _ keyring.Store = (*Store)(nil)

// New returns the store in c.Dir. It touches nothing.
func New(c Config) *Store {
	return &Store{c: c, id: identity{gate: make(chan struct{}, 1)}}
}

// Unlock asks for the passphrase now rather than at the first Get, for a caller who
// knows that the terminal is still his. Where no secret was ever stored there is
// nothing to unlock, and nothing is asked.
func (s *Store) Unlock(ctx context.Context) error {
	if _, err := os.Stat(s.path(identityFile)); s.c.Identity == nil && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, done, err := s.unlock(ctx, false)
	if err == nil {
		done()
	}
	return err
}

// Get returns the secret of ref.Name.
func (s *Store) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if err := keyring.CheckName(ref.Name); err != nil {
		return keyring.Item{}, err
	}
	// Before the passphrase: for a secret that is not there, none is needed.
	sealed, err := s.read(ref.Name)
	if err != nil {
		return keyring.Item{}, err
	}
	id, done, err := s.unlock(ctx, false)
	if err != nil {
		return keyring.Item{}, err
	}
	defer done()
	e, err := open(sealed, id, ref.Name)
	if err != nil {
		return keyring.Item{}, s.unreadable(ref.Name, err)
	}
	defer clear(e.Value)
	item, err := keyring.Received(e.Value)
	if err != nil {
		return keyring.Item{}, err
	}
	item.Hosts, item.Set = e.Hosts, e.Set
	return item, nil
}

// Set stores item. It refuses to replace a file that it cannot read.
func (s *Store) Set(ctx context.Context, name string, item keyring.Item) error {
	if err := keyring.CheckName(name); err != nil {
		return err
	}
	switch n := item.Value.Len(); {
	case n == 0:
		return keyring.ErrEmpty
	case n > keyring.MaxValue:
		return fmt.Errorf("value has %d bytes (at most %d)", n, keyring.MaxValue)
	}
	if err := disk.MkdirPrivate(s.c.Dir); err != nil {
		return written(err)
	}
	id, done, err := s.unlock(ctx, true)
	if err != nil {
		return err
	}
	defer done()
	release, err := disk.Lock(ctx, s.path(lockFile))
	if err != nil {
		return written(err)
	}
	defer release()
	disk.Clean(s.c.Dir)
	if err := s.replaceable(name, id); err != nil {
		return err
	}
	if item.Set.IsZero() {
		item.Set = time.Now()
	}
	value := []byte(item.Value.Reveal())
	defer clear(value)
	sealed, err := seal(envelope{V: 1, Name: name, Hosts: item.Hosts, Set: item.Set.UTC().Truncate(time.Second), Value: value}, id)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(s.path(name+suffix), sealed); err != nil {
		return written(err)
	}
	return s.reindex(id)
}

// List returns the names in the folder with what the index knows of them. It needs no
// passphrase.
func (s *Store) List(context.Context) ([]keyring.Entry, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	known, err := s.readIndex()
	if err != nil {
		return nil, keyring.WithHint(err, "remove that file; the next secret that is stored writes it anew, from the secrets themselves")
	}
	entries := make([]keyring.Entry, 0, len(names))
	for _, name := range names {
		e := known[name]
		entries = append(entries, keyring.Entry{Name: name, Hosts: e.Hosts, Set: e.Set})
	}
	return entries, nil
}

// Remove deletes a secret's file, readable or not. It needs no passphrase.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := keyring.CheckName(name); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path(name + suffix)); err != nil { // and makes no folder for a lock
		return access(err)
	}
	release, err := disk.Lock(ctx, s.path(lockFile))
	if err != nil {
		return access(err)
	}
	defer release()
	if err := os.Remove(s.path(name + suffix)); err != nil {
		return access(err)
	}
	known, err := s.readIndex()
	if err != nil {
		return nil // the secret is gone; List reports the index
	}
	delete(known, name)
	return s.writeIndex(known)
}

func (s *Store) path(name string) string { return filepath.Join(s.c.Dir, name) }

// read returns the sealed bytes of a secret.
func (s *Store) read(name string) ([]byte, error) {
	path := s.path(name + suffix)
	info, err := os.Stat(path)
	if err != nil {
		return nil, access(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, s.unreadable(name, errors.New("not a file that agentvault wrote"))
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, access(err)
	}
	return sealed, nil
}

// replaceable refuses to overwrite what cannot be read: it may be all that is left of a
// secret that another identity can still open.
func (s *Store) replaceable(name string, id *age.X25519Identity) error {
	sealed, err := s.read(name)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := open(sealed, id, name)
	clear(e.Value)
	if err != nil {
		return s.unreadable(name, err)
	}
	return nil
}

func (s *Store) unreadable(name string, err error) error {
	return keyring.WithHint(fmt.Errorf("%s: %w", s.path(name+suffix), err),
		fmt.Sprintf("the file was left as it is: restore it from a copy, or drop it with \"agentvault secret rm %s\"", name))
}

// names lists the secrets in the folder, sorted.
func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, access(err)
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if ok && keyring.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// access gives the error of a file that is read, or removed, the type that it means for a secret.
func access(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return keyring.ErrNotFound
	}
	return written(err)
}

// written does the same for one that is written: that its folder cannot be there does not mean
// that the secret is not.
func written(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", keyring.ErrDenied, err)
	}
	return err
}
