package cmd

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command before its words, so that `secret set github
// --host api.github.com` means what it says: cli stops at the first word. A command that
// takes somebody else's command line is left alone, as is everything behind "--", and a group
// of commands that has not the one that is asked for.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	commands, at := app.Commands, 1
	var command *cli.Command
	for at < len(args) {
		next := lookup(commands, args[at])
		if next == nil {
			break
		}
		command, commands = next, next.Subcommands
		at++
	}
	if command == nil || takesCommand(command) || len(command.Subcommands) > 0 && len(command.Flags) == 0 {
		return args
	}
	var flags, words []string
	rest := args[at:]
	for i := 0; i < len(rest); i++ {
		switch a := rest[i]; {
		case a == "--":
			words = append(words, rest[i:]...)
			i = len(rest)
		case len(a) < 2 || a[0] != '-':
			words = append(words, a)
		default:
			flags = append(flags, a)
			if i+1 < len(rest) && takesValue(command, a) {
				i++
				flags = append(flags, rest[i])
			}
		}
	}
	return append(append(append([]string(nil), args[:at]...), flags...), words...)
}

func lookup(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func takesValue(c *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			if _, isBool := f.(*cli.BoolFlag); n == name && !isBool {
				return true
			}
		}
	}
	return false
}
