package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"agentvault/keyring"
)

// maxChunks bounds the items that an index may take: thousands of secrets even where an
// item holds 2,560 bytes. It ends a loop that a broken keychain could keep going.
const maxChunks = 256

// indexed is what List may know of a secret without opening it.
type indexed struct {
	Hosts []string  `json:"hosts,omitempty"`
	Set   time.Time `json:"set"`
}

// index is every secret by name. In the keychain it is cut into chunks that fit an item.
type index map[string]indexed

func (ix index) entries() []keyring.Entry {
	entries := make([]keyring.Entry, 0, len(ix))
	for _, name := range slices.Sorted(maps.Keys(ix)) {
		entries = append(entries, keyring.Entry{Name: name, Hosts: ix[name].Hosts, Set: ix[name].Set})
	}
	return entries
}

// chunks cuts ix into JSON objects of at most limit bytes, in the order of the names.
func (ix index) chunks(limit int) ([]string, error) {
	var (
		done    []string
		current = index{}
		text    = "{}"
	)
	for _, name := range slices.Sorted(maps.Keys(ix)) {
		current[name] = ix[name]
		grown, err := json.Marshal(current)
		if err != nil {
			return nil, err
		}
		if len(grown) > limit && len(current) > 1 {
			done = append(done, text)
			current = index{name: ix[name]}
			if grown, err = json.Marshal(current); err != nil {
				return nil, err
			}
		}
		text = string(grown)
	}
	if len(current) > 0 {
		done = append(done, text)
	}
	return done, nil
}

func chunkName(i int) string { return ":index" + strconv.Itoa(i) }

// readIndex returns the index and the chunks that it was read from.
func (s *Store) readIndex(ctx context.Context) (index, []string, error) {
	all := index{}
	var texts []string
	for i := range maxChunks {
		text, err := s.ring.Get(ctx, chunkName(i))
		if errors.Is(err, keyring.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		var part index
		if err := json.Unmarshal([]byte(text), &part); err != nil {
			return nil, nil, fmt.Errorf("keychain item %q: damaged: %w", chunkName(i), err)
		}
		maps.Copy(all, part)
		texts = append(texts, text)
	}
	return all, texts, nil
}

// writeIndex writes the chunks that differ from old and deletes those left over.
func (s *Store) writeIndex(ctx context.Context, ix index, old []string) error {
	chunks, err := ix.chunks(s.c.Limit)
	if err != nil {
		return err
	}
	for i, text := range chunks {
		if i < len(old) && old[i] == text {
			continue
		}
		if err := s.put(ctx, chunkName(i), text); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	for i := len(old) - 1; i >= len(chunks); i-- { // from the end, so that no gap hides one
		if err := s.ring.Delete(ctx, chunkName(i)); err != nil && !errors.Is(err, keyring.ErrNotFound) {
			return fmt.Errorf("index: %w", err)
		}
	}
	return nil
}

// record puts a line into the index.
func (s *Store) record(ctx context.Context, name string, line indexed) error {
	ix, old, err := s.readIndex(ctx)
	if err != nil {
		return err
	}
	ix[name] = line
	return s.writeIndex(ctx, ix, old)
}

// forget takes a line out of the index.
func (s *Store) forget(ctx context.Context, name string) error {
	ix, old, err := s.readIndex(ctx)
	if err != nil {
		return err
	}
	if _, ok := ix[name]; !ok {
		return nil
	}
	delete(ix, name)
	return s.writeIndex(ctx, ix, old)
}
