// Package envvar reads secrets from environment variables, each once: what the
// environment becomes later changes nothing for the session.
package envvar

import (
	"context"
	"fmt"
	"sync"

	"agentvault/keyring"
)

// Backend answers refs `env:NAME`. It is safe for concurrent use.
type Backend struct {
	lookup func(string) (string, bool)

	mu   sync.Mutex
	read map[string]variable
}

// variable is what was found when a name was first looked up.
type variable struct {
	value []byte
	set   bool
}

var _ keyring.Backend = (*Backend)(nil)

// New returns a backend that has read names already; any other name is read when it is
// first asked for. lookup is os.LookupEnv outside tests.
func New(lookup func(string) (string, bool), names ...string) *Backend {
	b := &Backend{lookup: lookup, read: map[string]variable{}}
	for _, name := range names {
		b.variable(name)
	}
	return b
}

// Get returns the variable of ref.Name.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if err := ctx.Err(); err != nil {
		return keyring.Item{}, err
	}
	v := b.variable(ref.Name)
	if !v.set {
		return keyring.Item{}, keyring.WithHint(fmt.Errorf("not set in agentvault's environment: %w", keyring.ErrNotFound),
			fmt.Sprintf("export %s before starting agentvault, or keep the value in the keychain", ref.Name))
	}
	return keyring.Received(v.value)
}

func (b *Backend) variable(name string) variable {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.read[name]
	if !ok {
		value, set := b.lookup(name)
		v = variable{[]byte(value), set}
		b.read[name] = v
	}
	return v
}

// Close overwrites what was read.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.read {
		clear(v.value)
	}
	clear(b.read)
	return nil
}
