package config

import (
	"strings"
	"testing"
)

func TestSetUnmatched(t *testing.T) {
	const service = "[service.a]\nhost = \"a.test\"\nauth = \"none\"\n"
	for _, tt := range []struct{ name, old, want string }{
		{"there", "# why\nunmatched = 'warn' # for now\n\n" + service, "# why\nunmatched = \"deny\" # for now\n\n" + service},
		{"there already", "unmatched='deny'\n" + service, "unmatched='deny'\n" + service},
		{"quoted, and behind others", "tunnel = []\n\"unmatched\" = \"\"\"allow\"\"\"\n" + service, "tunnel = []\n\"unmatched\" = \"deny\"\n" + service},
		{"not there", service, "unmatched = \"deny\"\n\n" + service},
		{"the file's comment stays on top", "# the file's\n\n" + service, "# the file's\n\nunmatched = \"deny\"\n\n" + service},
		{"it stays even right above", "# the file's\n# two lines\n" + service, "# the file's\n# two lines\nunmatched = \"deny\"\n\n" + service},
		{"a table keeps its comment", "# the file's\n\n# of a\n# still\n" + service, "# the file's\n\nunmatched = \"deny\"\n\n# of a\n# still\n" + service},
		{"other keys first", "# t\ntunnel = [\"t.test\"]\n\n# of a\n" + service, "# t\nunmatched = \"deny\"\n\ntunnel = [\"t.test\"]\n\n# of a\n" + service},
		{"empty", "", "unmatched = \"deny\"\n"},
		{"comments alone", "# nothing", "# nothing\nunmatched = \"deny\"\n"},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			file := func(s string) string { return strings.ReplaceAll(s, "\n", end) }
			if tt.old == "# nothing" && end == "\r\n" {
				continue // it has no line end to follow
			}
			if tt.old == "" && end == "\r\n" {
				continue
			}
			got, err := SetUnmatched([]byte(file(tt.old)), "deny")
			if err != nil || string(got) != file(tt.want) {
				t.Errorf("%s, line end %q: %v, got\n%s\nwant\n%s", tt.name, end, err, got, file(tt.want))
			}
		}
	}
	if got, err := SetUnmatched([]byte("nonsense"), "deny"); err == nil {
		t.Errorf("nonsense became %q", got)
	}
	if got, err := SetUnmatched([]byte(service), "never"); err == nil {
		t.Errorf("an unknown policy became %q", got)
	}
}
