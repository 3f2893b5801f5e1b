package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// splitter is a program that has the terminal and can be asked for another pane of it.
type splitter struct {
	name     string
	sign     string   // the variable that says that we are inside
	programs []string // that ask it; the first one that is there is taken
	env      []string // what they need of the environment, beside what every program gets
	// open are the arguments that open a pane below ours and run a command in it. The pane's
	// id is what the program then prints.
	open func(get func(string) string, command []string) []string
	// back, if not nil, gives the focus back to our pane where opening one takes it.
	back func(get func(string) string) []string
	// shut closes the pane. Nil where a pane cannot be named: it ends with its command, which
	// ends with the session.
	shut func(id string) []string
	hint string // what helps where it refuses
}

// splitters are looked at in this order: a multiplexer is nearer to us than the terminal that
// it runs in, whose variables it hands on.
func splitters() []splitter {
	return []splitter{
		{
			name: "tmux", sign: "TMUX", programs: []string{"tmux"}, env: []string{"TMUX", "TMUX_PANE", "TMUX_TMPDIR"},
			open: func(get func(string) string, command []string) []string {
				args := []string{"split-window", "-d", "-v", "-l", "33%", "-P", "-F", "#{pane_id}"}
				if pane := get("TMUX_PANE"); pane != "" {
					args = append(args, "-t", pane) // else it would be the pane that the human looks at by now
				}
				return append(args, command...)
			},
			shut: func(id string) []string { return []string{"kill-pane", "-t", id} },
		},
		{
			name: "zellij", sign: "ZELLIJ", programs: []string{"zellij"}, env: []string{"ZELLIJ", "ZELLIJ_SESSION_NAME", "ZELLIJ_PANE_ID", "ZELLIJ_SOCKET_DIR", "XDG_RUNTIME_DIR", "TMPDIR"},
			open: func(_ func(string) string, command []string) []string {
				return append([]string{"run", "--direction", "down", "--close-on-exit", "--name", "agentvault", "--"}, command...)
			},
			back: func(func(string) string) []string { return []string{"action", "move-focus", "up"} },
		},
		{
			name: "kitty", sign: "KITTY_WINDOW_ID", programs: []string{"kitten", "kitty"}, env: []string{"KITTY_WINDOW_ID", "KITTY_LISTEN_ON", "KITTY_PUBLIC_KEY", "KITTY_PID"},
			open: func(get func(string) string, command []string) []string {
				return append([]string{"@", "launch", "--match", "window_id:" + get("KITTY_WINDOW_ID"), "--location", "hsplit", "--keep-focus", "--title", "agentvault"}, command...)
			},
			shut: func(id string) []string { return []string{"@", "close-window", "--match", "id:" + id} },
			hint: "kitty must allow it: allow_remote_control in kitty.conf (socket-only with listen_on is enough)",
		},
		{
			name: "WezTerm", sign: "WEZTERM_PANE", programs: []string{"wezterm"}, env: []string{"WEZTERM_PANE", "WEZTERM_UNIX_SOCKET", "XDG_RUNTIME_DIR"},
			open: func(get func(string) string, command []string) []string {
				return append([]string{"cli", "split-pane", "--pane-id", get("WEZTERM_PANE"), "--bottom", "--percent", "33", "--"}, command...)
			},
			back: func(get func(string) string) []string {
				return []string{"cli", "activate-pane", "--pane-id", get("WEZTERM_PANE")}
			},
			shut: func(id string) []string { return []string{"cli", "kill-pane", "--pane-id", id} },
		},
		{
			name: "iTerm2", sign: "ITERM_SESSION_ID", programs: []string{"osascript"},
			open: func(get func(string) string, command []string) []string {
				_, session, _ := strings.Cut(get("ITERM_SESSION_ID"), ":") // w0t1p0:UUID
				return append(script(itermOpen), session, shellWords(command))
			},
			shut: func(id string) []string { return append(script(itermShut), id) },
			hint: "macOS asks once whether your terminal may control iTerm2: System Settings, Privacy & Security, Automation",
		},
	}
}

// What comes from outside is given to AppleScript as arguments, never as a part of its text.
var (
	itermOpen = []string{
		"on run argv", `tell application "iTerm2"`, "repeat with w in windows", "repeat with t in tabs of w", "repeat with s in sessions of t",
		"if (unique id of s) is (item 1 of argv) then", "tell s", "set n to (split horizontally with same profile command (item 2 of argv))", "end tell",
		"tell s to select", "return unique id of n", "end if",
		"end repeat", "end repeat", "end repeat", "end tell", `error "no session of iTerm2 has this terminal"`, "end run",
	}
	itermShut = []string{
		"on run argv", `tell application "iTerm2"`, "repeat with w in windows", "repeat with t in tabs of w", "repeat with s in sessions of t",
		"if (unique id of s) is (item 1 of argv) then", "tell s to close", "return", "end if",
		"end repeat", "end repeat", "end repeat", "end tell", "end run",
	}
)

func script(lines []string) (args []string) {
	for _, line := range lines {
		args = append(args, "-e", line)
	}
	return args
}

// shellWords writes a command for a program that reads it as a shell does.
func shellWords(command []string) string {
	var words []string
	for _, w := range command {
		words = append(words, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}

// findSplitter says who can be asked for a pane; nil where nobody can.
func findSplitter(env Env) *splitter {
	for _, s := range splitters() {
		if env.get(s.sign) != "" {
			return &s
		}
	}
	return nil
}

// pane is one that was opened for the view.
type pane struct {
	with    *splitter
	env     Env
	program string // found before the child was there: by its end it may have put another one before it
	id      string
}

// openPane opens a pane that runs a command.
func (s *splitter) openPane(ctx context.Context, env Env, command []string) (*pane, error) {
	p := &pane{with: s, env: env}
	for _, name := range s.programs {
		if path, err := exec.LookPath(name); err == nil {
			p.program = path
			break
		}
	}
	if p.program == "" {
		return nil, fmt.Errorf("split: %s asks for panes with %s, which is not in PATH", s.name, strings.Join(s.programs, " or "))
	}
	out, err := p.ask(ctx, s.open(env.get, command))
	if err != nil {
		err = fmt.Errorf("split: %s: %w", s.name, err)
		if s.hint != "" {
			return nil, withHint(err, "%s", s.hint)
		}
		return nil, err
	}
	p.id = out
	if s.back != nil {
		_, _ = p.ask(ctx, s.back(env.get)) // a cursor in the wrong pane is no reason to stop
	}
	return p, nil
}

// ask runs the program and returns what it says, or what it complains of.
func (p *pane) ask(ctx context.Context, args []string) (string, error) {
	c := exec.CommandContext(ctx, p.program, args...)
	c.Env = p.env.only(append([]string{"PATH", "HOME", "TERM", "LANG"}, p.with.env...)...)
	out, err := c.Output()
	text := strings.TrimSpace(string(out))
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && len(exit.Stderr) > 0:
		return "", errors.New(printable(strings.TrimSpace(string(exit.Stderr))))
	case err != nil:
		return "", errors.Join(err, errors.New(printable(text)))
	}
	return text, nil
}

// close closes the pane, unless it does so by itself or the human has done it.
func (p *pane) close() {
	if p.with.shut != nil && p.id != "" {
		_, _ = p.ask(context.Background(), p.with.shut(p.id))
	}
}
