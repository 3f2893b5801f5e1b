package keyringtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
)

// RunStore runs the suite of what agentvault itself writes. open returns a second handle
// on the same store each time it is called within one test: what one wrote, another, as
// a later run of agentvault, reads.
func RunStore(t *testing.T, scheme string, world func(t *testing.T) (open func() keyring.Store)) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, string, func() keyring.Store)
	}{
		{"keeps value, hosts and date", storeKeeps},
		{"replaces", storeReplaces},
		{"lists", storeLists},
		{"removes", storeRemoves},
		{"refuses bad names and empty values", storeRefuses},
		{"large value replaced by a small one and back", storeResizes},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, scheme, world(t)) })
	}
}

var storedAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func storeItem(value string, hosts ...string) keyring.Item {
	return keyring.Item{Value: keyring.NewSecret([]byte(value)), Hosts: hosts, Set: storedAt}
}

func mustRef(t *testing.T, scheme, name string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef(scheme + ":" + name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustSet(t *testing.T, s keyring.Store, name string, item keyring.Item) {
	t.Helper()
	if err := s.Set(t.Context(), name, item); err != nil {
		t.Fatalf("Set %q: %v", name, err)
	}
}

func expect(t *testing.T, s keyring.Store, ref keyring.Ref, value string, hosts ...string) {
	t.Helper()
	item, err := get(t, s, ref)
	if err != nil {
		t.Fatalf("Get %s: %v", ref, err)
	}
	if item.Value.Reveal() != value {
		t.Errorf("Get %s: %d bytes that are not the %d bytes stored", ref, item.Value.Len(), len(value))
	}
	if !slices.Equal(item.Hosts, hosts) {
		t.Errorf("Get %s: hosts %q, want %q", ref, item.Hosts, hosts)
	}
	if !item.Set.Equal(storedAt) {
		t.Errorf("Get %s: set at %s, want %s", ref, item.Set, storedAt)
	}
}

func storeKeeps(t *testing.T, scheme string, open func() keyring.Store) {
	mustSet(t, open(), "github", storeItem(Sentinel, "api.github.com", "*.github.com:8443"))
	expect(t, open(), mustRef(t, scheme, "github"), Sentinel, "api.github.com", "*.github.com:8443")
	mustSet(t, open(), "unbound", storeItem(Sentinel))
	expect(t, open(), mustRef(t, scheme, "unbound"), Sentinel)
}

func storeReplaces(t *testing.T, scheme string, open func() keyring.Store) {
	s := open()
	mustSet(t, s, "github", storeItem("old-"+Sentinel, "old.test"))
	mustSet(t, s, "github", storeItem("new-"+Sentinel, "new.test"))
	expect(t, open(), mustRef(t, scheme, "github"), "new-"+Sentinel, "new.test")
	list, err := open().List(t.Context())
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Hosts, []string{"new.test"}) {
		t.Errorf("List: %v, %v; want github alone, with its new host", list, err)
	}
}

func storeLists(t *testing.T, _ string, open func() keyring.Store) {
	list, err := open().List(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("List of an empty store: %v, %v", list, err)
	}
	names := []string{"zulu", "alpha", "Mike-1.x_y"}
	for _, name := range names {
		mustSet(t, open(), name, storeItem(Sentinel, name+".test"))
	}
	list, err = open().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Mike-1.x_y", "alpha", "zulu"}
	for i, e := range list {
		if i >= len(want) || e.Name != want[i] || !slices.Equal(e.Hosts, []string{e.Name + ".test"}) || !e.Set.Equal(storedAt) {
			t.Errorf("List[%d] = %+v", i, e)
		}
	}
	if len(list) != len(want) {
		t.Errorf("List has %d entries, want %d", len(list), len(want))
	}
	quiet(t, fmt.Sprintf("%+v", list))
}

func storeRemoves(t *testing.T, scheme string, open func() keyring.Store) {
	if err := open().Remove(t.Context(), "github"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("Remove of what is not there: %v; want keyring.ErrNotFound", err)
	}
	mustSet(t, open(), "github", storeItem(Sentinel, "api.github.com"))
	mustSet(t, open(), "other", storeItem(Sentinel))
	if err := open().Remove(t.Context(), "github"); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	s := open()
	if _, err := get(t, s, mustRef(t, scheme, "github")); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("Get after Remove: %v; want keyring.ErrNotFound", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0].Name != "other" {
		t.Errorf("List after Remove: %v, %v; want other alone", list, err)
	}
	expect(t, s, mustRef(t, scheme, "other"), Sentinel)
}

func storeRefuses(t *testing.T, _ string, open func() keyring.Store) {
	for _, name := range []string{"", "a/b", "../up", "a b", "a:b", ":index0", "naïve", "a\x00b", strings.Repeat("x", 300)} {
		s := open()
		if err := s.Set(t.Context(), name, storeItem(Sentinel)); err == nil {
			t.Errorf("Set took the name %.20q", name)
		} else {
			quiet(t, err.Error())
		}
		if err := s.Remove(t.Context(), name); err == nil {
			t.Errorf("Remove took the name %.20q", name)
		}
		if _, err := s.Get(t.Context(), keyring.Ref{Scheme: "file", Name: name}); err == nil {
			t.Errorf("Get took the name %.20q", name)
		}
	}
	if err := open().Set(t.Context(), "empty", storeItem("")); !errors.Is(err, keyring.ErrEmpty) {
		t.Errorf("Set of an empty value: %v; want keyring.ErrEmpty", err)
	}
	if list, err := open().List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List after what was refused: %v, %v; want nothing", list, err)
	}
}

func storeResizes(t *testing.T, scheme string, open func() keyring.Store) {
	huge := strings.Repeat("0123456789abcdef", 512<<10/16)
	ref := mustRef(t, scheme, "sized")
	for _, value := range []string{huge, Sentinel, huge + "x"} {
		mustSet(t, open(), "sized", storeItem(value, "sized.test"))
		expect(t, open(), ref, value, "sized.test")
	}
	if err := open().Remove(t.Context(), "sized"); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, open(), ref); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("Get after Remove: %v; want keyring.ErrNotFound", err)
	}
}
