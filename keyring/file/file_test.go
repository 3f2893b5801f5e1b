package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/internal/disk"
	"agentvault/keyring/keyringtest"
)

const passphrase = "correct horse " + keyringtest.Sentinel

// lowCost makes scrypt take microseconds.
const lowCost = 2

func answer(pass string) func(context.Context, bool) ([]byte, error) {
	return func(context.Context, bool) ([]byte, error) { return []byte(pass), nil }
}

func storeIn(dir, pass string) *Store {
	return New(Config{Dir: dir, Passphrase: answer(pass), WorkFactor: lowCost})
}

func mustRef(t *testing.T, name string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef("file:" + name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustSet(t *testing.T, s *Store, name, value string) {
	t.Helper()
	if err := s.Set(t.Context(), name, keyring.Item{Value: keyring.NewSecret([]byte(value)), Hosts: []string{name + ".test"}}); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture {
		dir := filepath.Join(t.TempDir(), "secrets")
		s := storeIn(dir, passphrase)
		mustSet(t, s, "there", keyringtest.Sentinel)
		local := "the store is on this machine's disk: there is no server"
		n := 0
		f := keyringtest.Fixture{
			Backend: s,
			// Underneath Set, which refuses what an older or foreign hand may have written.
			Put: func(t *testing.T, value []byte) keyring.Ref {
				n++
				name := fmt.Sprintf("put%d", n)
				sealed, err := seal(envelope{V: 1, Name: name, Value: value}, s.id.key)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name+".age"), sealed, 0o600); err != nil {
					t.Fatal(err)
				}
				return mustRef(t, name)
			},
			Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "absent") },
			Skip: map[string]string{
				"field missing": "a stored secret has no fields",
				"down":          local, "429": local, "500": local, "certificate": local,
			},
		}
		f.Denied = func(t *testing.T) keyring.Ref {
			*s = *storeIn(dir, "wrong")
			return mustRef(t, "there")
		}
		f.Slow = func(t *testing.T) (keyring.Ref, <-chan struct{}) {
			asked := make(chan struct{})
			*s = *New(Config{Dir: dir, Passphrase: func(ctx context.Context, _ bool) ([]byte, error) {
				close(asked)
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			return mustRef(t, "there"), asked
		}
		return f
	})
}

func TestStore(t *testing.T) {
	keyringtest.RunStore(t, "file", func(t *testing.T) func() keyring.Store {
		dir := filepath.Join(t.TempDir(), "a", "secrets")
		return func() keyring.Store { return storeIn(dir, passphrase) }
	})
}

// With an identity kept elsewhere there is neither a passphrase nor an identity file.
func TestStoreWithIdentity(t *testing.T) {
	keyringtest.RunStore(t, "file", func(t *testing.T) func() keyring.Store {
		dir := filepath.Join(t.TempDir(), "secrets")
		var kept keyring.Secret
		identity := func(_ context.Context, create bool) (keyring.Secret, error) {
			if kept.Len() == 0 && create {
				var err error
				if kept, err = NewIdentity(); err != nil {
					return kept, err
				}
			}
			if kept.Len() == 0 {
				return kept, keyring.ErrNotFound
			}
			return kept, nil
		}
		return func() keyring.Store { return New(Config{Dir: dir, Identity: identity}) }
	})
}

// asker counts how often it is asked, and with what.
type asker struct {
	mu      sync.Mutex
	answers []string
	creates []bool
}

func (a *asker) ask(_ context.Context, create bool) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.creates = append(a.creates, create)
	if len(a.answers) == 0 {
		return nil, errors.New("no terminal")
	}
	next := a.answers[0]
	a.answers = a.answers[1:]
	return []byte(next), nil
}

