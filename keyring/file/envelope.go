package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"filippo.io/age"

	"agentvault/keyring/internal/disk"
)

// envelope is what a secret's file holds once it is decrypted.
type envelope struct {
	V     int       `json:"v"`
	Name  string    `json:"name"`
	Hosts []string  `json:"hosts,omitempty"`
	Set   time.Time `json:"set"`
	Value []byte    `json:"value"` // base64
}

func seal(e envelope, id *age.X25519Identity) ([]byte, error) {
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return encrypt(plain, id.Recipient())
}

// open decrypts a secret's file and checks that it is the one that its name says: a file
// moved over another would otherwise lend its value to the other's refs.
func open(sealed []byte, id *age.X25519Identity, name string) (envelope, error) {
	plain, err := decrypt(sealed, id)
	if err != nil {
		return envelope{}, err
	}
	defer clear(plain)
	var e envelope
	switch err := json.Unmarshal(plain, &e); {
	case err != nil:
		return envelope{}, errors.New("damaged: holds no secret") // err may quote the value
	case e.V != 1:
		clear(e.Value)
		return envelope{}, fmt.Errorf("written by a newer agentvault (format %d)", e.V)
	case e.Name != name:
		clear(e.Value)
		return envelope{}, fmt.Errorf("holds the secret %q and not %q", e.Name, name)
	}
	return e, nil
}

func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(sealed []byte, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		return nil, errOtherKey
	case err != nil:
		return nil, errors.New("damaged: not an age file")
	}
	var plain bytes.Buffer
	plain.Grow(len(sealed) + bytes.MinRead) // more than it takes: growing would leave copies behind
	if _, err := plain.ReadFrom(r); err != nil {
		clear(plain.Bytes())
		return nil, errors.New("damaged: its content was changed or cut off")
	}
	return plain.Bytes(), nil
}

// errOtherKey says that a file is sound, and that our key does not open it.
var errOtherKey = errors.New("encrypted for another key")

// indexed is what List may know without the passphrase.
type indexed struct {
	Hosts []string  `json:"hosts,omitempty"`
	Set   time.Time `json:"set"`
}

func (s *Store) readIndex() (map[string]indexed, error) {
	known := map[string]indexed{}
	data, err := os.ReadFile(s.path(indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, access(err)
	}
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, fmt.Errorf("%s: damaged: %w", s.path(indexFile), err)
	}
	return known, nil
}

func (s *Store) writeIndex(known map[string]indexed) error {
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return written(disk.WriteFile(s.path(indexFile), append(data, '\n')))
}

// reindex writes the index from the secrets themselves, which mends whatever happened to
// it: there are dozens of them, at 0.1 ms each.
func (s *Store) reindex(id *age.X25519Identity) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	known := map[string]indexed{}
	for _, name := range names {
		sealed, err := s.read(name)
		if err != nil {
			continue // Get reports it
		}
		e, err := open(sealed, id, name)
		clear(e.Value)
		if err == nil {
			known[name] = indexed{Hosts: e.Hosts, Set: e.Set}
		}
	}
	return s.writeIndex(known)
}
