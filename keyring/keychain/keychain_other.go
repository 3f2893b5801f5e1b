//go:build !linux && !darwin && !windows

package keychain

import (
	"context"
	"fmt"

	"agentvault/keyring"
)

const platformLimit = 2560

const lockedHint = "use the encrypted file: refs \"file:NAME\""

// Available says with a typed error why the keychain cannot be used, and nil when it can.
func Available(context.Context) error {
	return keyring.WithHint(fmt.Errorf("no keychain is supported on this platform: %w", keyring.ErrUnavailable), lockedHint)
}

func platformError(err error) error {
	return fmt.Errorf("the keychain: %s: %w", keyring.Excerpt(err.Error()), keyring.ErrUnavailable)
}

// ready has nothing to look for before a call.
func ready() error { return nil }
