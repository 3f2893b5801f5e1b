// Package disk writes small private files so that a crash leaves the old content or
// the new, and serialises the processes that change them.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"agentvault/keyring/filelock"
)

// tempPrefix marks files that are not finished. A name that starts with it can only
// have been left by a crash.
const tempPrefix = ".tmp-"

// lockPoll is how often a held lock is tried again: below what a human notices, and
// the lock is held for milliseconds.
const lockPoll = 20 * time.Millisecond

// MkdirPrivate makes dir and its parents; dir itself is for this user only.
func MkdirPrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// WriteFile replaces path with a file of mode 0600 that holds data. The data is on
// the disk before the name points to it.
func WriteFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempPrefix+"*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// Clean removes what crashes left in dir. The caller holds the lock.
func Clean(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Lock takes an exclusive lock on the file at path, making it if need be, and waits for
// it until ctx ends. The lock ends with unlock or with the process. The file stays:
// removing it would let two processes hold two locks of one name.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := filelock.Try(f)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing releases it
		}
		if !errors.Is(err, filelock.ErrHeld) {
			_ = f.Close()
			return nil, fmt.Errorf("%s: lock: %w", path, err)
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("%s: held by another agentvault: %w", path, ctx.Err())
		}
	}
}
