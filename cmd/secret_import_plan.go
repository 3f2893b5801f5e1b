package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
	"agentvault/cmd/internal/scan/dotenv"
	"agentvault/keyring"
)

// Shorter values are not searched for in answers (see package scrub), and no provider's
// key is one.
const minImport = 8

// importItem is a secret that will be stored.
type importItem struct {
	name      string
	variables []string // that hold it
	value     keyring.Secret
	hosts     []string
	note      string
}

// importPlan is what will be done with the variables of one source.
type importPlan struct {
	scheme  string
	items   []importItem
	skipped []string // one line each
	unknown []string // names that no service claims
	errs    []error  // keys under the name of another provider
}

// planImport decides about every variable. It keeps no value but those that will be
// stored.
func planImport(vars []dotenv.Var, g *scan.Guesser, scheme string) importPlan {
	p := importPlan{scheme: scheme}
	for i, v := range vars {
		p.add(v, vars[:i], g)
	}
	p.nameAll()
	return p
}

func (p *importPlan) skip(v dotenv.Var, format string, args ...any) {
	p.skipped = append(p.skipped, v.Name+": "+fmt.Sprintf(format, args...))
}

// setByHand is the command for a variable that has to be told more about.
func (p *importPlan) setByHand(name, host string) string {
	text := "agentvault secret set"
	if p.scheme == "file" {
		text += " --file"
	}
	return text + " --host " + host + " " + name
}

func (p *importPlan) add(v dotenv.Var, before []dotenv.Var, g *scan.Guesser) {
	if v.Value.Len() == 0 {
		return
	}
	guess := g.Guess(v.Name, v.Value)
	if guess.Service == "" {
		p.addUnknown(v, guess)
		return
	}
	received, err := keyring.Received([]byte(v.Value.Reveal())) // as `secret set` takes it
	switch {
	case err != nil:
		p.skip(v, "%v", err)
		return
	case v.Made:
		p.skip(v, "it is made of other variables, and what a program sees cannot be told from the file")
		return
	case slices.ContainsFunc(before, func(o dotenv.Var) bool { return o.Name == v.Name }):
		p.skip(v, "stands in the file a second time, in line %d; the first one counts here and the last one for most tools: remove one", v.Line)
		p.drop(v.Name)
		return
	case received.Value.Len() < minImport:
		p.skip(v, "%d bytes are too short for a key", received.Value.Len())
		return
	}
	e, _ := config.Lookup(guess.Service)
	if slices.ContainsFunc(e.Endpoints, func(p config.EntryEndpoint) bool { return p.Auth.Type == "gcp" }) {
		p.skip(v, "a token of %s ends within the hour; the service takes a service account's JSON: agentvault secret set %s <FILE", e.Title, e.Name)
		return
	}
	hosts, err := bindingHosts(guess.Service, nil)
	if err != nil {
		name := guess.Service
		if strings.HasSuffix(v.Name, "_ID") { // the other half of a pair: AWS_ACCESS_KEY_ID
			name += "-id"
		}
		p.skip(v, "every account of %s has a host of its own; with yours: %s", e.Title, p.setByHand(name, "'"+cmp.Or(e.OwnHost, "HOST")+"'"))
		return
	}
	note := received.Note
	if guess.Unlike {
		note = "it does not look like the keys of " + guess.Service + " that are known"
	}
	for i := range p.items {
		if p.items[i].name == guess.Service && p.items[i].value.Equal(received.Value) {
			p.items[i].variables = append(p.items[i].variables, v.Name)
			return
		}
	}
	p.items = append(p.items, importItem{name: guess.Service, variables: []string{v.Name}, value: received.Value, hosts: hosts, note: note})
}

// drop takes a variable out that turned out to be in doubt.
func (p *importPlan) drop(variable string) {
	for i := range p.items {
		p.items[i].variables = slices.DeleteFunc(p.items[i].variables, func(name string) bool { return name == variable })
	}
	p.items = slices.DeleteFunc(p.items, func(it importItem) bool { return len(it.variables) == 0 })
}

func (p *importPlan) addUnknown(v dotenv.Var, guess scan.Guess) {
	where := ""
	if v.Line > 0 {
		where = fmt.Sprintf(" (line %d)", v.Line)
	}
	switch {
	case guess.Named != "":
		p.errs = append(p.errs, &configError{withHint(
			fmt.Errorf("%s%s: the value is plainly a key of %s and not of %s; it was not imported", v.Name, where, strings.Join(guess.Shaped, " or "), guess.Named),
			"put it under the name of its service, or store it by hand: agentvault secret set %s", guess.Shaped[0])})
	case len(guess.Shaped) > 1:
		p.skip(v, "keys of %s look like this; for one of them: agentvault secret set NAME", strings.Join(guess.Shaped, ", "))
	case scan.LooksSecret(v.Name):
		p.skip(v, "the catalogue has no service for it: %s", p.setByHand(secretNameFor(v.Name), "HOST"))
	default:
		p.unknown = append(p.unknown, v.Name)
	}
}

// nameAll gives the second key of a service a name of its own: that of its variable.
func (p *importPlan) nameAll() {
	taken := map[string]bool{}
	for i := range p.items {
		it := &p.items[i]
		if taken[it.name] {
			it.note = strings.TrimPrefix(it.note+"; a second key of "+it.name, "; ")
			it.name = secretNameFor(it.variables[0])
		}
		taken[it.name] = true
	}
}

// secretNameFor makes ACME_API_KEY to acme-api-key.
func secretNameFor(variable string) string {
	name := strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
	if name = strings.Trim(name, "-"); keyring.CheckName(name) != nil {
		return "NAME"
	}
	return name
}

// print shows the plan. Of an environment only what looks like a credential is worth a
// word.
func (p *importPlan) print(w io.Writer, fromEnv bool) {
	for _, it := range p.items {
		fmt.Fprintf(w, "%s -> %s:%s (%d bytes)\n", printable(strings.Join(it.variables, ", ")), p.scheme, it.name, it.value.Len())
		fmt.Fprintf(w, "  for %s\n", strings.Join(it.hosts, ", "))
		if it.note != "" {
			fmt.Fprintf(w, "  note: %s\n", it.note)
		}
	}
	for _, line := range p.skipped {
		fmt.Fprintf(w, "skipped %s\n", printable(line))
	}
	if len(p.unknown) > 0 && !fromEnv {
		fmt.Fprintf(w, "left alone: %s\n  to store one all the same: %s\n", printable(strings.Join(p.unknown, ", ")), p.setByHand("NAME", "HOST"))
	}
}

// refused are the keys under a wrong name, as one error; nil is none.
func (p *importPlan) refused() error { return errors.Join(p.errs...) }
