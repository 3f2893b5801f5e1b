package cmd

import (
	"errors"
	"fmt"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/rule"
)

// approver asks on the terminal whether a project's file may be used, and remembers the
// answer for this very content. Without a terminal it refuses.
func approver(env Env) func(config.Source) error {
	trust := config.NewTrust(env.stateDir())
	return func(src config.Source) error {
		if trust.Approved(src.Path, src.Content) {
			return nil
		}
		refused := &configError{withHint(fmt.Errorf("%s: not approved: it came with the project and says where your secrets go", src.Path),
			"read it, then run: agentvault trust %s", shellWord(src.Path))}
		tty, err := openTerminal()
		if err != nil || !isTerminal(env.Stdin) {
			return refused
		}
		defer func() { _ = tty.Close() }()
		fmt.Fprintf(tty, "agentvault: %s came with the project and was not used here before:\n\n%s\n%s", printable(src.Path), indented(src.Content), gist(src.Content))
		dropTypedAhead(tty) // nobody has seen the file before now
		answer, err := ask(tty, "agentvault: use it? It is remembered until the file changes. [y/N] ")
		if err != nil {
			return err
		}
		if answer != "y" && answer != "yes" {
			return errors.Join(refused)
		}
		return errors.Join(trust.Approve(src.Path, src.Content), trust.Accept(src.Path, src.Content))
	}
}

// gist is what a file opens, right above the question: the file itself may be longer than the
// screen, and its hosts may be written in letters that look like others. "" for one that does
// not load, or opens nothing.
func gist(content []byte) string {
	f, err := config.Parse(config.FileName, content)
	if err != nil {
		return ""
	}
	c, err := f.Compile()
	if err != nil {
		return ""
	}
	var lines []string
	for _, s := range c.Services {
		var refs []string
		for _, r := range refsOf(s) {
			refs = append(refs, r.String())
		}
		if len(refs) > 0 {
			lines = append(lines, fmt.Sprintf("%s sends %s to %s", s.Name, strings.Join(refs, ", "), strings.Join(boundTo(s), ", ")))
		}
	}
	list := func(what string, items []string) {
		if len(items) > 0 {
			lines = append(lines, what+" "+strings.Join(items, ", "))
		}
	}
	list("it never looks into connections to", patterns(c.Tunnel))
	list("it lets the agent go around the proxy to", c.NoProxy)
	list("it hands the agent the variables", c.PassEnv)
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("agentvault: in short:\n")
	for _, line := range lines {
		b.WriteString("    " + printable(line) + "\n")
	}
	return b.String()
}

func patterns(hosts []rule.Host) (names []string) {
	for _, h := range hosts {
		names = append(names, h.String())
	}
	return names
}
