package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What doctor says of a runtime is what the proxy saw of it: a call with the credential, a
// certificate that was refused, or nothing.
func TestTryRuntimes(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed here")
	}
	bin, home := t.TempDir(), t.TempDir()
	for name, script := range map[string]string{
		"curl": `exec ` + curl + ` "$@"`,
		"wget": `exec ` + curl + ` -sS --cacert /etc/ssl/certs/ca-certificates.crt "$2"`,
		"ruby": `echo "getaddrinfo: no such host" >&2; exit 1`,
		"php":  `echo "Call to undefined function curl_init()"; exit 255`,
		"bun":  `exit 0`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range os.Environ() { // what the machine has of certificates and proxies is not this test's
		name, _, _ := strings.Cut(v, "=")
		t.Setenv(name, "")
	}
	t.Setenv("PATH", bin)
	t.Setenv("HOME", home)
	t.Setenv("TMPDIR", t.TempDir())
	found, err := tryRuntimes(t.Context(), System())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range found {
		got[f.name] = "reached"
		if f.err != nil {
			got[f.name] = f.err.Error()
		}
	}
	for name, want := range map[string]string{
		"curl": "reached",
		"wget": "certificate",
		"ruby": "getaddrinfo: no such host",
		"bun":  "goes around the proxy",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: got %q, want %q in it", name, got[name], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %q, want four runtimes: what is not installed is not listed", got)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Errorf("left behind in HOME: %v", left)
	}
}
