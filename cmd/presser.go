package cmd

import (
	"fmt"

	"agentvault/cmd/internal/config"
	"agentvault/proxy"
)

// presser is a program around us that presses a key of our terminal for any program that asks
// it to, the agent included.
type presser struct {
	name string
	sign string // the variable that says that we are inside
	with string // what has it press one
}

// findPresser looks for the nearest one; it says no where none is known. A program that is
// none of these may do the same: nothing here is a promise that nobody can.
func findPresser(env Env) (presser, bool) {
	for _, p := range []presser{
		{"tmux", "TMUX", "tmux send-keys"},
		{"screen", "STY", "screen -X stuff"},
		{"zellij", "ZELLIJ", "zellij action write"},
		{"kitty", "KITTY_LISTEN_ON", "kitten @ send-text"},
		{"WezTerm", "WEZTERM_PANE", "wezterm cli send-text"},
		{"iTerm2", "ITERM_SESSION_ID", "AppleScript"},
	} {
		if env.get(p.sign) != "" {
			return p, true
		}
	}
	return presser{}, false
}

// presserHint is what to do where a question must be the human's alone to answer.
const presserHint = "where that must not be, use deny: nothing answers it"

func (p presser) String() string {
	return fmt.Sprintf("inside %s the agent can press keys too (%s), and so answer a question itself", p.name, p.with)
}

// asks reports whether some call may wait for an answer.
func asks(c *config.Compiled) bool {
	if c.Unmatched == string(proxy.Ask) {
		return true
	}
	for _, s := range c.Services {
		if len(s.Ask) > 0 {
			return true
		}
	}
	return false
}

// warnOfPresser says before the agent starts that what asks can be answered by it.
func (l *live) warnOfPresser() {
	if p, ok := findPresser(l.env); ok && asks(l.compiled) {
		l.notice("questions: inside %s the agent can press the answer itself; deny holds", p.name)
	}
}
