package envvar

import (
	"errors"
	"fmt"
	"testing"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

func mustRef(t *testing.T, s string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestConformance(t *testing.T) {
	keyringtest.Run(t, func(*testing.T) keyringtest.Fixture {
		env := map[string]string{}
		local := "a variable is read from this process: there is no server"
		return keyringtest.Fixture{
			Backend: New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }),
			Put: func(t *testing.T, value []byte) keyring.Ref {
				name := fmt.Sprintf("VALUE_%d", len(env))
				env[name] = string(value)
				return mustRef(t, "env:"+name)
			},
			Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "env:NOT_SET") },
			Skip: map[string]string{
				"denied":        "a process may read its whole environment",
				"field missing": "a variable has no fields",
				"slow":          "reading a variable cannot block",
				"down":          local, "429": local, "500": local, "certificate": local,
			},
		}
	})
}

// What the environment becomes after the start changes nothing.
func TestReadOnce(t *testing.T) {
	env := map[string]string{"EARLY": "one", "LATE": "one"}
	b := New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "EARLY", "ABSENT")
	env["EARLY"], env["LATE"], env["ABSENT"] = "two", "two", "two"
	for _, c := range []struct{ name, want string }{{"EARLY", "one"}, {"LATE", "two"}} {
		item, err := b.Get(t.Context(), mustRef(t, "env:"+c.name))
		if err != nil || item.Value.Reveal() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, item.Value.Reveal(), err, c.want)
		}
	}
	env["LATE"] = "three"
	if item, err := b.Get(t.Context(), mustRef(t, "env:LATE")); err != nil || item.Value.Reveal() != "two" {
		t.Errorf("LATE the second time: %q, %v; want %q", item.Value.Reveal(), err, "two")
	}
	if _, err := b.Get(t.Context(), mustRef(t, "env:ABSENT")); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("ABSENT: %v; want keyring.ErrNotFound", err)
	}
}
