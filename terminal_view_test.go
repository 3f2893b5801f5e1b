//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleService covers the one host that the agents of these tests ask.
const exampleService = "[service.example]\nhost = \"api.example.test\"\nauth = \"bearer\"\nsecret = \"env:API_KEY\"\nallow = [\"GET /**\"]\n"

// headerAgent makes one call with headers of its own, and waits.
const headerAgent = `
$agent get https://api.example.test/account X-Note hello Cookie sid=c00kie-0123456789
read line
`

// shows waits for a screen that has all of the texts and none of the secrets.
func (s *askScreen) shows(texts ...string) {
	s.t.Helper()
	if now := s.until(texts...); strings.Contains(now, secretValue) || strings.Contains(now, "c00kie-0123456789") {
		s.t.Errorf("a credential is on the screen:\n%s", now)
	}
}

// The inspector shows the headers of a call with credentials masked, the rule that let it
// through, and how its secret is doing.
func TestInspectorShowsHeaders(t *testing.T) {
	s := newAskScreen(t, headerAgent)
	write(t, filepath.Join(s.dir, "av.toml"), exampleService)
	s.keys("agentvault run --config av.toml -- ./agent", "Enter")
	s.until("◆ 1 call · 1 injected")
	s.keys("C-]", "v")
	s.until("coverage 100 %", "q back")
	s.keys("Enter")
	s.until("enter shows all")
	s.keys("Enter")
	s.shows("whose rule GET /** allows it", "Authorization: Bearer ‹example›", "Cookie: sid=‹own›", "X-Note: hello", "response")
	s.keys("Escape")
	s.until("enter shows all")
	s.keys("3")
	s.shows("SERVICE", "● example", "cached", "env:API_KEY", "header Authorization")
	s.keys("C-]")
	s.until("^] view")
	s.keys("Enter")
	s.over("1 call · 1 injected")
	s.restored()
}

// Another terminal sees the same, and can change nothing.
func TestWatchShowsHeaders(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/before
echo "the agent waits"
read line
`+headerAgent)
	write(t, filepath.Join(s.dir, "av.toml"), exampleService)
	runtime := filepath.Join(s.dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	s.keys("export XDG_RUNTIME_DIR="+runtime+"; clear; agentvault run --config av.toml --ui off -- ./agent", "Enter")
	s.until("the agent waits")
	s.tmux("new-window", "-c", s.dir, "-e", "XDG_RUNTIME_DIR="+runtime, "sh")
	s.until("ready$")
	s.keys("agentvault watch", "Enter")
	s.until("/before", "q quit")
	s.tmux("send-keys", "-t", ":0", "Enter")
	s.until("/before", "/account", "● example")
	s.keys("Enter")
	s.until("enter shows all")
	s.keys("Enter")
	s.shows("whose rule GET /** allows it", "Authorization: Bearer ‹example›", "Cookie: sid=‹own›")
	s.keys("c")
	s.until("only looks on")
	s.keys("3")
	s.shows("● example", "cached", "env:API_KEY")
	s.keys("q")
	s.over() // before that, keys are still read by watch
	s.keys("exit", "Enter")
	s.until("the agent waits") // the first window is back
	s.keys("Enter")
	s.over("2 calls · 2 injected")
}
