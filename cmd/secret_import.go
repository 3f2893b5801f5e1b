package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
	"agentvault/cmd/internal/scan/dotenv"
	"agentvault/keyring"
)

func newSecretImportCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "store the keys of a dotenv file, or of the environment, bound to their services' hosts", ArgsUsage: "[FILE]",
		Description: `Which service a key is for is told by the variable's name and by what the key looks
like. Shown are names, hosts and lengths, never values. Without FILE it is .env in the
working directory.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "from-env", Usage: "take the variables of the environment instead of a file"},
			&cli.BoolFlag{Name: "yes", Usage: "store them without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"},
			&cli.BoolFlag{Name: "replace", Usage: "afterwards take the values out of the file and say in it where they are"},
			&cli.BoolFlag{Name: "file", Usage: "use the encrypted file (refs file:NAME) instead of the keychain"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error { return secretImport(c.Context, env, c) },
	}
}

// importer is one run of the command.
type importer struct {
	env    Env
	store  keyring.Store
	scheme string
	file   *dotenv.File // nil with --from-env
	plan   importPlan
}

func secretImport(ctx context.Context, env Env, c *cli.Context) error {
	if id := env.get("AGENTVAULT_SESSION"); id != "" {
		return withHint(fmt.Errorf("this is inside session %s: what stands in its environment are placeholders", shortID(id)),
			"run it from a terminal outside the session")
	}
	i := &importer{env: env, scheme: "keychain"}
	if c.Bool("file") {
		i.scheme = "file"
	}
	vars, err := i.read(c)
	if err != nil {
		return err
	}
	i.plan = planImport(vars, scan.NewGuesser(config.Catalogue()), i.scheme)
	i.plan.print(env.Stdout, i.file == nil)
	if len(i.plan.items) == 0 {
		fmt.Fprintln(env.Stderr, "agentvault: there is nothing to import")
		return i.plan.refused()
	}
	if c.Bool("dry-run") {
		return i.plan.refused()
	}
	if err := i.agree(c.Bool("yes"), fmt.Sprintf("store %s?", count(len(i.plan.items), "secret"))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if i.store, err = storeFor(ctx, env, c); err != nil {
		return err
	}
	kept, err := i.storeAll(ctx)
	if err == nil {
		err = i.emptyFile(ctx, kept, c.Bool("replace"), c.Bool("yes"))
	}
	return errors.Join(err, i.plan.refused())
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// read gets the variables from where the flags say.
func (i *importer) read(c *cli.Context) ([]dotenv.Var, error) {
	fromEnv, path := c.Bool("from-env"), c.Args().First()
	switch {
	case c.NArg() > 1:
		return nil, usagef("agentvault secret import FILE", "secret import: more than one file")
	case fromEnv && path != "":
		return nil, usagef("", "secret import: either --from-env or a file, not both")
	case fromEnv && c.Bool("replace"):
		return nil, usagef("take them out of the file that sets them", "secret import: --replace needs a file; the environment cannot be rewritten")
	case fromEnv:
		var vars []dotenv.Var
		for _, line := range i.env.Environ {
			name, value, ok := strings.Cut(line, "=")
			if ok && name != "" {
				vars = append(vars, dotenv.Var{Name: name, Value: keyring.NewSecret([]byte(value))})
			}
		}
		return vars, nil
	case path == "":
		path = ".env"
	}
	f, err := dotenv.Read(path)
	if err != nil {
		return nil, &configError{err}
	}
	i.file = f
	return f.Vars, nil
}

// agree asks the human, where there is one.
func (i *importer) agree(yes bool, question string) error {
	if yes {
		return nil
	}
	tty, err := openTerminal()
	if err != nil || !isTerminal(i.env.Stdin) {
		return usagef("--yes stores them without asking, --dry-run only shows what would be done", "secret import: there is no terminal to ask at")
	}
	defer func() { _ = tty.Close() }()
	answer, err := ask(tty, "agentvault: "+question+" [y/N] ")
	if err != nil {
		return err
	}
	if answer != "y" && answer != "yes" {
		fmt.Fprintln(i.env.Stderr, "agentvault: left as it is")
		return status(1)
	}
	return nil
}

// storeAll stores every item of the plan and returns those that the store has
// afterwards. One that holds another value is never overwritten.
func (i *importer) storeAll(ctx context.Context) ([]importItem, error) {
	there, err := i.store.List(ctx)
	if err != nil {
		return nil, err
	}
	var kept []importItem
	var errs []error
	for _, item := range i.plan.items {
		if slices.ContainsFunc(there, func(e keyring.Entry) bool { return e.Name == item.name }) {
			if err := i.compare(ctx, item); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(i.env.Stderr, "agentvault: %s is stored already\n", item.name)
			kept = append(kept, item)
			continue
		}
		if err := i.store.Set(ctx, item.name, keyring.Item{Value: item.value, Hosts: item.hosts, Set: time.Now().UTC()}); err != nil {
			errs = append(errs, fmt.Errorf("secret %q: %w", item.name, err))
			continue
		}
		fmt.Fprintf(i.env.Stderr, "agentvault: stored %s (%d bytes), for %s\n", item.name, item.value.Len(), strings.Join(item.hosts, ", "))
		kept = append(kept, item)
	}
	return kept, errors.Join(errs...)
}

// compare holds an item against the store's.
func (i *importer) compare(ctx context.Context, item importItem) error {
	have, err := i.store.Get(ctx, keyring.Ref{Scheme: i.scheme, Name: item.name})
	if err != nil {
		return fmt.Errorf("secret %q: %w", item.name, err)
	}
	if !have.Value.Equal(item.value) {
		return withHint(fmt.Errorf("secret %q: another value is stored under this name; it was not replaced", item.name),
			"if the one in %s is right: agentvault secret rm %s, and import again", strings.Join(item.variables, ", "), item.name)
	}
	return nil
}

// emptyFile takes the stored values out of the file: with --replace, or where the human
// says so. Each must first come back from the store.
func (i *importer) emptyFile(ctx context.Context, kept []importItem, replace, yes bool) error {
	if i.file == nil || len(kept) == 0 {
		return nil
	}
	if !replace {
		question := fmt.Sprintf("take the values of %s out of %s?", count(len(kept), "secret"), printable(i.file.Path))
		if yes || !isTerminal(i.env.Stdin) || i.agree(false, question) != nil {
			fmt.Fprintf(i.env.Stderr, "agentvault: %s still holds the values: --replace takes them out\n", printable(i.file.Path))
			return nil
		}
	}
	refs := map[string]string{}
	for _, item := range kept {
		if err := i.compare(ctx, item); err != nil {
			return err
		}
		for _, name := range item.variables {
			refs[name] = i.scheme + ":" + item.name
		}
	}
	if err := i.file.Replace(i.file.Without(refs)); err != nil {
		return err
	}
	fmt.Fprintf(i.env.Stderr, "agentvault: %s: %s taken out; it may still stand in git's history and in backups\n", printable(i.file.Path), count(len(refs), "value"))
	return nil
}
