// Package keychain keeps secrets in the keychain of the operating system: the macOS
// Keychain, the Windows Credential Manager, the Secret Service (gnome-keyring, KWallet,
// KeePassXC).
//
// Every secret is one item of the service "agentvault", named by the secret. The item is
// a JSON envelope that holds the value and, beside it, the hosts that it may ever be sent
// to: who changes the one has had to open the other. Because no keychain lists items
// through one interface, further items (":index0", ":index1", ...) hold names, hosts and
// dates; they are for List only. A value that the platform has no room for goes to an age
// file whose key is the item ":identity".
//
// On macOS any process of the same user can read the items (they belong to
// /usr/bin/security, through which go-keyring works); the sandbox is what keeps a child
// away from them.
//
// A call of a keychain may wait for a human. Each is therefore bounded by its context;
// the one left behind goes on in the background, and no more than four ever do.
package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/file"
	"agentvault/keyring/internal/disk"
)

// Service is the name under which keychains show our items.
const Service = "agentvault"

// identityItem names the item that holds the key of the file store. A colon cannot stand
// in a secret's name.
const identityItem = ":identity"

// Config says where things are. Its zero value is a keychain without room for large values.
type Config struct {
	// Dir is for the age files of values that the keychain has no room for, and for the
	// lock of the index. Without it large values are refused, and two processes that
	// store at the same moment may lose a line of the index. It is not the folder of
	// another file.Store: their keys differ.
	Dir string
	// Limit is the largest item in bytes; zero means the platform's.
	Limit int
	// Ring is the operating system's keychain when nil; tests bring their own.
	Ring Ring
}

// Store keeps secrets in the keychain. It is safe for concurrent use.
type Store struct {
	c     Config
	ring  *bounded
	spill *file.Store // nil without Config.Dir
}

var _ keyring.Store = (*Store)(nil)

// New returns the store. It touches nothing.
func New(c Config) *Store {
	if c.Limit == 0 {
		c.Limit = platformLimit
	}
	if c.Ring == nil {
		c.Ring = system{}
	}
	s := &Store{c: c, ring: newBounded(c.Ring)}
	if c.Dir != "" {
		s.spill = file.New(file.Config{Dir: c.Dir, Identity: s.identity})
	}
	return s
}

// envelope is an item's content.
type envelope struct {
	V     int       `json:"v"`
	Hosts []string  `json:"hosts,omitempty"`
	Set   time.Time `json:"set"`
	Value []byte    `json:"value,omitempty"` // base64
	File  bool      `json:"file,omitempty"`  // the value is in the age file of this name
}

// Get returns the secret of ref.Name.
func (s *Store) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if err := keyring.CheckName(ref.Name); err != nil {
		return keyring.Item{}, err
	}
	e, err := s.envelope(ctx, ref.Name)
	if err != nil {
		return keyring.Item{}, err
	}
	defer clear(e.Value)
	var item keyring.Item
	if e.File {
		item, err = s.large(ctx, ref)
	} else {
		item, err = keyring.Received(e.Value)
	}
	if err != nil {
		return keyring.Item{}, err
	}
	item.Hosts, item.Set = e.Hosts, e.Set
	return item, nil
}

func (s *Store) large(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if s.spill == nil {
		return keyring.Item{}, errors.New("the value is in a file, and no folder is configured")
	}
	item, err := s.spill.Get(ctx, ref)
	if errors.Is(err, keyring.ErrNotFound) {
		return item, fmt.Errorf("%s is missing: %w", filepath.Join(s.c.Dir, ref.Name+".age"), err)
	}
	return item, err
}

func (s *Store) envelope(ctx context.Context, name string) (envelope, error) {
	text, err := s.ring.Get(ctx, name)
	if err != nil {
		return envelope{}, err
	}
	var e envelope
	switch err := json.Unmarshal([]byte(text), &e); {
	case err != nil: // err may quote the value
		return envelope{}, keyring.WithHint(errors.New("the item was not written by agentvault"),
			fmt.Sprintf("store it again with \"agentvault secret set %s\"", name))
	case e.V != 1:
		clear(e.Value)
		return envelope{}, fmt.Errorf("the item was written by a newer agentvault (format %d)", e.V)
	}
	return e, nil
}

