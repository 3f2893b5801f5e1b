package cmd

import (
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// The README names every command and every flag.
func TestReadmeNamesEverything(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			if c.Hidden {
				continue
			}
			name := strings.TrimSpace(prefix + " " + c.Name)
			if !strings.Contains(readme, "`"+name) {
				t.Errorf("the README does not name the command %q", name)
			}
			for _, f := range c.Flags {
				if flag := "--" + f.Names()[0]; !strings.Contains(readme, flag) {
					t.Errorf("the README does not name %s of %q", flag, name)
				}
			}
			walk(name, c.Subcommands)
		}
	}
	walk("", newApp(System()).Commands)
}

// What stands before the words of a command may stand behind them.
func TestFlagsFirst(t *testing.T) {
	app := newApp(System())
	for _, tt := range []struct{ in, want string }{
		{"agentvault secret set github --host api.github.com", "agentvault secret set --host api.github.com github"},
		{"agentvault secret set github --host=a --host b --file", "agentvault secret set --host=a --host b --file github"},
		{"agentvault log last --by host status:4xx", "agentvault log --by host last status:4xx"},
		{"agentvault run --ui off claude --resume", "agentvault run --ui off claude --resume"},
		{"agentvault discover -- claude --json", "agentvault discover -- claude --json"},
		{"agentvault log -- --by", "agentvault log -- --by"},
		{"agentvault", "agentvault"},
		{"agentvault nonsense --flag", "agentvault nonsense --flag"},
		{"agentvault secret bind github --host a", "agentvault secret bind github --host a"},
	} {
		if got := strings.Join(flagsFirst(app, strings.Fields(tt.in)), " "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}
