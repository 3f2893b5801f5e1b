// Package cmd is the command line: one file a command, flags in, work out, an error or
// nil back. Only main ends the process.
package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
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
		HideVersion:     true, // cli's own flag, which says less than the command
		Writer:          env.Stdout,
		ErrWriter:       env.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // cli's own would end the process and skip every defer
		OnUsageError:    onUsageError,
		Flags:           []cli.Flag{&cli.BoolFlag{Name: "version", Hidden: true}}, // as everywhere; the command is in the help
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
		switch {
		case c.Bool("version"):
			return showVersion(env)
		case c.NArg() == 0:
			return cli.ShowAppHelp(c)
		case c.Args().First() == "help":
			return showHelp(app, c)
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
	for _, f := range c.Flags {
		if b, ok := f.(*cli.BoolFlag); ok {
			b.DisableDefaultText = true // "(default: false)" behind each
		}
	}
	for _, sub := range c.Subcommands {
		prepare(app, sub)
	}
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = func(ctx *cli.Context) error {
			if ctx.NArg() == 0 {
				return cli.ShowSubcommandHelp(ctx)
			}
			known := visible(c.Subcommands)
			return usagef(cmp.Or(config.DidYouMean(ctx.Args().First(), known), "agentvault "+c.Name+" --help"),
				"%s: unknown command %q (one of: %s)", c.Name, ctx.Args().First(), strings.Join(known, ", "))
		}
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	hint := c.Command.HelpName + " --help"
	if takesCommand(c.Command) {
		hint += "; what belongs to the agent's command stands after --"
	}
	// Package flag writes each name with one dash.
	mistake := regexp.MustCompile(`^(?:flag provided but not defined: -(.+)|flag needs an argument: -(.+)|invalid (?:boolean )?value ("(?:[^"\\]|\\.)*") for (?:flag )?-([^:]+): .*)$`)
	m := mistake.FindStringSubmatch(err.Error())
	if m == nil {
		return usagef(hint, "%v", err)
	}
	unknown, lacking, value, flag := m[1], m[2], m[3], "-"+cmp.Or(m[1], m[2], m[4])
	if len(flag) > 2 {
		flag = "-" + flag // the library does not tell -name from --name
	}
	switch {
	case lacking != "":
		return usagef(hint, "%s: needs a value", flag)
	case unknown == "":
		return usagef(hint, "%s %s: not a value for this flag", flag, value)
	}
	var known []string
	for _, f := range c.Command.Flags {
		known = append(known, "--"+f.Names()[0])
	}
	if nearest := config.DidYouMean(flag, known); nearest != "" {
		hint = nearest + "\n" + hint
	}
	return usagef(hint, "unknown flag %s", flag)
}

// takesCommand says whether what follows is somebody else's command line.
func takesCommand(c *cli.Command) bool { return strings.Contains(c.ArgsUsage, "COMMAND") }

// noWords refuses the words of a command that takes none.
func noWords(c *cli.Context) error {
	if c.NArg() == 0 {
		return nil
	}
	return usagef(c.Command.HelpName+" --help", "%s: unexpected argument %q", strings.TrimPrefix(c.Command.HelpName, "agentvault "), c.Args().First())
}

// showHelp is for those who write help before a command and not --help behind it.
func showHelp(app *cli.App, c *cli.Context) error {
	name := c.Args().Get(1)
	switch {
	case name == "":
		return cli.ShowAppHelp(c)
	case lookup(app.Commands, name) == nil:
		return usagef(cmp.Or(config.DidYouMean(name, visible(app.Commands)), "agentvault --help"), "help: unknown command %q", name)
	}
	return cli.ShowCommandHelp(c, name)
}

func unknownCommand(app *cli.App, name string) error {
	known := visible(app.Commands)
	hint := fmt.Sprintf("to run it as an agent: agentvault run -- %s", shellWord(name))
	if nearest := config.DidYouMean(name, known); nearest != "" {
		hint = nearest + "\n" + hint
	}
	return usagef(hint, "unknown command %q (one of: %s)", name, strings.Join(known, ", "))
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
