package cmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
)

// servicesOptions are the flags of `services`.
type servicesOptions struct {
	words    []string
	kind     string
	verified bool
	json     bool
}

func newServicesCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "services",
		Usage: "show the catalogue of known services",
		Description: `The name of a service shows all that is known of it, and the lines that use it.
Other words search names, titles, hosts and variables. A row with a date was
compared with the source that it names; one without was written from knowledge.`,
		ArgsUsage: "[NAME | WORD...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", Usage: "only services of this `KIND`, such as llm, code or payments"},
			&cli.BoolFlag{Name: "verified", Usage: "only rows that were compared with a document"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		},
		Action: func(c *cli.Context) error {
			return services(env, servicesOptions{words: c.Args().Slice(), kind: c.String("kind"), verified: c.Bool("verified"), json: c.Bool("json")})
		},
	}
}

func services(env Env, o servicesOptions) error {
	if o.kind != "" && !slices.Contains(serviceKinds(), o.kind) {
		return usagef("agentvault services --kind llm", "services: unknown kind %q (one of: %s)", o.kind, strings.Join(serviceKinds(), ", "))
	}
	if len(o.words) == 1 && o.kind == "" && !o.verified {
		if e, ok := config.Lookup(o.words[0]); ok {
			return showService(env, e, o.json)
		}
	}
	found := slices.DeleteFunc(config.Catalogue(), func(e config.Entry) bool { return !o.matches(e) })
	if len(found) == 0 && len(o.words) > 0 && !o.verified {
		words := strings.Join(o.words, " ")
		return usagef(cmp.Or(config.DidYouMean(words, catalogueNames()), "agentvault services"), "services: the catalogue has no %q", words)
	}
	if o.json {
		return writeJSON(env, found)
	}
	return listServices(env.Stdout, found)
}

// matches reports whether every word stands somewhere in the row.
func (o servicesOptions) matches(e config.Entry) bool {
	if o.kind != "" && e.Kind != o.kind || o.verified && e.Verified == nil {
		return false
	}
	text := strings.ToLower(strings.Join(append([]string{e.Name, e.Title, e.Kind, kindTitle(e.Kind), strings.Join(e.Env, " ")}, hostNames(e)...), " "))
	for _, w := range o.words {
		if !strings.Contains(text, strings.ToLower(w)) {
			return false
		}
	}
	return true
}

// serviceKinds are the kinds in the order of the list.
func serviceKinds() []string {
	return []string{"llm", "ai", "search", "code", "cloud", "payments", "chat", "email", "tracker", "crm", "content", "database", "observability", "security", "data"}
}

func kindTitle(kind string) string {
	switch kind {
	case "llm":
		return "Models"
	case "ai":
		return "Tools for agents, speech, images, vectors"
	case "search":
		return "Search and scraping"
	case "code":
		return "Code hosts and builds"
	case "cloud":
		return "Hosting, networks, registries, secrets"
	case "payments":
		return "Payments and shops"
	case "chat":
		return "Chat and telephony"
	case "email":
		return "E-mail"
	case "tracker":
		return "Trackers and documents"
	case "crm":
		return "Customers and support"
	case "content":
		return "Content and files"
	case "database":
		return "Databases with HTTP APIs"
	case "observability":
		return "Observability"
	case "security":
		return "Identity and security"
	case "data":
		return "Data and maps"
	}
	return kind
}

const (
	nameWidth = 19 // the longest name has as many
	hostWidth = 44 // with the rest: 80 columns
)

