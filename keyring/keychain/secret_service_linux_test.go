package keychain

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// TestSecretService runs the suites on a real gnome-keyring-daemon, which
// .ci/secret-service starts in folders of its own.
func TestSecretService(t *testing.T) {
	if os.Getenv(realEnv) != "1" {
		t.Skip("needs a Secret Service: run .ci/secret-service go test ./keyring/keychain/")
	}
	if err := Available(t.Context()); err != nil {
		t.Fatalf("%s is set and the service is not there: %v", realEnv, err)
	}
	dir := filepath.Join(t.TempDir(), "large")
	t.Run("conformance", func(t *testing.T) {
		keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture { return fixture(t, New(Config{Dir: dir}), nil) })
	})
	t.Run("store", func(t *testing.T) {
		keyringtest.RunStore(t, "keychain", func(t *testing.T) func() keyring.Store {
			empty(t)
			return func() keyring.Store { return New(Config{Dir: dir}) }
		})
	})
	t.Run("other programs see it", seenByOthers)
	t.Run("locked", locked)
}

// empty removes every item of ours from the daemon, which is one that nobody else uses.
func empty(t *testing.T) {
	t.Helper()
	s := New(Config{})
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := s.Remove(t.Context(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// The item is where secret-tool, and so the human, finds it: with value and binding in one.
func seenByOthers(t *testing.T) {
	tool, err := exec.LookPath("secret-tool")
	if err != nil {
		t.Skip("needs secret-tool (libsecret-tools)")
	}
	if err := New(Config{}).Set(t.Context(), "seen", item("value", "seen.test")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "lookup", "service", "agentvault", "username", "seen").Output()
	if err != nil || !strings.Contains(string(out), `"value":"dmFsdWU="`) || !strings.Contains(string(out), `"hosts":["seen.test"]`) {
		t.Errorf("secret-tool: %s, %v", out, err)
	}
}

// With the keyring locked and nobody to answer a prompt, every call ends, and says so.
func locked(t *testing.T) {
	s := New(Config{})
	if err := s.Set(t.Context(), "behind", item("v")); err != nil {
		t.Fatal(err)
	}
	lock(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, get := s.Get(ctx, mustRef(t, "behind"))
	for what, err := range map[string]error{
		"Available": Available(ctx),
		"Get":       get,
		"Set":       s.Set(ctx, "other", item(keyringtest.Sentinel)),
		"Remove":    s.Remove(ctx, "behind"),
	} {
		var hint interface{ Hint() string }
		if !errors.Is(err, keyring.ErrLocked) || !errors.As(err, &hint) {
			t.Errorf("%s: %v; want keyring.ErrLocked with a hint", what, err)
		}
	}
}

func lock(t *testing.T) {
	t.Helper()
	svc, err := ss.NewSecretService()
	if err != nil {
		t.Fatal(err)
	}
	var done []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err = svc.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{svc.GetLoginCollection().Path()}).
		Store(&done, &prompt)
	if err != nil || len(done) != 1 {
		t.Fatalf("lock: %v, %v", done, err)
	}
}
