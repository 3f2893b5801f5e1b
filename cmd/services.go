package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
)

func newServicesCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "services",
		Usage:     "show the catalogue of known services",
		ArgsUsage: "[NAME]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("agentvault services NAME", "services: too many arguments")
			}
			if name := c.Args().First(); name != "" {
				return showService(env, name, c.Bool("json"))
			}
			return listServices(env, c.Bool("json"))
		},
	}
}

func listServices(env Env, asJSON bool) error {
	all := config.Catalogue()
	if asJSON {
		return writeJSON(env, all)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tHOSTS\tVARIABLES")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, e.Kind, shortened(hostNames(e)), strings.Join(e.Env, ", "))
	}
	return w.Flush()
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

// shortened keeps a row of the list on one line.
func shortened(names []string) string {
	if len(names) <= 2 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

func showService(env Env, name string, asJSON bool) error {
	e, ok := config.Lookup(name)
	if !ok {
		return usagef("agentvault services", "services: the catalogue has no %q", name)
	}
	if asJSON {
		return writeJSON(env, e)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", key, value)
		}
	}
	row("name", e.Name)
	row("title", e.Title)
	for _, p := range e.Endpoints {
		auth := p.Auth.Type
		if p.Auth.Name != "" {
			auth += " " + p.Auth.Name
		}
		row("hosts", strings.Join(append(p.Hosts, p.Paths...), ", "))
		row("  auth", auth+", "+p.Inject)
	}
	row("own host", e.OwnHost)
	row("variables", strings.Join(e.Env, ", "))
	row("who am I", e.Identity)
	row("note", e.Note)
	row("docs", e.Docs)
	row("source", e.Source)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "\n[service.%s]\nuse    = %q\nsecret = %q\n", e.Name, e.Name, "keychain:"+e.Name)
	return nil
}

func writeJSON(env Env, v any) error {
	e := json.NewEncoder(env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