func TestPassphraseIsAskedOnce(t *testing.T) {
	dir := t.TempDir()
	first := &asker{answers: []string{passphrase}}
	s := New(Config{Dir: dir, Passphrase: first.ask, WorkFactor: lowCost})
	mustSet(t, s, "one", "v1")
	mustSet(t, s, "two", "v2")
	if fmt.Sprint(first.creates) != "[true]" {
		t.Errorf("the first run asked %v, want one question, for a new passphrase", first.creates)
	}

	second := &asker{answers: []string{passphrase}}
	s = New(Config{Dir: dir, Passphrase: second.ask})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), mustRef(t, "one")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if fmt.Sprint(second.creates) != "[false]" {
		t.Errorf("ten gets asked %v, want one question", second.creates)
	}
}

func TestWrongPassphrase(t *testing.T) {
	dir := t.TempDir()
	mustSet(t, storeIn(dir, passphrase), "one", "v1")
	for _, c := range []struct {
		name    string
		answers []string
		asked   int
		want    error
	}{
		{"right the second time", []string{"typo", passphrase}, 2, nil},
		{"empty, then right", []string{"", passphrase}, 2, nil},
		{"three different ones", []string{"a", "b", "c", passphrase}, 3, keyring.ErrDenied},
		{"the same twice, as from a file descriptor", []string{"a", "a", passphrase}, 2, keyring.ErrDenied},
		{"nobody to ask", nil, 1, keyring.ErrLocked},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &asker{answers: c.answers}
			s := New(Config{Dir: dir, Passphrase: a.ask})
			_, err := s.Get(t.Context(), mustRef(t, "one"))
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if len(a.creates) != c.asked {
				t.Errorf("asked %d times, want %d", len(a.creates), c.asked)
			}
			// A wrong passphrase is wrong for all: the others do not ask again.
			if errors.Is(c.want, keyring.ErrDenied) {
				if _, err := s.Get(t.Context(), mustRef(t, "one")); !errors.Is(err, keyring.ErrDenied) || len(a.creates) != c.asked {
					t.Errorf("the next get: %v after %d questions", err, len(a.creates))
				}
			}
		})
	}
	t.Run("no further answer", func(t *testing.T) {
		answers := [][]byte{[]byte("a"), nil}
		s := New(Config{Dir: dir, Passphrase: func(context.Context, bool) ([]byte, error) {
			a := answers[0]
			answers = answers[1:]
			return a, nil
		}})
		_, err := s.Get(t.Context(), mustRef(t, "one"))
		if want := s.path(identityFile) + ": wrong passphrase: access denied"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	})
	t.Run("no way to ask", func(t *testing.T) {
		_, err := New(Config{Dir: dir}).Get(t.Context(), mustRef(t, "one"))
		var hint interface{ Hint() string }
		if !errors.Is(err, keyring.ErrLocked) || !errors.As(err, &hint) {
			t.Errorf("error %v, want keyring.ErrLocked with a hint", err)
		}
	})
}

// What needs no passphrase asks for none.
func TestNoPassphraseNeeded(t *testing.T) {
	dir := t.TempDir()
	mustSet(t, storeIn(dir, passphrase), "one", "v1")
	a := &asker{}
	s := New(Config{Dir: dir, Passphrase: a.ask})
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0].Hosts[0] != "one.test" {
		t.Errorf("List: %v, %v", list, err)
	}
	if _, err := s.Get(t.Context(), mustRef(t, "absent")); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("Get of what is not there: %v", err)
	}
	if err := s.Remove(t.Context(), "one"); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if err := New(Config{Dir: filepath.Join(dir, "none"), Passphrase: a.ask}).Unlock(t.Context()); err != nil {
		t.Errorf("Unlock of a store that is not there: %v", err)
	}
	if len(a.creates) != 0 {
		t.Errorf("asked for a passphrase %d times", len(a.creates))
	}
}

