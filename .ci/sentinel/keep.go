package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// keepVariable names the folder that temporary folders of tests are moved to.
	keepVariable = "AGENTVAULT_TEST_KEEP"
	kept         = "kept"
)

// keepFolders writes a copy of package testing that moves a test's temporary folder aside
// instead of removing it, and returns the file that has go build take it. Only packages that
// import testing are compiled anew for it.
func keepFolders(dir string) (overlay string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src", "testing", "testing.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const removes = "err := os.RemoveAll(path)"
	if strings.Count(string(text), removes) != 1 {
		return "", fmt.Errorf("%s is another than this was made for: want %q in it, once", source, removes)
	}
	moves := `err := func() error {
			if to := os.Getenv("` + keepVariable + `"); to != "" {
				return os.Rename(path, to+string(os.PathSeparator)+filepath.Base(path))
			}
			return os.RemoveAll(path)
		}()`
	changed := filepath.Join(dir, "testing.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), removes, moves, 1)), 0o600); err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replace, 0o600)
}
