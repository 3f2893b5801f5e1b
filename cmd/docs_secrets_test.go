package cmd

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/keyring/command"
)

// examples are the indented blocks of a page, each without its indentation.
func examples(t *testing.T, page string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var block strings.Builder
	for line := range strings.Lines(string(text) + "\nend") {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented:
			block.WriteString(strings.TrimPrefix(code, "  ")) // inside of a list
		case strings.TrimSpace(line) == "" && block.Len() > 0:
			block.WriteString("\n")
		default:
			if block.Len() > 0 {
				blocks = append(blocks, block.String())
			}
			block.Reset()
		}
	}
	return blocks
}

// Every example of the page about secrets is one that works: what is TOML loads, refs are
// refs, and each command is one that a test runs (TestDocumentedCommands, the scripts).
func TestSecretsPageLoads(t *testing.T) {
	known := []string{"agentvault secret ", "agentvault run ", "export VAULT_ADDR=", "vault login", "vault lease revoke ", `{"value": `}
	loaded := 0
	for _, block := range examples(t, "secrets.md") {
		var file strings.Builder
		n := 0
		for line := range strings.Lines(block) {
			switch {
			case slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(line, k) }):
				continue
			case strings.HasPrefix(line, "secret = ") && !strings.Contains(block, "[service."): // a line of its own
				n++
				file.WriteString("[service.s" + string(rune('a'+n)) + "]\nhost = \"" + string(rune('a'+n)) + ".test\"\nauth = \"bearer\"\n")
			}
			file.WriteString(line)
		}
		if strings.TrimSpace(file.String()) == "" {
			continue
		}
		// As the user's own file: bindings stand there.
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Options{UserDir: dir}); err != nil {
			t.Errorf("an example does not load: %v\n%s", err, file.String())
		}
		loaded++
	}
	if loaded < 15 {
		t.Errorf("%d examples were found", loaded)
	}
}

// The commands that the page names for password managers, run by stand-ins that take their
// arguments as the real ones do.
func TestDocumentedCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts")
	}
	bin := t.TempDir()
	for name, script := range map[string]string{
		"op":     `[ "$1" = read ] && case "$2" in op://*/*/*) echo "value of $2";; *) exit 1;; esac`,
		"pass":   `[ "$1" = show ] && echo "value of $2"`,
		"gh":     `[ "$*" = "auth token" ] && echo "value of $*"`,
		"bw":     `[ -n "$BW_SESSION" ] && [ "$1 $2" = "get password" ] && printf %s "value of $3"`,
		"gcloud": `[ "$*" = "auth print-access-token" ] && echo "value of $*"`,
		"vault":  `[ "$1 $2 $3" = "kv get -field=token" ] && printf %s "value of $4"`,
	} {
		text := "#!/bin/sh\n" + script + " || { echo \"$0: not as it is called\" >&2; exit 1; }\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("BW_SESSION", "unlocked")
	var ran []string
	for _, block := range examples(t, "secrets.md") {
		for line := range strings.Lines(block) {
			_, rest, ok := strings.Cut(line, `secret = "exec:`)
			if !ok {
				continue
			}
			text, _, _ := strings.Cut(rest, `"`)
			ref, err := keyring.ParseRef("exec:" + text)
			if err != nil {
				t.Fatal(err)
			}
			item, err := command.New(command.Config{}).Get(t.Context(), ref)
			if err != nil || !strings.HasPrefix(item.Value.Reveal(), "value of ") || strings.HasSuffix(item.Value.Reveal(), "\n") {
				t.Errorf("%s: %q, %v", ref, item.Value.Reveal(), err)
			}
			name, _, _ := strings.Cut(text, " ")
			ran = append(ran, name)
		}
	}
	for _, name := range []string{"op", "pass", "gh", "bw"} {
		if !slices.Contains(ran, name) {
			t.Errorf("the page has no example for %s", name)
		}
	}
}
