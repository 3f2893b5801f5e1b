package keychain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"agentvault/keyring"
)

// platformLimit leaves go-keyring's command line, of which an item is base64 once more,
// below the 4,096 bytes that /usr/bin/security reads.
const platformLimit = 2900

const lockedHint = "unlock it with \"security unlock-keychain\" (over SSH it is locked), or use the encrypted file: refs \"file:NAME\""

// securityPath is the program that go-keyring works through.
const securityPath = "/usr/bin/security"

// Available says with a typed error why the keychain cannot be used, and nil when it can.
func Available(ctx context.Context) error {
	if _, err := os.Stat(securityPath); err != nil {
		return fmt.Errorf("%s: %w", securityPath, keyring.ErrUnavailable)
	}
	if err := exec.CommandContext(ctx, securityPath, "show-keychain-info").Run(); err != nil {
		return platformError(err)
	}
	return nil
}

// Exit statuses of /usr/bin/security: the low byte of an OSStatus.
const (
	exitNoInteraction = 36  // errSecInteractionNotAllowed: locked, and no window to ask in
	exitAuthFailed    = 51  // errSecAuthFailed
	exitCanceled      = 128 // errSecUserCanceled
	exitNoDefault     = 37  // errSecNoDefaultKeychain
)

func platformError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case exitNoInteraction:
			return keyring.WithHint(fmt.Errorf("the login keychain: %w", keyring.ErrLocked), lockedHint)
		case exitAuthFailed, exitCanceled:
			return fmt.Errorf("the login keychain: %w", keyring.ErrDenied)
		case exitNoDefault:
			return fmt.Errorf("this user has no default keychain: %w", keyring.ErrUnavailable)
		}
	}
	return fmt.Errorf("the macOS keychain: %s: %w", keyring.Excerpt(err.Error()), keyring.ErrUnavailable)
}

// ready has nothing to look for before a call.
func ready() error { return nil }
