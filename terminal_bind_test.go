//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stored secret without a binding is asked for before the agent starts. What was typed before
// the hosts were shown is no answer, anything but yes binds nothing, and a yes is kept with the
// secret: it is asked once, and a service elsewhere does not widen it.
func TestBindingIsAsked(t *testing.T) {
	s := newAskScreen(t, "$agent get https://$1.example.test/own\necho the agent ran\n")
	if err := storeUnbound(s.home, "example"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "pass"), passphrase+"\n")
	write(t, filepath.Join(s.dir, "av.toml"), "[service.example]\nhost = [\"api.example.test\", \"other.example.test\"]\nauth = \"bearer\"\nsecret = \"file:example\"\n")
	write(t, filepath.Join(s.dir, "elsewhere.toml"), "[service.example]\nhost = \"third.example.test\"\nauth = \"bearer\"\nsecret = \"file:example\"\n")
	write(t, filepath.Join(s.dir, "start"), "exec agentvault run --ui off --config $1.toml --passphrase-fd 3 -- ./agent $2 3<pass\n")
	write(t, filepath.Join(s.dir, "late"), "echo type now; until [ -e go ]; do sleep 0.05; done; . ./start\n")
	asked := func(now string) bool {
		return lastRow(now) == "agentvault: bind it to these, for good? [y/N]" &&
			strings.Contains(now, "file:example is not bound to any host; example would send it to\n    api.example.test\n    other.example.test\n")
	}

	s.keys("sh late av api", "Enter")
	s.until("type now")
	s.keys("y", "Enter")
	s.until("type now\ny\n")
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.poll("it was not asked", asked)
	s.keys("n", "Enter")
	if now := s.over("hint: agentvault secret set example --file --host api.example.test"); strings.Contains(now, "the agent ran") {
		t.Errorf("it was bound:\n%s", now)
	}

	s.keys("clear; sh start av api", "Enter")
	s.poll("it was not asked again", asked)
	s.keys("y", "Enter")
	s.over("the agent ran", "1 call · 1 injected")
	if !s.saw("Authorization: Bearer " + secretValue) {
		t.Errorf("the upstream saw\n%s", s.world.saw())
	}
	// The screen is the one of before until this sum is there.
	s.keys("clear; echo round $((40+2)); agentvault secret list --file; sh start elsewhere third", "Enter")
	now := s.over("round 42", "the agent ran", "1 call · ")
	if !rowWith(now, "example ", " api.example.test, other.example.test") {
		t.Errorf("the answer was not kept:\n%s", now)
	}
	if strings.Contains(now, "bind it to these") || strings.Contains(now, secretValue) || s.saw("third.example.test") {
		t.Errorf("a service elsewhere has widened it:\n%s\nthe upstream saw\n%s", now, s.world.saw())
	}
}
