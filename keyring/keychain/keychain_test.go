package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	zalando "github.com/zalando/go-keyring"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// TestMain puts go-keyring's own mock in the place of the machine's keychain, so that no
// test can touch it by mistake. Only the tests of secret_service_test.go run without.
func TestMain(m *testing.M) {
	if os.Getenv(realEnv) != "1" {
		zalando.MockInit()
	}
	os.Exit(m.Run())
}

// realEnv is set by .ci/secret-service.
const realEnv = "AGENTVAULT_TEST_SECRET_SERVICE"

// memory is a keychain whose calls a test can break, or hold.
type memory struct {
	mu     sync.Mutex
	items  map[string]string
	err    error
	limit  int           // 0: none
	forget bool          // Set says "done" and keeps nothing new, as /usr/bin/security may
	hold   chan struct{} // when set, calls wait for it to be closed
	calls  chan string   // when set, each call says what it is
	active int
	most   int // calls at one time
}

func newMemory() *memory { return &memory{items: map[string]string{}} }

func (m *memory) enter(what string) error {
	m.mu.Lock()
	m.active++
	m.most = max(m.most, m.active)
	hold, calls := m.hold, m.calls
	m.mu.Unlock()
	if calls != nil {
		calls <- what
	}
	if hold != nil {
		<-hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active--
	return m.err
}

func (m *memory) Get(service, user string) (string, error) {
	if err := m.enter("get " + user); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.items[service+"/"+user]
	if !ok {
		return "", zalando.ErrNotFound
	}
	return v, nil
}

func (m *memory) Set(service, user, value string) error {
	if err := m.enter("set " + user); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit > 0 && len(value) > m.limit {
		return zalando.ErrSetDataTooBig
	}
	if !m.forget {
		m.items[service+"/"+user] = value
	}
	return nil
}

func (m *memory) Delete(service, user string) error {
	if err := m.enter("delete " + user); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[service+"/"+user]; !ok {
		return zalando.ErrNotFound
	}
	delete(m.items, service+"/"+user)
	return nil
}

func mustRef(t *testing.T, name string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef("keychain:" + name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func item(value string, hosts ...string) keyring.Item {
	return keyring.Item{Value: keyring.NewSecret([]byte(value)), Hosts: hosts}
}

func TestConformance(t *testing.T) {
	keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture {
		m := newMemory()
		return fixture(t, New(Config{Ring: m, Dir: filepath.Join(t.TempDir(), "large")}), m)
	})
}

// fixture serves the memory; with a nil m, what only a memory can do is skipped.
func fixture(t *testing.T, s *Store, m *memory) keyringtest.Fixture {
	local := "the keychain is this machine's: there is no server"
	n := 0
	f := keyringtest.Fixture{
		Backend: s,
		// Underneath Set, which refuses what an older hand may have written.
		Put: func(t *testing.T, value []byte) keyring.Ref {
			n++
			name := fmt.Sprintf("put%d", n)
			text, err := json.Marshal(envelope{V: 1, Value: value})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.put(t.Context(), name, string(text)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.ring.Delete(context.Background(), name) })
			return mustRef(t, name)
		},
		Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "absent") },
		Skip: map[string]string{
			"denied":        "told apart on macOS and Windows only; there by exit status and error number",
			"field missing": "a stored secret has no fields",
			"429":           local, "500": local, "certificate": local,
		},
	}
	if m == nil {
		f.Skip["slow"], f.Skip["down"] = "needs a keychain that hangs", "needs a keychain that fails"
		return f
	}
	f.Down = func(t *testing.T) keyring.Ref {
		m.err = errors.New("broken pipe")
		return mustRef(t, "any")
	}
	f.Slow = func(t *testing.T) (keyring.Ref, <-chan struct{}) {
		m.hold, m.calls = make(chan struct{}), make(chan string)
		t.Cleanup(func() { close(m.hold) })
		started := make(chan struct{})
		go func() { <-m.calls; close(started) }()
		return mustRef(t, "any"), started
	}
	return f
}

