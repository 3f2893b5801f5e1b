package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// mount is where an engine sits, as in "secret/".
type mount struct {
	path   string
	engine engine
}

// engine is what a path is read from.
type engine int

const (
	other engine = iota // anything that may issue leases, or that the server does not tell
	kv1
	kv2
)

// errVersioned says that a path turned out to be that of a key-value engine of version 2.
var errVersioned = errors.New("a versioned engine")

// mount asks the server what path is read from, once a mount.
func (b *Backend) mount(ctx context.Context, t *token, path string) (mount, error) {
	if m, ok := b.known(path); ok {
		return m, nil
	}
	// Refs of one mount arrive together: those of one first segment wait for each other.
	m, err := b.asks.Do(ctx, b.ctx, firstSegment(path), func(ctx context.Context) (mount, error) {
		if m, ok := b.known(path); ok {
			return m, nil
		}
		return b.ask(ctx, t, path)
	})
	if err == nil && !strings.HasPrefix(path, m.path) {
		// The same first segment and another mount below it: ask for this one.
		return b.ask(ctx, t, path)
	}
	return m, err
}

// ask asks what the Vault command asks. Where a server does not know the question, or its
// policies do not allow it, the path is read as it is, and a versioned engine says so then.
func (b *Backend) ask(ctx context.Context, t *token, path string) (mount, error) {
	s, err := b.as(t.value).ReadWithContext(ctx, "sys/internal/ui/mounts/"+path)
	if err != nil {
		err = explain(ctx, err, t.value)
		if errors.Is(err, keyring.ErrDenied) || errors.Is(err, errRequest) || errors.Is(err, keyring.ErrNotFound) {
			return mount{}, nil
		}
		return mount{}, err
	}
	if s == nil {
		return mount{}, nil
	}
	at, _ := s.Data["path"].(string)
	if !strings.HasSuffix(at, "/") || !strings.HasPrefix(path, at) {
		return mount{}, nil
	}
	m := mount{path: at}
	if kind, _ := s.Data["type"].(string); kind == "kv" || kind == "generic" {
		m.engine = kv1
		if options, _ := s.Data["options"].(map[string]any); options["version"] == "2" {
			m.engine = kv2
		}
	}
	b.remember(m)
	return m, nil
}

func (b *Backend) known(path string) (mount, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mounts {
		if strings.HasPrefix(path, m.path) {
			return m, true
		}
	}
	return mount{}, false
}

func (b *Backend) remember(m mount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mounts = append(b.mounts, m)
}

func firstSegment(path string) string { return path[:strings.IndexByte(path+"/", '/')] + "/" }

func (b *Backend) readKV1(ctx context.Context, t *token, ref keyring.Ref) (keyring.Item, error) {
	s, err := b.as(t.value).ReadWithContext(ctx, ref.Name)
	switch {
	case err != nil:
		return keyring.Item{}, explain(ctx, err, t.value)
	case s == nil || len(s.Data) == 0:
		return keyring.Item{}, keyring.ErrNotFound
	}
	return pick(s.Data, ref.Field)
}

func (b *Backend) readKV2(ctx context.Context, t *token, m mount, ref keyring.Ref) (keyring.Item, error) {
	rest := strings.TrimPrefix(ref.Name, m.path)
	s, err := b.as(t.value).ReadWithContext(ctx, m.path+"data/"+rest)
	if err != nil {
		return keyring.Item{}, explain(ctx, err, t.value)
	}
	var data, meta map[string]any
	if s != nil {
		data, _ = s.Data["data"].(map[string]any)
		meta, _ = s.Data["metadata"].(map[string]any)
	}
	if len(data) == 0 {
		return keyring.Item{}, missing(meta, m, rest)
	}
	item, err := pick(data, ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	if v, ok := meta["version"].(json.Number); ok {
		item.Version = v.String()
	}
	if at, ok := meta["created_time"].(string); ok {
		item.Set, _ = time.Parse(time.RFC3339Nano, at)
	}
	return item, nil
}

// missing says why there is nothing at a path of version 2.
func missing(meta map[string]any, m mount, rest string) error {
	if at, _ := meta["deletion_time"].(string); at != "" {
		if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
			return fmt.Errorf("its newest version was deleted on %s: %w", t.UTC().Format(time.DateOnly), keyring.ErrNotFound)
		}
	}
	if meta["destroyed"] == true {
		return fmt.Errorf("its newest version was destroyed: %w", keyring.ErrNotFound)
	}
	if plain, ok := strings.CutPrefix(rest, "data/"); ok {
		return keyring.WithHint(keyring.ErrNotFound, "the path is written without data/: vault:"+m.path+plain)
	}
	return keyring.ErrNotFound
}

// pick takes one field out of what an engine holds.
func pick(data map[string]any, field string) (keyring.Item, error) {
	fields := leasing.NewFields(data)
	defer fields.Wipe()
	return fields.Pick(field)
}

// versioned reports whether an answer is the complaint of a versioned engine that it was
// asked as one without versions.
func versioned(s *api.Secret) bool {
	return s != nil && len(s.Data) == 0 && slices.ContainsFunc(s.Warnings, func(w string) bool {
		return strings.Contains(w, "versioned K/V")
	})
}
