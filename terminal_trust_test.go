//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was typed before the file was shown approves nothing, and what the file opens stands
// above the question however long the file is.
func TestApprovalIsNotTypedAhead(t *testing.T) {
	s := newAskScreen(t, "echo the agent ran\n")
	lookalike := strings.Replace(shopService, "shop.example.test", "shоp.example.test", 1) // its o is Cyrillic
	write(t, filepath.Join(s.dir, "agentvault.toml"), lookalike+strings.Repeat("# a long story\n", 60))
	write(t, filepath.Join(s.dir, "start"), "echo type now; until [ -e go ]; do sleep 0.05; done; exec agentvault run --ui off -- ./agent\n")
	s.keys("sh start", "Enter")
	s.until("type now")
	s.keys("y", "Enter")
	s.until("type now\ny\n")
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.poll("it was not asked", func(now string) bool {
		return strings.HasSuffix(lastRow(now), "use it? It is remembered until the file changes. [y/N]") &&
			strings.Contains(now, "shop sends env:API_KEY to xn--shp-ted.example.test\n")
	})
	s.keys("n", "Enter")
	if now := s.over("agentvault: hint: read it, then run: agentvault trust"); strings.Contains(now, "the agent ran") {
		t.Errorf("it was approved:\n%s", now)
	}
}
