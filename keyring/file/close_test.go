package file

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"agentvault/keyring"
)

// The key that opens everything is gone with the store, and so is the store.
func TestClose(t *testing.T) {
	s := storeIn(t.TempDir(), passphrase)
	mustSet(t, s, "a", "value of a")
	key := secretKey(s.id.key)
	if len(key) != 32 || bytes.Count(key, []byte{0}) == len(key) {
		t.Fatalf("the identity's secret key is not where it was: %d bytes", len(key))
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(key, []byte{0}) != len(key) {
		t.Error("the identity's secret key is still in memory")
	}
	_, err := s.Get(t.Context(), mustRef(t, "a"))
	for what, err := range map[string]error{"Get": err, "Set": s.Set(t.Context(), "b", keyring.Item{Value: keyring.NewSecret([]byte("b"))}), "Unlock": s.Unlock(t.Context())} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%s after Close: %v, want %v", what, err, errClosed)
		}
	}
	if entries, err := s.List(t.Context()); err != nil || len(entries) != 1 {
		t.Errorf("List needs no key: %v, %v", entries, err)
	}
}

// A key that is in use is not overwritten under its user.
func TestCloseWaits(t *testing.T) {
	s := storeIn(t.TempDir(), passphrase)
	mustSet(t, s, "a", "value of a")
	id, done, err := s.unlock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for deadline := time.Now().Add(10 * time.Second); s.id.use.TryRLock(); time.Sleep(time.Millisecond) {
		s.id.use.RUnlock() // Close does not wait for us yet
		if time.Now().After(deadline) {
			t.Fatal("Close has no regard for the key's user")
		}
	}
	if sealed, err := s.read("a"); err != nil {
		t.Error(err)
	} else if _, err := open(sealed, id, "a"); err != nil {
		t.Errorf("the key in use: %v", err)
	}
	done()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
