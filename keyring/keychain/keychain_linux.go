package keychain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"agentvault/keyring"
)

// platformLimit keeps items below the size at which go-keyring documents that the Secret
// Service gets slow (100 KiB). A value of 64 KiB fits, in base64.
const platformLimit = 100 << 10

const lockedHint = "unlock the login keyring (a prompt may be waiting on the desktop), or keep secrets in the encrypted file: refs \"file:NAME\""

const noKeychainHint = "start gnome-keyring, KWallet or KeePassXC's Secret Service in this session, or use the encrypted file: refs \"file:NAME\""

// Available says with a typed error why the keychain cannot be used, and nil when it can.
// It never unlocks anything and never brings up a prompt.
func Available(ctx context.Context) error {
	if err := ready(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- askService() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return keyring.WithHint(fmt.Errorf("the Secret Service did not answer: %w: %w", keyring.ErrUnavailable, ctx.Err()), noKeychainHint)
	}
}

// ready looks for a session bus before godbus does: finding none it would start a
// dbus-launch, which outlives us.
func ready() error {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return nil
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	if info, err := os.Stat(filepath.Join(dir, "bus")); err == nil && info.Mode().Type() == os.ModeSocket {
		return nil
	}
	return keyring.WithHint(fmt.Errorf("no session bus, and so no Secret Service: %w", keyring.ErrUnavailable), noKeychainHint)
}

// askService looks for the service's owner, then whether its login collection is there
// and open.
func askService() error {
	svc, err := ss.NewSecretService()
	if err != nil {
		return platformError(err)
	}
	locked, err := svc.GetLoginCollection().GetProperty("org.freedesktop.Secret.Collection.Locked")
	if err != nil {
		return platformError(err)
	}
	if isLocked, _ := locked.Value().(bool); isLocked {
		return keyring.WithHint(fmt.Errorf("the login keyring: %w", keyring.ErrLocked), lockedHint)
	}
	return nil
}

// platformError reads the names of D-Bus errors, and go-keyring's text where there is none.
func platformError(err error) error {
	var de dbus.Error
	name := ""
	if errors.As(err, &de) {
		name = de.Name
	}
	switch {
	case name == "org.freedesktop.Secret.Error.IsLocked",
		strings.Contains(err.Error(), "failed to unlock correct collection"):
		return keyring.WithHint(fmt.Errorf("the login keyring: %w", keyring.ErrLocked), lockedHint)
	case name == "org.freedesktop.Secret.Error.NoSuchObject",
		name == "org.freedesktop.DBus.Error.UnknownMethod", // gnome-keyring's word for a path that is not there
		name == "org.freedesktop.DBus.Error.UnknownObject":
		return keyring.WithHint(fmt.Errorf("the Secret Service has no default keyring: %w", keyring.ErrUnavailable),
			"create one (Passwords and Keys, or KWallet's assistant), or use the encrypted file: refs \"file:NAME\"")
	case name == "org.freedesktop.DBus.Error.AccessDenied":
		return fmt.Errorf("the session bus: %w", keyring.ErrDenied)
	case name == "org.freedesktop.DBus.Error.ServiceUnknown":
		return keyring.WithHint(fmt.Errorf("no Secret Service on the session bus: %w", keyring.ErrUnavailable), noKeychainHint)
	}
	return keyring.WithHint(fmt.Errorf("the Secret Service: %s: %w", keyring.Excerpt(err.Error()), keyring.ErrUnavailable), noKeychainHint)
}