func TestStore(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
	}{{"this platform's limit", 0}, {"Windows", 2560}, {"macOS", 2900}} {
		t.Run(c.name, func(t *testing.T) {
			keyringtest.RunStore(t, "keychain", func(t *testing.T) func() keyring.Store {
				m, dir := newMemory(), filepath.Join(t.TempDir(), "large")
				m.limit = c.limit
				return func() keyring.Store { return New(Config{Ring: m, Dir: dir, Limit: c.limit}) }
			})
		})
	}
}

// The same on go-keyring's own mock, through the calls that the real keychain gets.
type mocked struct{}

func (mocked) Get(service, user string) (string, error) { return zalando.Get(service, user) }
func (mocked) Set(service, user, value string) error    { return zalando.Set(service, user, value) }
func (mocked) Delete(service, user string) error        { return zalando.Delete(service, user) }

func TestStoreOnMock(t *testing.T) {
	if os.Getenv(realEnv) == "1" {
		t.Skip("go-keyring is not mocked in this run")
	}
	keyringtest.RunStore(t, "keychain", func(t *testing.T) func() keyring.Store {
		zalando.MockInit()
		dir := filepath.Join(t.TempDir(), "large")
		return func() keyring.Store { return New(Config{Ring: mocked{}, Dir: dir}) }
	})
}

// A large value leaves nothing of itself in the keychain, and its file nothing in clear;
// the key of the file is an item.
func TestLargeValue(t *testing.T) {
	m, dir := newMemory(), filepath.Join(t.TempDir(), "large")
	s := New(Config{Ring: m, Dir: dir, Limit: 2560})
	huge := strings.Repeat(keyringtest.Sentinel, 100)
	if err := s.Set(t.Context(), "big", item(huge, "big.test")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), mustRef(t, "big"))
	if err != nil || got.Value.Reveal() != huge || got.Hosts[0] != "big.test" {
		t.Fatalf("Get: %d bytes, hosts %v, %v", got.Value.Len(), got.Hosts, err)
	}
	for name, text := range m.items {
		if strings.Contains(text, keyringtest.Sentinel) || len(text) > 2560 {
			t.Errorf("item %s has %d bytes, or holds the value", name, len(text))
		}
	}
	if key := m.items["agentvault/:identity"]; !strings.HasPrefix(key, "AGE-SECRET-KEY-1") {
		t.Error("the key of the files is not in the keychain")
	}
	if _, err := os.Stat(filepath.Join(dir, "identity.key")); err == nil {
		t.Error("the key of the files is beside them")
	}

	delete(m.items, "agentvault/:identity")
	_, err = New(Config{Ring: m, Dir: dir}).Get(t.Context(), mustRef(t, "big"))
	if !errors.Is(err, keyring.ErrNotFound) || !strings.Contains(err.Error(), "no longer in the keychain") {
		t.Errorf("without the key: %v", err)
	}
	m.items["agentvault/:identity"] = "nonsense"
	if _, err = New(Config{Ring: m, Dir: dir}).Get(t.Context(), mustRef(t, "big")); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("with a damaged key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "big.age")); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Get(t.Context(), mustRef(t, "big")); !errors.Is(err, keyring.ErrNotFound) || !strings.Contains(err.Error(), "big.age is missing") {
		t.Errorf("without the file: %v", err)
	}
	if err := New(Config{Ring: m, Limit: 2560}).Set(t.Context(), "big", item(huge)); err == nil || !strings.Contains(err.Error(), "more than this keychain takes") {
		t.Errorf("without a folder: %v", err)
	}
}

