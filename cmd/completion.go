package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
)

// completions are the scripts, by shell. Each hands the words up to the cursor to
// `completion words` and offers the lines that come back; where there are none the shell
// completes files, and behind "--" as for the agent's own command.
var completions = map[string]string{
	"bash": `_agentvault() {
    local IFS=$'\n'
    COMPREPLY=($(agentvault completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _agentvault agentvault
`,
	"zsh": `#compdef agentvault
_agentvault() {
    local -a found
    local at=${words[(i)--]}
    if (( at < CURRENT )); then
        shift at words
        (( CURRENT -= at ))
        _normal
        return
    fi
    found=("${(@f)$(agentvault completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -- $found; else _files; fi
}
compdef _agentvault agentvault
`,
	"fish": `function __agentvault_words
    agentvault completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c agentvault -f -n 'count (__agentvault_words) >/dev/null' -a '(__agentvault_words)'
`,
}

func newCompletionCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell: " + strings.Join(shells(), ", "),
		ArgsUsage: "SHELL",
		Description: `bash   eval "$(agentvault completion bash)"              in ~/.bashrc
zsh    eval "$(agentvault completion zsh)"               in ~/.zshrc, behind compinit
fish   agentvault completion fish | source               in ~/.config/fish/config.fish`,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("agentvault completion bash", "completion: want one shell (one of: %s)", strings.Join(shells(), ", "))
			}
			script, ok := completions[c.Args().First()]
			if !ok {
				return usagef("agentvault completion bash", "completion: %q is not a shell (one of: %s)", c.Args().First(), strings.Join(shells(), ", "))
			}
			_, err := fmt.Fprint(env.Stdout, script)
			return err
		},
		Subcommands: []*cli.Command{{
			Name: "words", Hidden: true,
			Action: func(c *cli.Context) error {
				for _, w := range candidates(env, c.App, c.Args().Slice()) {
					fmt.Fprintln(env.Stdout, w)
				}
				return nil
			},
		}},
	}
}

func shells() []string { return []string{"bash", "fish", "zsh"} }

// candidates are what the last of words, perhaps empty, may become.
func candidates(env Env, app *cli.App, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	done, begun := words[:len(words)-1], words[len(words)-1]
	if slices.Contains(done, "--") {
		return nil
	}
	commands := app.Commands
	var command *cli.Command
	for _, w := range done {
		if next := lookup(commands, w); next != nil {
			command, commands = next, next.Subcommands
		}
	}
	var all []string
	switch {
	case len(done) > 0 && command != nil && takesValue(command, done[len(done)-1]):
		all = flagValues(env, strings.TrimLeft(done[len(done)-1], "-"))
	case strings.HasPrefix(begun, "-") && command != nil:
		all = flagNames(command)
	case command == nil:
		all = visible(commands)
	default:
		all = append(visible(commands), arguments(env, command.Name)...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, begun) })
}

func visible(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

func flagNames(c *cli.Command) []string {
	names := []string{"--help"}
	for _, f := range c.Flags {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		names = append(names, "--"+f.Names()[0])
	}
	if takesCommand(c) {
		names = append(names, "--")
	}
	return names
}

// flagValues are the values that a flag can have, nil where only the shell knows: files.
func flagValues(env Env, flag string) []string {
	switch flag {
	case "ui":
		return slices.Clone(uis)
	case "unmatched":
		return config.Policies()
	case "from":
		return sessionNames(env)
	case "from-catalogue":
		return catalogueNames()
	}
	return nil
}

// arguments are the words that a command takes.
func arguments(env Env, command string) []string {
	switch command {
	case "completion":
		return shells()
	case "services":
		return catalogueNames()
	case "log", "watch", "refresh":
		return sessionNames(env)
	}
	return nil
}

func catalogueNames() []string {
	var names []string
	for _, e := range config.Catalogue() {
		names = append(names, e.Name)
	}
	return names
}

// sessionNames are the sessions that have a log, as people type them.
func sessionNames(env Env) []string {
	sessions, err := allSessions(env)
	if err != nil {
		return nil // nothing to offer
	}
	var names []string
	for _, s := range sessions {
		names = append(names, shortID(s.ID))
	}
	return names
}