// Nothing in the folder holds the value, the passphrase or the public key, and nobody
// else may read it.
func TestWhatIsOnTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	s := storeIn(dir, passphrase)
	mustSet(t, s, "github", keyringtest.Sentinel)
	for _, e := range readDir(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, e))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{keyringtest.Sentinel, "correct horse", s.id.key.String(), s.id.key.Recipient().String()} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds a secret in clear", e)
			}
		}
		mode(t, filepath.Join(dir, e), 0o600)
	}
	mode(t, dir, 0o700)
	if got := strings.Join(readDir(t, dir), " "); got != "github.age identity.key index.json lock" {
		t.Errorf("the folder holds %s", got)
	}
}

func readDir(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", path, got, want)
	}
}

// A file that cannot be read is reported and left alone, by Get and by Set.
func TestUnreadableFiles(t *testing.T) {
	seal := func(t *testing.T, name string) []byte { // by a store with another key
		dir := t.TempDir()
		mustSet(t, storeIn(dir, "other"), name, "foreign")
		return read(t, filepath.Join(dir, name+".age"))
	}
	for _, c := range []struct {
		name    string
		content func(t *testing.T, good []byte) []byte
		want    string
	}{
		{"foreign", func(t *testing.T, _ []byte) []byte { return seal(t, "one") }, "encrypted for another key"},
		{"cut off", func(_ *testing.T, good []byte) []byte { return good[:len(good)-5] }, "damaged"},
		{"header cut off", func(_ *testing.T, good []byte) []byte { return good[:30] }, "damaged"},
		{"one bit", func(_ *testing.T, good []byte) []byte { good[len(good)-1] ^= 1; return good }, "damaged"},
		{"empty", func(*testing.T, []byte) []byte { return nil }, "damaged"},
		{"text", func(*testing.T, []byte) []byte { return []byte("hello\n") }, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := storeIn(dir, passphrase)
			mustSet(t, s, "one", keyringtest.Sentinel)
			path := filepath.Join(dir, "one.age")
			bad := c.content(t, read(t, path))
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, got := s.Get(t.Context(), mustRef(t, "one"))
			set := s.Set(t.Context(), "one", keyring.Item{Value: keyring.NewSecret([]byte("new"))})
			for _, err := range []error{got, set} {
				var hint interface{ Hint() string }
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !errors.As(err, &hint) {
					t.Errorf("error %v; want one about %q and %s, with a hint", err, c.want, path)
				}
			}
			if !bytes.Equal(read(t, path), bad) {
				t.Error("the file was changed")
			}
			mustSet(t, s, "two", "v2") // the others go on working
			if err := s.Remove(t.Context(), "one"); err != nil {
				t.Errorf("Remove: %v", err)
			}
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A file put into another's place does not lend its value to the other's refs.
func TestMovedFile(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(dir, passphrase)
	mustSet(t, s, "github", "v1")
	mustSet(t, s, "evil", "v2")
	if err := os.Rename(filepath.Join(dir, "github.age"), filepath.Join(dir, "evil.age")); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), mustRef(t, "evil"))
	if err == nil || !strings.Contains(err.Error(), `holds the secret "github"`) {
		t.Errorf("error %v; want one that names the secret that it holds", err)
	}
}

// The binding is what the sealed file says, whatever becomes of the index.
func TestIndexIsForReadingOnly(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(dir, passphrase)
	mustSet(t, s, "one", "v1")
	index := filepath.Join(dir, "index.json")
	widened := bytes.ReplaceAll(read(t, index), []byte("one.test"), []byte("evil.test"))
	if err := os.WriteFile(index, widened, 0o600); err != nil {
		t.Fatal(err)
	}
	if item, err := s.Get(t.Context(), mustRef(t, "one")); err != nil || item.Hosts[0] != "one.test" {
		t.Errorf("hosts %v, %v; want one.test", item.Hosts, err)
	}
	if err := os.WriteFile(index, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("List with a damaged index: %v", err)
	}
	mustSet(t, s, "two", "v2")
	if list, err := s.List(t.Context()); err != nil || len(list) != 2 || list[0].Hosts[0] != "one.test" {
		t.Errorf("List after the next Set: %v, %v; want both, with the hosts of the files", list, err)
	}
}

// Losing the identity does not end in a second one that cannot read what is there.
func TestMissingIdentity(t *testing.T) {
	dir := t.TempDir()
	mustSet(t, storeIn(dir, passphrase), "one", "v1")
	if err := os.Remove(filepath.Join(dir, identityFile)); err != nil {
		t.Fatal(err)
	}
	s := storeIn(dir, passphrase)
	_, got := s.Get(t.Context(), mustRef(t, "one"))
	set := s.Set(t.Context(), "two", keyring.Item{Value: keyring.NewSecret([]byte("v2"))})
	for _, err := range []error{got, set} {
		if err == nil || !strings.Contains(err.Error(), "identity.key is missing, and 1 secrets") {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, identityFile)); err == nil {
		t.Error("a second identity was made")
	}
}

func TestUnusableFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := storeIn(path, passphrase).Set(t.Context(), "one", keyring.Item{Value: keyring.NewSecret([]byte("v"))}); err == nil {
		t.Error("Set into a file that is no folder: no error")
	}
	if runtime.GOOS != "linux" {
		return
	}
	// The kernel's word there is ENOENT. It is not the secret that is missing.
	err := storeIn("/proc/agentvault/secrets", passphrase).Set(t.Context(), "one", keyring.Item{Value: keyring.NewSecret([]byte("v"))})
	if err == nil || errors.Is(err, keyring.ErrNotFound) || !strings.Contains(err.Error(), "/proc/agentvault") {
		t.Errorf("Set where no folder can be made: %v", err)
	}
}

