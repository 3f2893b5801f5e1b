package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
	"agentvault/keyring"
)

// draft is a configuration before it is written.
type draft struct {
	services []draftService
	hosts    []scan.Host
}

// draftService is a service of the draft. One that only the human can complete, or that
// may not be wanted, stands in the file as a comment.
type draftService struct {
	name    string
	reasons []string
	toml    string
	note    string // of the catalogue
	maybe   bool
	why     string // it is a comment; "" for one that counts
}

func (s draftService) reason() string { return strings.Join(s.reasons, "; ") }

func draftConfig(found scan.Found) *draft {
	d := &draft{hosts: found.Hosts}
	for _, f := range found.Services {
		e, ok := config.Lookup(f.Name)
		if !ok {
			continue
		}
		d.services = append(d.services, newDraftService(e, f.Why, f.Maybe))
	}
	return d
}

func newDraftService(e config.Entry, reasons []string, maybe bool) draftService {
	s := draftService{name: e.Name, reasons: reasons, note: e.Note, maybe: maybe}
	s.toml, s.why = serviceLines(e)
	return s
}

func (d *draft) has(name string) bool {
	return slices.ContainsFunc(d.services, func(s draftService) bool { return s.name == name })
}

func (d *draft) add(e config.Entry, reason string, maybe bool) {
	d.services = append(d.services, newDraftService(e, []string{reason}, maybe))
}

// serviceLines is an entry as a file uses it, and what the human has to fill in first;
// "" is nothing.
func serviceLines(e config.Entry) (text, lacks string) {
	s := config.Service{Name: e.Name, Use: e.Name, Secret: keyring.Ref{Scheme: "keychain", Name: e.Name}}
	ownHost := e.OwnHost != ""
	for _, p := range e.Endpoints {
		ownHost = ownHost && len(p.Hosts) == 0
		switch {
		case p.Auth.User == "?":
			s.Auth, lacks = &config.Auth{Type: p.Auth.Type, User: "YOUR-USER"}, "it needs your user name"
		case strings.Contains(p.Auth.AccessKeyID, "YOUR-"):
			s.Auth, lacks = &config.Auth{Type: p.Auth.Type, AccessKeyID: keyring.Ref{Scheme: "keychain", Name: e.Name + "-id"}}, "it needs your access key id"
		case p.Auth.Type == "gcp":
			lacks = "its secret is a service account's JSON file, and a login of gcloud is none"
		}
	}
	text = config.ServiceTOML(s)
	if ownHost {
		use := fmt.Sprintf("use    = %q\n", e.Name)
		text = strings.Replace(text, use, use+fmt.Sprintf("host   = %q\n", e.OwnHost), 1)
		lacks = "every account has a host of its own: write yours"
	}
	return text, lacks
}

// live are the services that count, by name.
func (d *draft) live() []string {
	var names []string
	for _, s := range d.services {
		if s.why == "" {
			names = append(names, s.name)
		}
	}
	return names
}

// settle makes comments of what only an agent speaks for, and of what would not load
// beside the others.
func (d *draft) settle() error {
	for i := range d.services {
		if s := &d.services[i]; s.maybe && s.why == "" {
			s.why = "the agent may be logged in without a key; take the # away if it uses one"
		}
	}
	if loads(d.text()) == nil {
		return nil
	}
	var kept draft
	for _, s := range d.services {
		kept.services = append(kept.services, s)
		if err := loads(kept.text()); err != nil && s.why == "" {
			last := &kept.services[len(kept.services)-1]
			last.why = "it does not load beside the others"
		}
	}
	d.services = kept.services
	return loads(d.text())
}

// loads tries a file's text the way a session does.
func loads(text string) error {
	dir, err := os.MkdirTemp("", "agentvault-init-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	f, err := config.Load(config.Options{Path: path})
	if err == nil {
		_, err = f.Compile()
	}
	return err
}

const initHead = `# agentvault.toml: which calls get which credential. Written by agentvault init.
#
# No secret stands in here: "keychain:github" names one that agentvault keeps,
# bound to the hosts that it may be sent to. This file may be committed; others
# use it once they have read and approved it (agentvault trust).
#   agentvault check             what this file means, and what is wrong with it
#   agentvault services [NAME]   the services that "use" knows

# What becomes of calls that no service covers: "allow" passes them in silence,
# "warn" passes and shows them, "ask" has them wait for your answer, "deny"
# refuses them. Start with "warn": agentvault discover shows what is left.
unmatched = "warn"

# Every service may say which operations get its credential; deny wins:
#   allow = ["GET /**", "POST /repos/*/*/issues"]
#   deny  = ["DELETE /**"]
`

// text is the file. Everything of it that does not come from us or from the catalogue
// is made harmless and kept on its line.
func (d *draft) text() string {
	var b strings.Builder
	b.WriteString(initHead)
	if len(d.services) == 0 {
		b.WriteString("\n# Nothing was found on this machine. A service of the catalogue looks like this:\n" +
			commented("[service.github]\nuse    = \"github\"\nsecret = \"keychain:github\"\n"))
	}
	for _, s := range d.services {
		b.WriteString("\n" + comment(printable(s.reason())))
		if s.note != "" {
			b.WriteString(comment("Note: " + printable(s.note) + "."))
		}
		if s.why == "" {
			b.WriteString(s.toml)
			continue
		}
		b.WriteString(comment("Not in use: "+printable(s.why)+".") + commented(s.toml))
	}
	d.writeHosts(&b)
	return b.String()
}

// writeHosts names what the catalogue does not know.
func (d *draft) writeHosts(b *strings.Builder) {
	if len(d.hosts) == 0 {
		return
	}
	b.WriteString("\n# Hosts with a credential on this machine that the catalogue does not know:\n")
	for _, h := range d.hosts {
		fmt.Fprintf(b, "#   %s (%s)\n", printable(h.Name), printable(h.File))
	}
	b.WriteString("# A service for one of them:\n")
	b.WriteString(commented(fmt.Sprintf("[service.mine]\nhost   = %q\nauth   = \"bearer\"             # or basic, header, query, ...\nsecret = \"keychain:mine\"\nenv    = [\"MINE_TOKEN\"]       # here the agent gets a placeholder\n", d.hosts[0].Name)))
}

// comment writes text as comment lines of 80 columns. A word stays in one piece.
func comment(text string) string {
	wide := wrapped([]string{text}, 2)
	return "# " + strings.ReplaceAll(wide, "\n  ", "\n# ") + "\n"
}

func commented(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, "# "+line)
	}
	return strings.Join(lines, "")
}
