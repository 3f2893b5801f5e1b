// Package keyring holds what a secret is, how it is named, and where it may be
// sent. It knows no backend: each of those lives in a package below this one.
//
// It uses the standard library alone.
package keyring

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// redacted is what every formatter sees in place of a value.
const redacted = "‹secret›"

// Secret is a value that cannot be printed by accident. The bytes stand behind a
// pointer, because fmt reads unexported fields of foreign structs by reflection
// and calls no method on them. The zero Secret is empty.
//
// A Secret may be copied; the copies share the bytes, and Wipe clears all of them:
// whoever reveals a wiped Secret gets the empty string, which no injector accepts.
// It is safe for concurrent use, Wipe included.
type Secret struct{ v *secretBytes }

// secretBytes keeps the bytes inside a closure. A reflect.Value of anything else, handed
// to fmt with a verb that does not fit, is followed through one pointer more than one
// would think; of a function fmt knows the address.
type secretBytes struct {
	mu    sync.RWMutex
	bytes func() *[]byte
}

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)

// NewSecret takes a copy of b.
func NewSecret(b []byte) Secret {
	c := append([]byte(nil), b...)
	return Secret{&secretBytes{bytes: func() *[]byte { return &c }}}
}

// Reveal returns the value. Only injectors, the scrubber and the stores call it.
func (s Secret) Reveal() string {
	var out string
	s.read(func(b []byte) { out = string(b) })
	return out
}

// Len is the value's length in bytes.
func (s Secret) Len() int {
	var n int
	s.read(func(b []byte) { n = len(b) })
	return n
}

// Equal compares in a time that depends on the lengths alone.
func (s Secret) Equal(t Secret) bool {
	if s.v == t.v {
		return true
	}
	// A copy of one side, so that no two locks are ever held together: s.Equal(t)
	// and t.Equal(s) with a Wipe between them would otherwise wait for each other.
	other := []byte(t.Reveal())
	defer clear(other)
	var same bool
	s.read(func(b []byte) { same = subtle.ConstantTimeCompare(b, other) == 1 })
	return same
}

// Wipe overwrites the bytes. Strings that Reveal returned are out of its reach.
func (s Secret) Wipe() {
	if s.v == nil {
		return
	}
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	b := s.v.bytes()
	clear(*b)
	*b = nil
}

// read lends the bytes to f, which must not keep them.
func (s Secret) read(f func([]byte)) {
	if s.v == nil {
		f(nil)
		return
	}
	s.v.mu.RLock()
	defer s.v.mu.RUnlock()
	f(*s.v.bytes())
}

// Format implements fmt.Formatter: every verb prints the same stand-in.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON and TOML use too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
