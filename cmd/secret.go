package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// A call of a store may wait for a human who unlocks a keychain.
const storeTime = 2 * time.Minute

func newSecretCommand(env Env) *cli.Command {
	file := &cli.BoolFlag{Name: "file", Usage: "use the encrypted file (refs file:NAME) instead of the keychain"}
	return &cli.Command{
		Name:      "secret",
		UsageText: "agentvault secret set|list|rm|import [ARG...]",
		Usage:     "keep secrets in the keychain, each bound to the hosts it may be sent to",
		Subcommands: []*cli.Command{
			{
				Name: "set", Usage: "store a secret; its value comes from the terminal or from standard input", ArgsUsage: "NAME",
				Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "host", Usage: "a `HOST` that the secret may be sent to; may be repeated (api.github.com, *.acme.test, host:8443)"},
					file, passphraseFlag(),
				},
				Action: func(c *cli.Context) error { return secretSet(c.Context, env, c) },
			},
			{
				Name: "list", Usage: "show names, hosts and dates, never values",
				Flags:  []cli.Flag{file, passphraseFlag()},
				Action: func(c *cli.Context) error { return secretList(c.Context, env, c) },
			},
			{
				Name: "rm", Usage: "remove a secret", ArgsUsage: "NAME",
				Flags:  []cli.Flag{file, passphraseFlag()},
				Action: func(c *cli.Context) error { return secretRemove(c.Context, env, c) },
			},
			newSecretImportCommand(env),
		},
	}
}

// storeFor is the store that a secret command works on.
func storeFor(ctx context.Context, env Env, c *cli.Context) (keyring.Store, error) {
	notice := func(format string, args ...any) {
		fmt.Fprintf(env.Stderr, "agentvault: %s\n", printable(fmt.Sprintf(format, args...)))
	}
	s := newStores(env, c.Int("passphrase-fd"), notice)
	if c.Bool("file") {
		return s.file, s.homeless()
	}
	return s.chain(ctx)
}

func secretName(c *cli.Context) (string, error) {
	switch c.NArg() {
	case 0:
		return "", usagef(fmt.Sprintf("agentvault secret %s github", c.Command.Name), "secret %s: no name", c.Command.Name)
	case 1:
	default:
		// The second word may be the value itself: it is not repeated.
		return "", usagef("the value is read from the terminal or standard input, never from the command line, where other programs see it", "secret %s: more than one name", c.Command.Name)
	}
	name := c.Args().First()
	if err := keyring.CheckName(name); err != nil {
		return "", usagef("", "%v", err)
	}
	return name, nil
}

func secretSet(ctx context.Context, env Env, c *cli.Context) error {
	name, err := secretName(c)
	if err != nil {
		return err
	}
	hosts, err := bindingHosts(name, c.StringSlice("host"))
	if err != nil {
		return err
	}
	value, err := readSecret(env, name)
	if err != nil {
		return err
	}
	defer value.Wipe()
	if err := config.InspectFor(name, hosts, value); err != nil {
		return &configError{withHint(fmt.Errorf("secret %q: %w; it was not stored", name, err),
			"store it under the name of its service, or say with --host where else it may be sent")}
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	item := keyring.Item{Value: value, Hosts: hosts, Set: time.Now().UTC()}
	store, err := storeFor(ctx, env, c)
	if err != nil {
		return err
	}
	if err := store.Set(ctx, name, item); err != nil {
		return fmt.Errorf("secret %q: %w", name, err)
	}
	fmt.Fprintf(env.Stderr, "agentvault: stored %s (%d bytes), for %s\n", name, value.Len(), strings.Join(hosts, ", "))
	return nil
}

// bindingHosts checks what was given, or takes what the catalogue knows for a secret
// with a service's name.
func bindingHosts(name string, given []string) ([]string, error) {
	var hosts []string
	for _, text := range given {
		h, err := rule.ParseHost(text)
		if err == nil && h.Path != "" {
			err = errors.New("a secret is bound to hosts; paths belong into the service's allow and deny")
		}
		if err != nil {
			return nil, usagef("write a name such as api.github.com, *.acme.test or host:8443", "--host %q: %v", text, err)
		}
		hosts = append(hosts, h.String())
	}
	if len(hosts) > 0 {
		return hosts, nil
	}
	entry, ok := config.Lookup(name)
	if !ok {
		return nil, usagef(fmt.Sprintf("agentvault secret set --host api.example.com %s", name), "secret %q: say with --host where it may ever be sent", name)
	}
	for _, p := range entry.Endpoints {
		for _, text := range p.Hosts {
			h, err := rule.ParseHost(text)
			h.Path = ""
			if name := h.String(); err == nil && !slices.Contains(hosts, name) {
				hosts = append(hosts, name)
			}
		}
	}
	if len(hosts) == 0 {
		return nil, usagef("", "secret %q: every account of %s has a host of its own: say with --host which is yours", name, entry.Title)
	}
	return hosts, nil
}

// readSecret reads a value from the terminal without echo, or all of standard input
// without the newline at its end.
func readSecret(env Env, name string) (keyring.Secret, error) {
	var raw []byte
	if isTerminal(env.Stdin) {
		tty, err := openTerminal()
		if err != nil {
			return keyring.Secret{}, fmt.Errorf("terminal: %w", err)
		}
		defer func() { _ = tty.Close() }()
		if raw, err = promptSecret(tty, "agentvault: value of "+name+" (not shown): "); err != nil {
			return keyring.Secret{}, err
		}
	} else {
		var err error
		if raw, err = io.ReadAll(io.LimitReader(bufio.NewReader(env.Stdin), keyring.MaxValue+2)); err != nil {
			return keyring.Secret{}, fmt.Errorf("standard input: %w", err)
		}
	}
	defer clear(raw)
	if len(raw) > keyring.MaxValue {
		return keyring.Secret{}, usagef("", "secret %q: value has more than %d bytes", name, keyring.MaxValue)
	}
	item, err := keyring.Received(raw)
	if err != nil {
		return keyring.Secret{}, usagef("the value is read from the terminal, or from standard input where that is something else", "secret %q: %v", name, err)
	}
	if item.Note != "" {
		fmt.Fprintf(env.Stderr, "agentvault: %s: %s\n", name, item.Note)
	}
	return item.Value, nil
}

func secretList(ctx context.Context, env Env, c *cli.Context) error {
	if err := noWords(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	store, err := storeFor(ctx, env, c)
	if err != nil {
		return err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		fmt.Fprintln(env.Stderr, "agentvault: no secret is stored")
		fmt.Fprintln(env.Stderr, "agentvault: hint: agentvault secret set github")
		return nil
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSET\tHOSTS") // the longest last: a terminal may have to break it
	for _, e := range entries {
		hosts := strings.Join(e.Hosts, ", ")
		if hosts == "" {
			hosts = "none: it is sent nowhere"
		}
		set := "-"
		if !e.Set.IsZero() {
			set = e.Set.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(e.Name), set, printable(hosts))
	}
	return w.Flush()
}

func secretRemove(ctx context.Context, env Env, c *cli.Context) error {
	name, err := secretName(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	store, err := storeFor(ctx, env, c)
	if err != nil {
		return err
	}
	if err := store.Remove(ctx, name); err != nil {
		if errors.Is(err, keyring.ErrNotFound) {
			return withHint(fmt.Errorf("secret %q: %w", name, err), "agentvault secret list")
		}
		return fmt.Errorf("secret %q: %w", name, err)
	}
	fmt.Fprintf(env.Stderr, "agentvault: removed %s\n", name)
	return nil
}
