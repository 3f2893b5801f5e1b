package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRows(t *testing.T) {
	for _, e := range Catalogue() {
		if len(e.Row()) == 0 {
			t.Errorf("%s: has no row", e.Name)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	const one = "[service.github]\nuse = \"github\"\nsecret = \"keychain:github\"\n"
	const two = one + "[service.linear]\nuse = \"linear\"\nsecret = \"keychain:linear\"\n"
	trust := NewTrust(filepath.Join(dir, "state"))
	if err := trust.Approve(path, []byte(one)); err != nil {
		t.Fatal(err)
	}
	row, ok := trust.Row(path, "github")
	if !ok || !slices.ContainsFunc(row, func(l string) bool { return strings.HasPrefix(l, "host api.github.com") }) {
		t.Fatalf("%q, %t", row, ok)
	}
	if _, ok := trust.Row(path, "linear"); ok {
		t.Error("a row that the file does not use is known")
	}
	if _, ok := trust.Row(path+".other", "github"); ok {
		t.Error("a row of another file is known")
	}
	// The catalogue has changed since: an approval of an edit keeps what was seen, and what
	// the human accepts replaces it.
	old := strings.ReplaceAll(readFile(t, trust.rowsPath()), "api.github.com", "api.github.example")
	if err := os.WriteFile(trust.rowsPath(), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trust.Approve(path, []byte(two)); err != nil {
		t.Fatal(err)
	}
	if row, _ := trust.Row(path, "github"); !strings.Contains(strings.Join(row, "\n"), "github.example") {
		t.Errorf("an edit has accepted the new row: %q", row)
	}
	if _, ok := trust.Row(path, "linear"); !ok {
		t.Error("the row that the edit brought is not known")
	}
	if err := trust.Accept(path, []byte(two)); err != nil {
		t.Fatal(err)
	}
	if row, _ := trust.Row(path, "github"); strings.Contains(strings.Join(row, "\n"), "github.example") {
		t.Errorf("the old row is still there: %q", row)
	}
	// A file that nobody can read knows nothing, and is written anew.
	if err := os.WriteFile(trust.rowsPath(), []byte("rubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := trust.Row(path, "github"); ok {
		t.Error("rubbish is known")
	}
	if err := trust.Accept(path, []byte(one)); err != nil {
		t.Fatal(err)
	}
	if _, ok := trust.Row(path, "github"); !ok {
		t.Error("nothing was written anew")
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