// Set stores item, replacing what was there, and reads it back: /usr/bin/security says
// "done" whatever happened.
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
	if item.Set.IsZero() {
		item.Set = time.Now()
	}
	item.Set = item.Set.UTC().Truncate(time.Second)
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	e := envelope{V: 1, Hosts: item.Hosts, Set: item.Set, Value: []byte(item.Value.Reveal())}
	defer clear(e.Value)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	defer clear(text)
	if len(text) > s.c.Limit {
		return s.setLarge(ctx, name, item)
	}
	if err := s.put(ctx, name, string(text)); err != nil {
		return err
	}
	if err := s.dropFile(ctx, name); err != nil {
		return err
	}
	return s.record(ctx, name, indexed{Hosts: item.Hosts, Set: item.Set})
}

// setLarge puts the value into a file, then the item that points to it.
func (s *Store) setLarge(ctx context.Context, name string, item keyring.Item) error {
	if s.spill == nil {
		return fmt.Errorf("the value has %d bytes, more than this keychain takes", item.Value.Len())
	}
	if err := s.spill.Set(ctx, name, item); err != nil {
		return err
	}
	text, err := json.Marshal(envelope{V: 1, Hosts: item.Hosts, Set: item.Set, File: true})
	if err != nil {
		return err
	}
	if err := s.put(ctx, name, string(text)); err != nil {
		return err
	}
	return s.record(ctx, name, indexed{Hosts: item.Hosts, Set: item.Set})
}

// put writes an item and makes sure that it is there.
func (s *Store) put(ctx context.Context, name, text string) error {
	if len(text) > s.c.Limit {
		return fmt.Errorf("name and hosts alone take %d bytes, more than this keychain has room for", len(text))
	}
	if err := s.ring.Set(ctx, name, text); err != nil {
		return err
	}
	back, err := s.ring.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("read back what was stored: %w", err)
	}
	if back != text {
		return fmt.Errorf("the keychain kept something else than was stored: %w", keyring.ErrUnavailable)
	}
	return nil
}

// List returns what the index holds.
func (s *Store) List(ctx context.Context) ([]keyring.Entry, error) {
	known, _, err := s.readIndex(ctx)
	if err != nil {
		return nil, err
	}
	return known.entries(), nil
}

// Remove deletes the item, its file where it has one, and its line in the index.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := keyring.CheckName(name); err != nil {
		return err
	}
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	gone := s.ring.Delete(ctx, name)
	if gone != nil && !errors.Is(gone, keyring.ErrNotFound) {
		return gone
	}
	if err := s.dropFile(ctx, name); err != nil {
		return err
	}
	// Also when the item was gone already, by another program's hand: the line goes too.
	if err := s.forget(ctx, name); err != nil {
		return err
	}
	return gone
}

// dropFile removes the file that a value once had.
func (s *Store) dropFile(ctx context.Context, name string) error {
	if s.spill == nil {
		return nil
	}
	if err := s.spill.Remove(ctx, name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}

// identity returns the key of the file store, which is an item of the keychain.
func (s *Store) identity(ctx context.Context, create bool) (keyring.Secret, error) {
	text, err := s.ring.Get(ctx, identityItem)
	if err == nil {
		return keyring.NewSecret([]byte(text)), nil
	}
	if !errors.Is(err, keyring.ErrNotFound) {
		return keyring.Secret{}, err
	}
	if !create {
		return keyring.Secret{}, fmt.Errorf("the key of %s is no longer in the keychain: %w", s.c.Dir, err)
	}
	id, err := file.NewIdentity()
	if err != nil {
		return keyring.Secret{}, err
	}
	return id, s.put(ctx, identityItem, id.Reveal())
}

// Close overwrites the key of the file store. Large values cannot be got afterwards.
func (s *Store) Close() error {
	if s.spill == nil {
		return nil
	}
	return s.spill.Close()
}

// lock serialises the processes that write, because the index is read and written back.
// It is not the file store's own lock, which is taken underneath this one.
func (s *Store) lock(ctx context.Context) (func(), error) {
	if s.c.Dir == "" {
		return func() {}, nil
	}
	if err := disk.MkdirPrivate(s.c.Dir); err != nil {
		return nil, err
	}
	return disk.Lock(ctx, filepath.Join(s.c.Dir, "keychain.lock"))
}
