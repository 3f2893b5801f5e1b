// Package cmd is the command line: one file a command, flags in, work out, an error or
// nil back. Only main ends the process.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	_ "agentvault/tui/quiet" // before bubbletea: see there
)

// Main runs one command line and returns the exit status.
func Main(args []string, env Env) int {
	if isGuardian(args) {
		runGuardian(env.Stdin)
		return 0
	}
	// Before anything is read: what runs as the same user may not look into this process.
	harden()
	collect(env, startGCPercent)
	// net/http reports what servers do wrong to the standard logger, in the server's own
	// words: in the middle of somebody's screen.
	log.SetOutput(io.Discard)
	app := newApp(env)
	err := protect(func() error { return app.RunContext(context.Background(), flagsFirst(app, args)) })
	report(env.Stderr, err)
	return exitStatus(err)
}

// startGCPercent puts the first collection behind the start of a session: at 8 MiB (4 MiB
// at GOGC 100, says runtime/debug). Once the session is open, proxy.GCPercent holds.
const startGCPercent = 200

// collect sets how often memory is collected, unless the human has.
func collect(env Env, percent int) {
	if env.get("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// protect turns a panic into an error, after every defer on its way has cleared up. The
// stack names functions and lines, and no value that they held.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}

type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("internal error: %v", p.value) }

// Hint asks for what mends it.
func (p *panicError) Hint() string {
	return "this is a mistake in agentvault; please report it with these lines\n" + string(p.stack)
}

func newApp(env Env) *cli.App {
	app := &cli.App{
		Name:            "agentvault",
		Usage:           "run an AI agent that never holds its credentials",
		UsageText:       "agentvault run -- COMMAND [ARG...]\nagentvault COMMAND --help",
		HideHelpCommand: true,
		HideVersion:     true, // the command says more
		Writer:          env.Stdout,
		ErrWriter:       env.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // cli's own would end the process and skip every defer
		OnUsageError:    onUsageError,
		Suggest:         true,
		Commands: []*cli.Command{
			newRunCommand(env),
			newDiscoverCommand(env),
			newInitCommand(env),
			newSecretCommand(env),
			newServicesCommand(env),
			newCheckCommand(env),
			newTestCommand(env),
			newExplainCommand(env),
			newTrustCommand(env),
			newWatchCommand(env),
			newRefreshCommand(env),
			newLogCommand(env),
			newDoctorCommand(env),
			newDemoCommand(env),
			newCompletionCommand(env),
			newVersionCommand(env),
		},
	}
	app.Action = func(c *cli.Context) error {
		if c.NArg() == 0 {
			return cli.ShowAppHelp(c)
		}
		return unknownCommand(app, c.Args().First())
	}
	for _, c := range app.Commands {
		prepare(app, c)
	}
	return app
}

// prepare gives every command what cli looks for on each one of them alone.
func prepare(app *cli.App, c *cli.Command) {
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true
	for _, sub := range c.Subcommands {
		prepare(app, sub)
	}
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = func(ctx *cli.Context) error {
			if ctx.NArg() == 0 {
				return cli.ShowSubcommandHelp(ctx)
			}
			return usagef("agentvault "+c.Name+" --help", "%s: unknown command %q (one of: %s)", c.Name, ctx.Args().First(), commandNames(c.Subcommands))
		}
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := "agentvault"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "agentvault" {
		name += " " + c.Command.Name
	}
	text := strings.TrimPrefix(err.Error(), "flag provided but not defined: ")
	if text != err.Error() {
		text = "unknown flag " + text
	}
	return usagef(name+" --help; what belongs to the agent's command stands after --", "%s", text)
}

func unknownCommand(app *cli.App, name string) error {
	var known []string
	for _, c := range app.Commands {
		known = append(known, c.Name)
	}
	hint := "agentvault --help"
	if !slices.Contains(known, name) {
		hint = fmt.Sprintf("to run it as an agent: agentvault run -- %s", name)
	}
	return usagef(hint, "unknown command %q (one of: %s)", name, strings.Join(known, ", "))
}

func commandNames(commands []*cli.Command) string {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// childArgs are the words after "--". Without the "--" a flag of the agent's would be
// taken for one of ours, so it is asked for.
func childArgs(c *cli.Context) ([]string, error) {
	args := c.Args().Slice()
	if len(args) == 0 {
		return nil, usagef(fmt.Sprintf("agentvault %s -- claude", c.Command.Name), "%s: no command to run", c.Command.Name)
	}
	return args, nil
}

// interrupted is what a command returns that the human stopped before it had begun.
var errInterrupted = errors.New("interrupted")