// Two processes and their threads store at the same moment; nothing is lost.
func TestManyWriters(t *testing.T) {
	if dir := os.Getenv("TEST_FILE_WRITER"); dir != "" {
		write(t, dir, os.Getenv("TEST_FILE_PREFIX"))
		return
	}
	dir := filepath.Join(t.TempDir(), "secrets")
	mustSet(t, storeIn(dir, passphrase), "first", "v")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^TestManyWriters$", "-test.count=1")
	child.Env = append(os.Environ(), "TEST_FILE_WRITER="+dir, "TEST_FILE_PREFIX=child")
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "parent")
	if err := child.Wait(); err != nil {
		t.Fatalf("the other process: %v\n%s", err, out.Bytes())
	}
	list, err := storeIn(dir, passphrase).List(t.Context())
	if err != nil || len(list) != 1+2*writes {
		t.Fatalf("List: %d entries, %v; want %d", len(list), err, 1+2*writes)
	}
	for _, e := range list {
		if len(e.Hosts) != 1 {
			t.Errorf("the index lost %s", e.Name)
		}
	}
}

const writes = 10

func write(t *testing.T, dir, prefix string) {
	s := storeIn(dir, passphrase)
	var wg sync.WaitGroup
	for i := range writes {
		wg.Go(func() {
			name := fmt.Sprintf("%s%d", prefix, i)
			if err := s.Set(t.Context(), name, keyring.Item{Value: keyring.NewSecret([]byte("v")), Hosts: []string{"h"}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Set waits for the lock no longer than its context allows.
func TestLockIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(dir, passphrase)
	mustSet(t, s, "one", "v1")
	release := hold(t, filepath.Join(dir, "lock"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.Set(ctx, "two", keyring.Item{Value: keyring.NewSecret([]byte("v2"))})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another agentvault") {
		t.Errorf("error %v; want the deadline, and who holds the lock", err)
	}
	release()
	mustSet(t, s, "two", "v2")
}

// What a crash left is cleared away, and is no secret.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(dir, passphrase)
	mustSet(t, s, "one", "v1")
	left := filepath.Join(dir, ".tmp-12345")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("List: %v, %v", list, err)
	}
	mustSet(t, s, "two", "v2")
	if _, err := os.Stat(left); err == nil {
		t.Error("the unfinished file is still there")
	}
}

func hold(t *testing.T, path string) (release func()) {
	t.Helper()
	release, err := disk.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return release
}
