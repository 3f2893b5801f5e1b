package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"agentvault/proxy/rule"
)

func TestServiceTOML(t *testing.T) {
	for _, tt := range []struct {
		host, seen string
		port       int
		want       string
	}{
		{"api.linear.app", "header Authorization", 443, "[service.linear]\nuse    = \"linear\"\nsecret = \"keychain:linear\"\nallow  = [\"GET /x\"]\n"},
		{"acme.zendesk.com", "basic", 443, "[service.zendesk]\nuse    = \"zendesk\"\nhost   = \"acme.zendesk.com\"\nauth   = { type = \"basic\", user = \"...\" }\nsecret = \"keychain:zendesk\"\nallow  = [\"GET /x\"]\n"},
		{"api.acme.co.uk", "x-api-key", 8443, "[service.acme]\nhost   = \"api.acme.co.uk:8443\"\nauth   = { type = \"header\", name = \"x-api-key\" }\nsecret = \"keychain:acme\"\nallow  = [\"GET /x\"]\n"},
		{"api.acme.test", "query:key", 443, "[service.acme]\nhost   = \"api.acme.test\"\nauth   = { type = \"query\", name = \"key\" }\nsecret = \"keychain:acme\"\nallow  = [\"GET /x\"]\n"},
		{"10.0.0.5", "", 443, "[service.10-0-0-5]\nhost   = \"10.0.0.5\"\nauth   = \"bearer\"\nsecret = \"keychain:10-0-0-5\"\nallow  = [\"GET /x\"]\n"},
	} {
		op, err := rule.ParseOp("GET /x")
		if err != nil {
			t.Fatal(err)
		}
		s, err := Suggest(tt.host, tt.port, tt.seen, []rule.Op{op})
		if err != nil {
			t.Fatal(err)
		}
		if got := ServiceTOML(s); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.host, got, tt.want)
		}
	}
}

func TestAddService(t *testing.T) {
	old := "# mine\r\nunmatched = \"deny\" # why\r\n\r\n[service.a]\r\nhost = \"a.test\"\r\nauth = \"none\""
	dir := tree(t, map[string]string{"agentvault.toml": old})
	path, link := filepath.Join(dir, "agentvault.toml"), filepath.Join(dir, "link.toml")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := AddService(link, svc("b")); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	if want := old + "\n\r\n" + strings.ReplaceAll(svc("b"), "\n", "\r\n"); string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}

	// What would not load changes nothing.
	for _, bad := range []string{svc("b"), "[service.c]\nhost = \"a.test\"\nauth = \"none\"", "nonsense"} {
		var p Problems
		if err := AddService(path, bad); !errors.As(err, &p) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if again, _ := os.ReadFile(path); string(again) != string(got) {
		t.Error("a refused addition changed the file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("something is left over: %v", entries)
	}

	fresh := filepath.Join(dir, "fresh.toml")
	if err := AddService(fresh, svc("b")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(fresh); string(got) != svc("b") {
		t.Errorf("fresh file: %q", got)
	}
}

func TestTrust(t *testing.T) {
	dir := tree(t, map[string]string{"p/agentvault.toml": "x"})
	state, path := filepath.Join(dir, "state", "agentvault"), filepath.Join(dir, "p/agentvault.toml")
	trust := NewTrust(state)
	if trust.Approved(path, []byte("one")) {
		t.Error("approved before anybody was asked")
	}
	for _, content := range []string{"one", "two", "one"} {
		if err := trust.Approve(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	trust = NewTrust(state)
	for _, tt := range []struct {
		path, content string
		want          bool
	}{
		{path, "one", true}, {path, "two", true}, {path, "one ", false}, {path + "x", "one", false},
		{filepath.Join(dir, "p/../p/agentvault.toml"), "one", true},
	} {
		if got := trust.Approved(tt.path, []byte(tt.content)); got != tt.want {
			t.Errorf("Approved(%q, %q) = %v", tt.path, tt.content, got)
		}
	}
	store := filepath.Join(state, "trusted")
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(store); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if err := os.Chmod(store, 0o622); err != nil {
			t.Fatal(err)
		}
		if trust.Approved(path, []byte("one")) || trust.Approve(path, []byte("three")) == nil {
			t.Error("a store that others may write is believed")
		}
		if err := os.Chmod(store, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if paths, err := trust.Paths(); err != nil || len(paths) != 1 || paths[0] != path {
		t.Errorf("paths %q, %v", paths, err)
	}
	if had, err := trust.Revoke(path); !had || err != nil || trust.Approved(path, []byte("one")) {
		t.Errorf("revoked: %v, %v", had, err)
	}
	if had, err := trust.Revoke(path); had || err != nil {
		t.Errorf("revoked twice: %v, %v", had, err)
	}
	if err := os.WriteFile(store, []byte("junk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if trust.Approved(path, []byte("one")) {
		t.Error("junk approves")
	}
}
