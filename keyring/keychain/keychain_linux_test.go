package keychain

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"agentvault/keyring"
)

func TestNoBus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	_, get := New(Config{}).Get(t.Context(), mustRef(t, "x"))
	for _, err := range []error{Available(t.Context()), get} {
		var hint interface{ Hint() string }
		if !errors.Is(err, keyring.ErrUnavailable) || !strings.Contains(err.Error(), "no session bus") ||
			!errors.As(err, &hint) || !strings.Contains(hint.Hint(), "file:NAME") {
			t.Errorf("error %v; want keyring.ErrUnavailable with the way out", err)
		}
	}
	// A file of that name is no bus.
	if err := os.WriteFile(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Available(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("with a file: %v", err)
	}
}

// A bus that accepts and says nothing does not hold us.
func TestDeadBus(t *testing.T) {
	if os.Getenv(realEnv) == "1" {
		t.Skip("godbus keeps one connection a process, and the real bus has it")
	}
	dir, err := os.MkdirTemp("/tmp", "av-") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Available(ctx); !errors.Is(err, keyring.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want keyring.ErrUnavailable and the deadline", err)
	}
}

func TestPlatformError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
		text string
	}{
		{dbus.Error{Name: "org.freedesktop.DBus.Error.ServiceUnknown"}, keyring.ErrUnavailable, "no Secret Service on the session bus"},
		{dbus.Error{Name: "org.freedesktop.Secret.Error.IsLocked"}, keyring.ErrLocked, "login keyring"},
		{errors.New("failed to unlock correct collection '/x'"), keyring.ErrLocked, "login keyring"},
		{dbus.Error{Name: "org.freedesktop.Secret.Error.NoSuchObject"}, keyring.ErrUnavailable, "no default keyring"},
		{dbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}, keyring.ErrDenied, "session bus"},
		{errors.New("EOF\x1b[2J"), keyring.ErrUnavailable, `the Secret Service: EOF\u001b[2J`},
	} {
		err := platformError(c.err)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %v; want %v and %q", c.err, err, c.want, c.text)
		}
	}
}
