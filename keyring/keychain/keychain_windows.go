package keychain

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"agentvault/keyring"
)

// platformLimit is CRED_MAX_CREDENTIAL_BLOB_SIZE.
const platformLimit = 2560

const lockedHint = "sign in to a desktop session, or use the encrypted file: refs \"file:NAME\""

// Available says with a typed error why the keychain cannot be used, and nil when it can.
func Available(ctx context.Context) error {
	_, err := newBounded(system{}).Get(ctx, chunkName(0))
	if errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	return err
}

func platformError(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_NO_SUCH_LOGON_SESSION): // a service, or SSH with a key
		return keyring.WithHint(fmt.Errorf("this session has no Credential Manager: %w", keyring.ErrUnavailable), lockedHint)
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return fmt.Errorf("the Credential Manager: %w", keyring.ErrDenied)
	}
	return fmt.Errorf("the Credential Manager: %s: %w", keyring.Excerpt(err.Error()), keyring.ErrUnavailable)
}

// ready has nothing to look for before a call.
func ready() error { return nil }
