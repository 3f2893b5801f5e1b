package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/configuration.md has a row for each key that a file may hold, and for no other.
func TestConfigurationPageHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "\n## Keys\n")
	page, _, _ = strings.Cut(page, "\n## ")
	top, page, _ := strings.Cut(page, "\n### A service\n")
	service, page, _ := strings.Cut(page, "\n### auth\n")
	auth, backends, _ := strings.Cut(page, "\n### Backends\n")

	same := func(what string, documented, legal []string) {
		t.Helper()
		slices.Sort(documented)
		if legal = slices.Compact(slices.Sorted(slices.Values(legal))); !slices.Equal(documented, legal) {
			t.Errorf("%s: the page has %q, a file may hold %q", what, documented, legal)
		}
	}
	same("top", keyCells(top, 0), legalKeys(t, "%s = 1"))
	same("service", keyCells(service, 0), append(legalKeys(t, "[service.x]\n%s = 1"), legalKeys(t, "[service.x]\ntest = [{ %s = 1 }]")...))
	same("types of auth", keyCells(auth, 0), authTypes())
	var all []string // a key of several types stands there for each
	for _, kind := range authTypes() {
		if kind != "cookie" { // which shares the row of query
			all = append(all, authKeys(kind)...)
		}
	}
	slices.Sort(all)
	if got := slices.Sorted(slices.Values(keyCells(auth, 1))); !slices.Equal(got, all) {
		t.Errorf("keys of auth: the page has %q, the types have %q", got, all)
	}
	for _, section := range []string{"infisical", "vault", "aws", "log"} {
		_, rows, _ := strings.Cut(backends, "| `["+section+"]` ")
		rows, _, _ = strings.Cut("| "+rows, "\n| `[")
		same(section, keyCells(rows, 1), legalKeys(t, "["+section+"]\n%s = 1"))
	}
}

var backticked = regexp.MustCompile("`([a-z_0-9-]+)`")

// keyCells are the names in a column of the page's tables.
func keyCells(text string, column int) (names []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < column+3 {
			continue
		}
		for _, m := range backticked.FindAllStringSubmatch(cells[column+1], -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// legalKeys are those that the error for an unknown one lists.
func legalKeys(t *testing.T, text string) []string {
	t.Helper()
	_, err := Parse("f.toml", []byte(strings.Replace(text, "%s", "nosuchkey", 1)))
	if err == nil {
		t.Fatalf("%s: no error", text)
	}
	_, list, _ := strings.Cut(err.Error(), "(one of: ")
	list, _, found := strings.Cut(list, ")")
	if !found {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Split(list, ", ")
}
