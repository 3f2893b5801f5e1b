package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
)

func newTrustCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "trust",
		Usage:     "approve a project's agentvault.toml, as it is now",
		ArgsUsage: "[FILE]",
		Description: `A file that came with a project says where your secrets go, so agentvault uses it only
after you have approved it. The approval is for this very content: a change asks again.
Without FILE it is the one in the working directory.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "revoke", Usage: "forget every approval of the file"},
			&cli.BoolFlag{Name: "list", Usage: "show the approved files"},
		},
		Action: func(c *cli.Context) error { return trust(env, c) },
	}
}

func trust(env Env, c *cli.Context) error {
	t := config.NewTrust(env.stateDir())
	if c.Bool("list") {
		paths, err := t.Paths()
		for _, p := range paths {
			fmt.Fprintln(env.Stdout, printable(p))
		}
		return err
	}
	if c.NArg() > 1 {
		return usagef("agentvault trust FILE", "trust: more than one file")
	}
	path := c.Args().First()
	if path == "" {
		path = config.FileName
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.Dir, path)
	}
	if c.Bool("revoke") {
		found, err := t.Revoke(path)
		if err == nil && !found {
			err = withHint(fmt.Errorf("%s: was not approved", path), "agentvault trust --list")
		}
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return &configError{fmt.Errorf("%s: %w", path, unwrapPath(err))}
	}
	// What does not load is not worth an approval: its errors come now, not at the next run.
	if _, err := config.Load(env.configOptions(path)); err != nil {
		return &configError{err}
	}
	if err := errors.Join(t.Approve(path, content), t.Accept(path, content)); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "agentvault: approved %s\n", printable(path))
	return nil
}
