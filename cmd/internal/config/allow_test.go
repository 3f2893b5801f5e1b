package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// allowFile has the list under test between two services and their comments.
const allowFile = `# the file's own comment
unmatched = "deny" # why

[service.a]
host = "a.test" # of a
auth = "none"
allow = ["GET /a"]

[service.github]
use    = "github"   # the catalogue's
secret = "keychain:github"
%
deny   = ["DELETE /orgs/**"]

[service.z]
host = "z.test"
auth = "none"
`

func TestAddAllow(t *testing.T) {
	long := "GET /" + strings.Repeat("x", 60)
	for _, tt := range []struct {
		name, old string
		ops       []string
		want      string
	}{
		{"one line", `allow  = ["GET /**"]  # reads`, []string{"POST /repos/*/*/issues"}, `allow  = ["GET /**", "POST /repos/*/*/issues"]  # reads`},
		{"two at once", `allow = [ 'GET /**' ]`, []string{"POST /a", "PUT /b"}, `allow = [ 'GET /**', "POST /a", "PUT /b" ]`},
		{"a comma at the end", `allow = ["GET /**",]`, []string{"POST /a"}, `allow = ["GET /**", "POST /a",]`},
		{"known already", `allow = ["GET /**", "POST /a"]`, []string{"POST /a"}, `allow = ["GET /**", "POST /a"]`},
		{"one of them known", `allow = ["GET /**"]`, []string{"GET /**", "POST /a", "POST /a"}, `allow = ["GET /**", "POST /a"]`},
		{"a line grows too long", `allow = ["GET /**", "` + long + `"]`, []string{"POST /a/long/enough/path"}, "allow = [\n    \"GET /**\",\n    \"" + long + "\",\n    \"POST /a/long/enough/path\",\n]"},
		{"a line each", "allow = [\n  \"GET /**\", # reads\n  \"POST /a\",\n]", []string{"PUT /b"}, "allow = [\n  \"GET /**\", # reads\n  \"POST /a\",\n  \"PUT /b\",\n]"},
		{"no comma, and a comment", "allow = [\n\t\"GET /**\" # \"reads\", ]\n\t# DELETE never\n]", []string{"PUT /b"}, "allow = [\n\t\"GET /**\", # \"reads\", ]\n\t\"PUT /b\"\n\t# DELETE never\n]"},
		{"a comma on its own line", "allow = [\n  \"GET /**\"\n  , # reads\n]", []string{"PUT /b"}, "allow = [\n  \"GET /**\"\n  , # reads\n  \"PUT /b\",\n]"},
		{"the bracket at the end", "allow = [\"GET /**\",\n         \"POST /a\"]", []string{"PUT /b"}, "allow = [\"GET /**\",\n         \"POST /a\",\n         \"PUT /b\"]"},
		{"the bracket below", "allow = [\"GET /**\"\n]", []string{"PUT /b"}, "allow = [\"GET /**\",\n    \"PUT /b\"\n]"},
		{"other quotes", `allow = ['''GET /**''', """POST /\u0061"""]`, []string{"POST /a", "PUT /b"}, `allow = ['''GET /**''', """POST /\u0061""", "PUT /b"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				file := func(list string) string {
					return strings.ReplaceAll(strings.Replace(allowFile, "%", list, 1), "\n", end)
				}
				got, err := AddAllow([]byte(file(tt.old)), "github", tt.ops)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != file(tt.want) {
					t.Errorf("line end %q: got\n%s\nwant\n%s", end, got, file(tt.want))
				}
			}
		})
	}
}

// However the table is written, its list is found.
func TestAddAllowFindsTheList(t *testing.T) {
	for _, tt := range []struct{ name, old, want string }{
		{"inline", "service.x = { host = \"x.test\", auth = \"none\", allow = [\"GET /**\"], deny = [\"GET /a\"] }", "service.x = { host = \"x.test\", auth = \"none\", allow = [\"GET /**\", \"PUT /b\"], deny = [\"GET /a\"] }"},
		{"dotted", "[service]\nx.host = \"x.test\"\nx.auth = \"none\"\nx.allow = [\"GET /**\"]", "[service]\nx.host = \"x.test\"\nx.auth = \"none\"\nx.allow = [\"GET /**\", \"PUT /b\"]"},
		{"quoted", "[service.'x']\nhost = \"x.test\"\nauth = \"none\"\n\"allow\" = [\"GET /**\"]", "[service.'x']\nhost = \"x.test\"\nauth = \"none\"\n\"allow\" = [\"GET /**\", \"PUT /b\"]"},
	} {
		if got, err := AddAllow([]byte(tt.old), "x", []string{"PUT /b"}); err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, got, tt.want)
		}
	}
}

func TestAddAllowRefuses(t *testing.T) {
	file := func(list string) string { return strings.Replace(allowFile, "%", list, 1) }
	for _, tt := range []struct{ name, source, service, op, want string }{
		{"no such service", file(""), "gitlab", "GET /x", `service "gitlab" does not stand in this file`},
		{"no list", file(""), "github", "GET /x", "has no allow list: it allows everything"},
		{"an empty list", file("allow = []"), "github", "GET /x", "has no allow list: it allows everything"},
		{"no rule", file(`allow = ["GET /**"]`), "github", "get /x", "not in upper case"},
		{"a file that does not load", file(`allow = ["GET /**"`), "github", "GET /x", FileName + ":"},
	} {
		if got, err := AddAllow([]byte(tt.source), tt.service, []string{tt.op}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q\n%s", tt.name, err, tt.want, got)
		}
	}
}

// What does not load, or stays the same, leaves the file as it is.
func TestEdit(t *testing.T) {
	path := filepath.Join(tree(t, map[string]string{FileName: svc("a")}), FileName)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var p Problems
	if _, err := Edit(path, func([]byte) ([]byte, error) { return []byte("nonsense"), nil }); !errors.As(err, &p) {
		t.Errorf("nonsense: %v", err)
	}
	if e, err := Edit(path, func(old []byte) ([]byte, error) { return old, nil }); err != nil || e.Created || string(e.After) != svc("a") {
		t.Errorf("no change: %+v, %v", e, err)
	}
	now, err := os.Stat(path)
	if err != nil || !os.SameFile(before, now) {
		t.Errorf("the file was replaced: %v", err)
	}
	// Somebody else writes to it meanwhile.
	_, err = Edit(path, func(old []byte) ([]byte, error) {
		if err := os.WriteFile(path, []byte(svc("b")), 0o600); err != nil {
			t.Fatal(err)
		}
		return Appended(old, svc("c")), nil
	})
	if err == nil || !strings.Contains(err.Error(), "changed while it was being written to") {
		t.Errorf("changed meanwhile: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != svc("b") {
		t.Errorf("the file is %q", got)
	}
}

func TestDropAsk(t *testing.T) {
	for _, tt := range []struct{ name, old, rule, want string }{
		{"the only one", `ask = ["POST /a"]  # careful`, "POST /a", `ask = []  # careful`},
		{"the only one, with a comma", `ask = [ "POST /a", ]`, "POST /a", `ask = [  ]`},
		{"the first", `ask = ["POST /a", "PUT /b"]`, "POST /a", `ask = ["PUT /b"]`},
		{"the last", `ask = ["POST /a", 'PUT /b',]`, "PUT /b", `ask = ["POST /a",]`},
		{"a line of its own", "ask = [\n  \"POST /a\", # money\n  # more\n  \"PUT /b\"\n]", "POST /a", "ask = [\n  # more\n  \"PUT /b\"\n]"},
		{"the last line", "ask = [\n  \"POST /a\",\n  \"PUT /b\" # why\n]", "PUT /b", "ask = [\n  \"POST /a\",\n]"},
		{"on the bracket's line", "ask = [\"POST /a\",\n  \"PUT /b\"]", "PUT /b", "ask = [\"POST /a\"]"},
		{"on the first line", "ask = [\"POST /a\", # money\n  \"PUT /b\"]", "POST /a", "ask = [\"PUT /b\"]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				file := func(list string) string {
					return strings.ReplaceAll(strings.Replace(allowFile, "%", list, 1), "\n", end)
				}
				got, err := DropAsk([]byte(file(tt.old)), "github", tt.rule)
				if err != nil || string(got) != file(tt.want) {
					t.Errorf("line end %q: %v\n%s\nwant\n%s", end, err, got, file(tt.want))
				}
			}
		})
	}
	source := []byte(strings.Replace(allowFile, "%", `ask = ["POST /**"]`, 1))
	if got, err := DropAsk(source, "github", "POST /a"); err == nil || !strings.Contains(err.Error(), "one that is wider") {
		t.Errorf("a wider rule: %v\n%s", err, got)
	}
}
