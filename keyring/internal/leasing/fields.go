package leasing

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"agentvault/keyring"
)

// Fields are what a structured secret consists of, by name. Names are no secrets.
type Fields map[string]keyring.Secret

// NewFields takes what a server sent as JSON. Text is taken as it is, a number as it was
// written, a list or an object as JSON, and null is empty.
func NewFields(data map[string]any) Fields {
	f := make(Fields, len(data))
	for name, value := range data {
		raw := text(value)
		f[name] = keyring.NewSecret(raw)
		clear(raw)
	}
	return f
}

func text(value any) []byte {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return []byte(v)
	case json.Number:
		return []byte(v)
	}
	b, _ := json.Marshal(value) // it was JSON
	return b
}

// Pick takes one field out. An empty name means the only one.
func (f Fields) Pick(name string) (keyring.Item, error) {
	if name == "" && len(f) != 1 {
		return keyring.Item{}, keyring.WithHint(fmt.Errorf("several fields, and the ref names none (one of: %s)", f.names()),
			"add #FIELD to the ref")
	}
	value, ok := f[name]
	if name == "" {
		for _, value = range f {
		}
	} else if !ok {
		return keyring.Item{}, fmt.Errorf("no field %q (one of: %s): %w", name, f.names(), keyring.ErrNotFound)
	}
	raw := []byte(value.Reveal())
	defer clear(raw)
	return keyring.Received(raw)
}

// Wipe overwrites the values.
func (f Fields) Wipe() {
	for _, value := range f {
		value.Wipe()
	}
}

func (f Fields) names() string {
	return keyring.Excerpt(strings.Join(slices.Sorted(maps.Keys(f)), ", "))
}
