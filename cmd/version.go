package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func newVersionCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "show which agentvault this is",
		Action: func(c *cli.Context) error {
			if err := noWords(c); err != nil {
				return err
			}
			return showVersion(env)
		},
	}
}

func showVersion(env Env) error {
	_, err := fmt.Fprintf(env.Stdout, "agentvault %s %s/%s %s\n", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}

// version is what the Go tool stamped into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
