package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
)

func newCheckCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "read the configuration and say what it means, without starting anything",
		Flags: []cli.Flag{&cli.StringFlag{Name: "config", Usage: "check this `FILE` instead of the project's agentvault.toml"}},
		Action: func(c *cli.Context) error {
			return check(env, c.String("config"))
		},
	}
}

func check(env Env, path string) error {
	compiled, err := loadConfig(env, path, func(src config.Source) error {
		if !config.NewTrust(env.stateDir()).Approved(src.Path, src.Content) {
			fmt.Fprintf(env.Stderr, "agentvault: %s is not approved yet: agentvault trust\n", printable(src.Path))
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "unmatched calls: %s\n", compiled.Unmatched)
	for _, s := range compiled.Services {
		secret := s.Secret.String()
		if secret == "" {
			secret = "no credential"
		}
		fmt.Fprintf(env.Stdout, "service %s (%s): %s\n", s.Name, s.Pos, secret)
		for _, h := range s.Hosts() {
			fmt.Fprintf(env.Stdout, "  %s\n", h)
		}
	}
	if len(compiled.Services) == 0 {
		fmt.Fprintln(env.Stderr, "agentvault: no service is configured; agentvault services shows what is known")
	}
	return nil
}
