package infisical

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// wantKey gets a key of /agents and fails unless its value is want.
func wantKey(t *testing.T, b *Backend, key, want string) {
	t.Helper()
	item, err := b.Get(t.Context(), mustRef(t, "infisical:"+key+"?path=/agents"))
	if err != nil || item.Value.Reveal() != want {
		t.Errorf("%s: %q, %v; want %q", key, item.Value.Reveal(), err, want)
	}
}

// fill puts n keys into /agents.
func fill(s *server, n int, version string) {
	s.look(func() {
		for i := range n {
			s.secrets[fmt.Sprintf("/agents:KEY_%d", i)] = fmt.Sprintf("%s-%d", version, i)
		}
	})
}

// wantReads fails unless the server gave whole folders, answered "unchanged" and gave single
// keys this often.
func wantReads(t *testing.T, s *server, when string, lists, same, gets int) {
	t.Helper()
	s.look(func() {
		if s.lists != lists || s.same != same || s.gets != gets {
			t.Errorf("%s: %d folders, %d unchanged, %d keys; want %d, %d, %d", when, s.lists, s.same, s.gets, lists, same, gets)
		}
	})
}

// Twenty refs of a folder are one request, whether they come together or one after the other,
// and the next time one conditional request.
func TestFolderIsOneRequest(t *testing.T) {
	const keys = 20
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprintf("together=%t", together), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server, b *Backend) {
				all := func(version string) {
					var wg sync.WaitGroup
					for i := range keys {
						get := func() { wantKey(t, b, fmt.Sprintf("KEY_%d", i), fmt.Sprintf("%s-%d", version, i)) }
						if together {
							wg.Go(get)
						} else {
							get()
						}
					}
					wg.Wait()
				}
				fill(s, keys, "v1")
				all("v1")
				wantReads(t, s, "at first", 1, 0, 0)
				time.Sleep(5 * time.Minute)
				all("v1")
				wantReads(t, s, "unchanged", 1, 1, 0)
				time.Sleep(5 * time.Minute)
				fill(s, keys, "v2")
				all("v2")
				wantReads(t, s, "changed", 2, 1, 0)
				time.Sleep(time.Hour)
				s.look(func() { clear(s.tokens) }) // and a new sign-in is no new folder
				all("v2")
				wantReads(t, s, "with another token", 2, 2, 0)
			})
		})
	}
}

// Who asks for the same key again, as after a 401, hears what the server says now; the others
// that were given an old value are told by their own next question.
func TestFolderIsReadAnew(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, b *Backend) {
		fill(s, 2, "v1")
		wantKey(t, b, "KEY_0", "v1-0")
		wantKey(t, b, "KEY_1", "v1-1")
		fill(s, 2, "v2")
		wantKey(t, b, "KEY_0", "v2-0")
		wantKey(t, b, "KEY_1", "v2-1")
		wantReads(t, s, "after a change", 2, 0, 0)
		fill(s, 3, "v3")
		wantKey(t, b, "KEY_0", "v3-0")
		time.Sleep(3 * time.Second) // a first question long after the reading is not answered from it
		fill(s, 3, "v4")
		wantKey(t, b, "KEY_2", "v4-2")
	})
}

// What a folder imports and refers to is the same, whether it is listed or asked for by key.
func TestImportsAndReferences(t *testing.T) {
	for _, listed := range []bool{true, false} {
		t.Run(fmt.Sprintf("listed=%t", listed), func(t *testing.T) {
			s := newServer(t)
			s.denied["/agents:"] = !listed
			for where, value := range map[string]string{
				"/agents:OWN": "own", "/first:OWN": "first", "/last:OWN": "last",
				"/first:BOTH": "first", "/last:BOTH": "last",
				"/first:ONE":   "one",
				"/agents:URL":  "https://${USER}:${PASS}@db.test",
				"/agents:USER": "u", "/agents:PASS": "p-${OWN}",
			} {
				s.secrets[where] = value
			}
			s.imports["/agents"] = []string{"/first", "/last"}
			b := New(s.config())
			defer b.Close()
			for key, want := range map[string]string{"OWN": "own", "BOTH": "last", "ONE": "one", "URL": "https://u:p-own@db.test"} {
				wantKey(t, b, key, want)
			}
		})
	}
}

// An identity that may not list a folder gets what it may get, and is not asked to list again.
func TestFolderThatMayNotBeListed(t *testing.T) {
	s := newServer(t)
	fill(s, 3, "v")
	s.denied["/agents:"], s.denied["/agents:KEY_2"] = true, true
	b := New(s.config())
	defer b.Close()
	for range 2 {
		wantKey(t, b, "KEY_0", "v-0")
		wantKey(t, b, "KEY_1", "v-1")
	}
	if _, err := b.Get(t.Context(), mustRef(t, "infisical:KEY_2?path=/agents")); !errors.Is(err, keyring.ErrDenied) {
		t.Errorf("a key that is denied: %v", err)
	}
	wantReads(t, s, "one by one", 0, 0, 5)
}

func TestMissingKey(t *testing.T) {
	s := newServer(t)
	fill(s, 2, keyringtest.Sentinel)
	b := New(s.config())
	defer b.Close()
	for _, c := range []struct{ ref, want string }{
		{"infisical:ABSENT?path=/agents", "no key ABSENT in /agents (one of: KEY_0, KEY_1)"},
		{"infisical:ABSENT?path=/empty", "no key ABSENT, and the folder /empty is empty"},
		{"infisical:ABSENT?path=/nowhere", "Folder with path '/nowhere'"},
	} {
		_, err := b.Get(t.Context(), mustRef(t, c.ref))
		if !errors.Is(err, keyring.ErrNotFound) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), keyringtest.Sentinel) {
			t.Errorf("%s: %v, want %q", c.ref, err, c.want)
		}
	}
}

// The defaults of the configuration complete a ref.
func TestDefaults(t *testing.T) {
	s := newServer(t)
	fill(s, 1, "v")
	c := s.config()
	c.Path = "/agents"
	b := New(c)
	defer b.Close()
	if item, err := b.Get(t.Context(), mustRef(t, "infisical:KEY_0")); err != nil || item.Value.Reveal() != "v-0" {
		t.Errorf("got %q, %v", item.Value.Reveal(), err)
	}
}

// Nothing of a folder stays behind.
func TestFolderIsWiped(t *testing.T) {
	s := newServer(t)
	fill(s, 1, "v1")
	b := New(s.config())
	wantKey(t, b, "KEY_0", "v1-0")
	p := place{project, "dev", "/agents"}
	old := b.folders[p].keys["KEY_0"]
	fill(s, 1, "v2")
	wantKey(t, b, "KEY_0", "v2-0")
	current := b.folders[p].keys["KEY_0"]
	if old.Len() == 0 || current.Len() == 0 {
		t.Fatal("wiped too early")
	}
	_ = b.Close()
	if old.Len() != 0 || current.Len() != 0 {
		t.Error("a value is still in memory")
	}
	if _, err := b.Get(t.Context(), mustRef(t, "infisical:KEY_0?path=/agents")); err == nil {
		t.Error("Get after Close: no error")
	}
}