// An index larger than an item is cut, grows, shrinks, and is never too large for it.
func TestLongIndex(t *testing.T) {
	m := newMemory()
	m.limit = 600
	s := New(Config{Ring: m, Limit: m.limit})
	const n = 40
	for i := range n {
		if err := s.Set(t.Context(), fmt.Sprintf("secret-%02d", i), item("v", "a.test", "b.test")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != n {
		t.Fatalf("List: %d entries, %v; want %d", len(list), err, n)
	}
	for i := range n - 1 {
		if err := s.Remove(t.Context(), fmt.Sprintf("secret-%02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if list, err = s.List(t.Context()); err != nil || len(list) != 1 || list[0].Name != "secret-39" {
		t.Errorf("List: %v, %v; want secret-39 alone", list, err)
	}
	if len(m.items) != 2 {
		t.Errorf("%d items are left, want the secret and one index", len(m.items))
	}
	if err := s.Remove(t.Context(), "secret-39"); err != nil || len(m.items) != 0 {
		t.Errorf("after the last Remove: %d items, %v", len(m.items), err)
	}
}

// An item that went behind our back is taken off the list by Remove, which still says so.
func TestRemoveWhatIsGone(t *testing.T) {
	m := newMemory()
	s := New(Config{Ring: m})
	if err := s.Set(t.Context(), "one", item("v")); err != nil {
		t.Fatal(err)
	}
	delete(m.items, "agentvault/one")
	if err := s.Remove(t.Context(), "one"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("Remove: %v, want keyring.ErrNotFound", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List: %v, %v", list, err)
	}
}

func TestSetIsReadBack(t *testing.T) {
	m := newMemory()
	s := New(Config{Ring: m})
	if err := s.Set(t.Context(), "one", item("old")); err != nil {
		t.Fatal(err)
	}
	m.forget = true
	if err := s.Set(t.Context(), "one", item(keyringtest.Sentinel)); err == nil || strings.Contains(err.Error(), keyringtest.Sentinel) {
		t.Errorf("a Set that kept nothing: %v", err)
	}
}

func TestForeignItems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"another program's", keyringtest.Sentinel, "not written by agentvault"},
		{"another program's JSON", `{"v":1,"value":"` + keyringtest.Sentinel + `"}`, "not written by agentvault"}, // not base64
		{"newer", `{"v":2,"value":"dg=="}`, "newer agentvault (format 2)"},
		{"empty", "", "not written by agentvault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			m.items["agentvault/x"] = c.text
			_, err := New(Config{Ring: m}).Get(t.Context(), mustRef(t, "x"))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), keyringtest.Sentinel) {
				t.Errorf("error %v, want %q in it, and no value", err, c.want)
			}
		})
	}
	m := newMemory()
	m.items["agentvault/:index0"] = "nonsense"
	if _, err := New(Config{Ring: m}).List(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("List with a damaged index: %v", err)
	}
}

// A keychain that waits for a human is told as locked, has one prompt, and is never
// asked by more than a few. The clock is the test's own.
func TestHangingKeychain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.hold = make(chan struct{})
		s := New(Config{Ring: m})
		tenGets := func() {
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_, err := s.Get(ctx, mustRef(t, fmt.Sprintf("s%d", i)))
					var hint interface{ Hint() string }
					if !errors.Is(err, keyring.ErrLocked) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &hint) {
						t.Errorf("error %v; want keyring.ErrLocked, the deadline, and a hint", err)
					}
				})
			}
			wg.Wait()
		}
		most := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.most
		}
		tenGets()
		if n := most(); n != 1 {
			t.Errorf("%d calls at one time before the first came back, want 1", n)
		}

		// The human unlocks it: everything goes on, four at a time.
		close(m.hold)
		if _, err := s.Get(t.Context(), mustRef(t, "s0")); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("after it was unlocked: %v", err)
		}
		m.mu.Lock()
		m.hold, m.most = make(chan struct{}), 0
		m.mu.Unlock()
		tenGets()
		if n := most(); n != maxCalls {
			t.Errorf("%d calls at one time, want %d", n, maxCalls)
		}
		close(m.hold)
	})
}
