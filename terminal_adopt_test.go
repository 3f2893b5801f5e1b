//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// On a terminal discover offers, once the agent has ended, to move what the agent held of
// its own. A no leaves everything as it is; a yes stores it and writes its service. The
// value is never on the screen.
func TestDiscoverOffersToAdopt(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/x X-Api-Key @API_KEY
`)
	file := filepath.Join(s.dir, "agentvault.toml")
	s.keys("agentvault discover -- ./agent", "Enter")
	s.until("the agent has a credential of its own for example: own key in X-Api-Key", "for api.example.test alone? [y/N]")
	s.keys("n", "Enter")
	s.until("agentvault secret set example --host api.example.test", "[service.example]", "ready$")
	if _, err := os.Stat(file); err == nil {
		t.Error("a no has written a file")
	}
	// The first question is still on the screen until this sum is.
	s.keys("clear; echo round $((40+2)); agentvault discover -- ./agent", "Enter")
	s.until("round 42", "for api.example.test alone? [y/N]")
	s.keys("y", "Enter")
	s.until("new passphrase:")
	s.keys("correct horse", "Enter")
	s.until("once more:")
	s.keys("correct horse", "Enter")
	now := s.until("stored example (26 bytes), for api.example.test", "wrote agentvault.toml: service example",
		"example: the original is in the variable API_KEY of the environment", "ready$")
	if strings.Contains(now, secretValue) || strings.Contains(s.tmux("capture-pane", "-p", "-S", "-"), secretValue) {
		t.Errorf("the value is on the screen:\n%s", now)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `secret = "keychain:example"`) || !strings.Contains(string(text), `env    = ["API_KEY"]`) {
		t.Errorf("%v\n%s", err, text)
	}
	s.restored()
}
