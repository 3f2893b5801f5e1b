package infisical

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/infisical/go-sdk"
	secrets "github.com/infisical/go-sdk/packages/api/secrets"
	sdkerrors "github.com/infisical/go-sdk/packages/errors"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// hidden is what Infisical sends in place of a value that the identity may not read.
const hidden = "<hidden-by-infisical>"

// place is a folder.
type place struct{ project, env, path string }

// folder is what the server last said of one. Of it, given alone changes.
type folder struct {
	etag string
	keys map[string]keyring.Secret // those of imported folders as well

	checked time.Time       // when the server last vouched for it
	given   map[string]bool // keys that were handed out since then
	alone   bool            // the identity may not list the folder: keys are asked for one by one
}

// getStatic gets a key of a folder.
func (b *Backend) getStatic(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	if err := checkRef(ref, "project", "env", "path"); err != nil {
		return keyring.Item{}, err
	}
	p, err := b.place(ref)
	if err != nil {
		return keyring.Item{}, err
	}
	f, err := b.folder(ctx, p, ref.Name)
	if err != nil {
		return keyring.Item{}, err
	}
	if f.alone {
		return b.getAlone(ctx, p, ref.Name)
	}
	value, ok := f.keys[ref.Name]
	if !ok {
		names := keyring.Excerpt(strings.Join(slices.Sorted(maps.Keys(f.keys)), ", "))
		if names == "" {
			return keyring.Item{}, fmt.Errorf("no key %s, and the folder %s is empty: %w", ref.Name, p.path, keyring.ErrNotFound)
		}
		return keyring.Item{}, fmt.Errorf("no key %s in %s (one of: %s): %w", ref.Name, p.path, names, keyring.ErrNotFound)
	}
	return received(value.Reveal())
}

// received is a value as Infisical sends it.
func received(value string) (keyring.Item, error) {
	if value == hidden {
		return keyring.Item{}, fmt.Errorf("the identity may see the key and not read its value: %w", keyring.ErrDenied)
	}
	return keyring.Received([]byte(value))
}

// place reads a ref and completes it.
func (b *Backend) place(ref keyring.Ref) (place, error) {
	p := place{first(ref.Params.Get("project"), b.c.Project), first(ref.Params.Get("env"), b.c.Env), first(ref.Params.Get("path"), b.c.Path, "/")}
	switch {
	case p.project == "":
		return place{}, errors.New("no project: want infisical:KEY?project=ID&env=SLUG, or a project in the configuration")
	case p.env == "":
		return place{}, errors.New("no environment: want infisical:KEY?project=ID&env=SLUG, or an env in the configuration")
	case !strings.HasPrefix(p.path, "/"):
		return place{}, fmt.Errorf("path %q: want it to start with /", p.path)
	}
	return p, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// folder returns a reading of p from which key was not taken yet. A first reading answers
// all who ask for a key of it within moments, and who asks for the same key again wants to
// know what has become of it: that is the next reading, for all of them.
func (b *Backend) folder(ctx context.Context, p place, key string) (*folder, error) {
	f, good := b.untaken(p, key)
	for seen := f; !good; good = f != seen {
		var err error
		f, err = b.reads.Do(ctx, b.ctx, fmt.Sprint(p), func(ctx context.Context) (*folder, error) {
			// Another's reading may have ended since the leader of this one looked. Who
			// looked after that, and joins for a key that it has given, is not answered by it.
			if f, good := b.untaken(p, key); good {
				return f, nil
			}
			return b.read(ctx, p)
		})
		if err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f.given[key] = true
	return f, nil
}

// untaken is the last reading of p, and whether it can answer who asks for key.
func (b *Backend) untaken(p place, key string) (f *folder, good bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f = b.folders[p]
	return f, f != nil && (f.alone || !f.given[key] && time.Since(f.checked) < leasing.Together)
}

// read asks for the whole folder, or whether it is still the one that we have.
func (b *Backend) read(ctx context.Context, p place) (*folder, error) {
	b.mu.Lock()
	old := b.folders[p]
	b.mu.Unlock()
	etag := ""
	if old != nil {
		etag = old.etag
	}
	f, err := call(ctx, b, func(c client, access keyring.Secret) (*folder, error) {
		got, err := secrets.CallListSecretsV3(nil, c.inner, sdk.ListSecretsOptions{
			ProjectID: p.project, Environment: p.env, SecretPath: p.path, ExpandSecretReferences: true, IncludeImports: true, IfNoneMatch: etag,
		})
		var same *sdkerrors.NotModifiedError
		switch {
		case errors.As(err, &same) && old != nil:
			return &folder{etag: etag, keys: old.keys}, nil
		case err != nil:
			if err = c.explain(err, access); errors.Is(err, keyring.ErrDenied) && !errors.Is(err, errToken) {
				return &folder{alone: true}, nil // it may still read some of the keys
			}
			return nil, err
		case got.Secrets == nil: // a web page with status 200 has none
			return nil, fmt.Errorf("the answer is not a folder; is the site URL right? %w", keyring.ErrUnavailable)
		}
		return newFolder(got), nil
	})
	if err != nil {
		return nil, err
	}
	f.checked, f.given = time.Now(), map[string]bool{}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		f.wipe()
		return nil, leasing.ErrReleased
	}
	if old != nil && etag != f.etag { // others may be reading in it
		b.retired = append(b.retired, old)
	}
	b.folders[p] = f
	return f, nil
}

// newFolder joins a folder with what it imports, as the server does when it is asked for a
// single key: the folder's own keys win, then those of the last import. (The SDK would take
// the first.)
func newFolder(got secrets.ListSecretsV3RawResponse) *folder {
	f := &folder{etag: got.ETag, keys: map[string]keyring.Secret{}}
	for _, i := range got.Imports {
		for _, s := range i.Secrets {
			f.keys[s.SecretKey] = keyring.NewSecret([]byte(s.SecretValue))
		}
	}
	for _, s := range got.Secrets {
		f.keys[s.SecretKey] = keyring.NewSecret([]byte(s.SecretValue))
	}
	return f
}

func (f *folder) wipe() {
	for _, v := range f.keys {
		v.Wipe()
	}
}

// forget overwrites what was read.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.folders {
		f.wipe()
	}
	for _, f := range b.retired {
		f.wipe()
	}
	clear(b.folders)
	b.retired = nil
}

// getAlone gets one key, of a folder that may not be listed.
func (b *Backend) getAlone(ctx context.Context, p place, key string) (keyring.Item, error) {
	return call(ctx, b, func(c client, access keyring.Secret) (keyring.Item, error) {
		got, err := c.Secrets().Retrieve(sdk.RetrieveSecretOptions{
			SecretKey: key, ProjectID: p.project, Environment: p.env, SecretPath: p.path, ExpandSecretReferences: true, IncludeImports: true,
		})
		if err != nil {
			return keyring.Item{}, c.explain(err, access)
		}
		if got.SecretKey != key {
			return keyring.Item{}, fmt.Errorf("the answer is not that secret; is the site URL right? %w", keyring.ErrUnavailable)
		}
		return received(got.SecretValue)
	})
}