// listServices prints one line a service, below its kind. Names and hosts are ASCII.
func listServices(w io.Writer, found []config.Entry) error {
	verified := 0
	for _, kind := range serviceKinds() {
		first := true
		for _, e := range found {
			if e.Kind != kind {
				continue
			}
			if first {
				fmt.Fprintf(w, "%s (--kind %s)\n", kindTitle(kind), kind)
				first = false
			}
			on := "-"
			if e.Verified != nil {
				on, verified = e.Verified.On, verified+1
			}
			fmt.Fprintf(w, "  %-*s  %-*s  %7s\n", nameWidth, e.Name, hostWidth, fitted(hostNames(e), hostWidth), on)
		}
		if !first {
			fmt.Fprintln(w)
		}
	}
	_, err := fmt.Fprintf(w, "%s; %d compared with a document in the month shown.\nagentvault services NAME shows one of them, and the lines that use it.\n", count(len(found), "service"), verified)
	return err
}

func hostNames(e config.Entry) []string {
	var names []string
	for _, p := range e.Endpoints {
		names = append(names, p.Hosts...)
	}
	if len(names) == 0 && e.OwnHost != "" {
		names = append(names, e.OwnHost)
	}
	return names
}

// fitted keeps a list on its part of one line: as many names as there is room for, and
// how many more there are.
func fitted(names []string, width int) string {
	text := strings.Join(names, ", ")
	for n := len(names) - 1; len(text) > width && n > 0; n-- {
		text = fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
	}
	if len(text) > width {
		return text[:width-3] + "..."
	}
	return text
}

// showService prints what is known of one service.
func showService(env Env, e config.Entry, asJSON bool) error {
	if asJSON {
		return writeJSON(env, e)
	}
	w := env.Stdout
	row := func(key string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			fmt.Fprintf(w, "%-10s %s\n", key, wrapped(values, 11))
		}
	}
	row("name", e.Name+" ("+e.Title+")")
	row("kind", kindTitle(e.Kind))
	for _, p := range e.Endpoints {
		row("hosts", append(slices.Clone(p.Hosts), p.Paths...)...)
		row("  auth", p.Auth.Slot()+"; "+injectWords(p.Inject))
	}
	row("own host", e.OwnHost)
	row("sandbox", e.TestHosts...)
	row("variables", e.Env...)
	row("keys", e.Keys...)
	row("  test", e.Labels["test"])
	row("  live", e.Labels["live"])
	row("who am I", e.Identity)
	row("things", things(e)...)
	row("note", e.Note)
	row("docs", e.Docs)
	row("source", e.Source)
	checked := "not yet: this row was written from knowledge"
	if e.Verified != nil {
		checked = fmt.Sprintf("%s against the source, in %s", strings.Join(e.Verified.Of, ", "), e.Verified.On)
	}
	row("compared", checked)
	text, lacks := serviceLines(e)
	if lacks != "" {
		lacks = "# " + lacks + "\n"
	}
	_, err := fmt.Fprintf(w, "\n%s%s", lacks, text)
	return err
}

// things are what the provider's addresses name, each once.
func things(e config.Entry) []string {
	var out []string
	for _, line := range e.Resources {
		address, as, _ := strings.Cut(line, " as ")
		if as == "" && strings.Contains(address, "{") {
			as = strings.ReplaceAll(address, "{+", "{")
		}
		if as != "" && !slices.Contains(out, as) {
			out = append(out, as)
		}
	}
	return out
}

func injectWords(inject string) string {
	if inject == "always" {
		return "in every request"
	}
	return "where the request shows the placeholder"
}

// wrapped joins values with commas within 80 columns; a value stays in one piece.
func wrapped(values []string, indent int) string {
	var b strings.Builder
	column := indent
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
			if column+len(v)+2 >= 80 { // a comma may follow
				b.WriteString("\n" + strings.Repeat(" ", indent))
				column = indent
			} else {
				b.WriteByte(' ')
				column += 2
			}
		}
		for j, word := range strings.Fields(v) {
			if j > 0 {
				if column+len(word)+1 > 80 {
					b.WriteString("\n" + strings.Repeat(" ", indent))
					column = indent
				} else {
					b.WriteByte(' ')
					column++
				}
			}
			b.WriteString(word)
			column += len(word)
		}
	}
	return b.String()
}

func writeJSON(env Env, v any) error {
	e := json.NewEncoder(env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
