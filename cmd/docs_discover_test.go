package cmd

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every command of docs/discover.md that reads logs runs, and says what the page says of it.
// Those that start an agent are in testdata/script.
func TestDocumentedDiscover(t *testing.T) {
	text, err := os.ReadFile("../docs/discover.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"discover --from last":                  "api.github.com",
		"discover --from 7f3a9c --from 81d20e":  "/repos/*/*/pulls/*",
		"discover --since 7d":                   "files.example.org",
		"discover --all --write":                "wrote agentvault.toml",
		"discover --from last --write --strict": `unmatched = "deny"`,
		"discover --all --fail-uncovered":       "endpoints",
		"discover -- claude":                    "",
		"discover --adopt -- claude":            "",
	}
	env := quietEnv(t)
	history(t, env)
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^    agentvault (\S.*?)(?:   .*)?$`).FindAllStringSubmatch(string(text), -1) {
		answer, known := want[m[1]]
		if !known {
			t.Errorf("nothing is known of %q", m[1])
		}
		if answer == "" {
			continue
		}
		found++
		status, out := runCommand(t, env, strings.Fields(m[1])...)
		if status != 0 && !(status == 1 && strings.Contains(m[1], "--fail-uncovered")) {
			t.Errorf("%s: status %d\n%s", m[1], status, out)
		}
		if !strings.Contains(out, answer) {
			t.Errorf("%s: no %q in\n%s", m[1], answer, out)
		}
	}
	if found < 6 {
		t.Errorf("only %d commands are documented", found)
	}
}
