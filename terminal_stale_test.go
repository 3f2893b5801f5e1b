//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A backend goes out of reach under a running session: the last value serves, and the view
// says so, in the list of calls and beside the service.
func TestViewShowsStale(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/private
read line
$agent get https://api.example.test/private
read line
`)
	write(t, filepath.Join(s.dir, "av.toml"), `[infisical]
site_url      = "https://infisical.example.test"
client_id     = "id-1"
client_secret = "env:API_KEY"
[service.example]
host   = "api.example.test"
auth   = "bearer"
secret = "infisical:API_KEY?project=p-1&env=dev&path=/agents"
`)
	runtime := filepath.Join(s.dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	s.keys("export API_KEY=s3cret-machine XDG_RUNTIME_DIR="+runtime+"; clear; agentvault run --config av.toml -- ./agent", "Enter")
	s.until("◆ 1 call · 1 injected")
	s.world.mu.Lock()
	s.world.value, s.world.takes = "-", firstValue
	s.world.mu.Unlock()
	s.tmux("new-window", "-c", s.dir, "-e", "XDG_RUNTIME_DIR="+runtime, "sh")
	s.until("ready$")
	s.keys("agentvault refresh", "Enter")
	s.until("infisical is unreachable: the value read at")
	s.keys("exit", "Enter")
	s.until("◆ 1 call · 1 injected") // the first window is back
	s.keys("Enter")
	s.until("◆ 2 calls · 2 injected")
	s.keys("C-]", "v")
	s.until("⚠ stale", "coverage 100 %")
	s.keys("3")
	if now := s.until("SERVICE", "⚠ example", "stale"); strings.Contains(now, firstValue) {
		t.Errorf("the value is on the screen:\n%s", now)
	}
	s.keys("C-]")
	s.until("^] view")
	s.keys("Enter")
	s.over("2 calls · 2 injected")
	s.restored()
}
