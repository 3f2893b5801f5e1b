package tui

import (
	"errors"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

// hotkey is the inspector's: an answer wants the same two keys as under the agent, so that
// nobody who types something else gives one.
const hotkey = "^]"

// coverRows is what the screen shows beside the TOML: head, foot, a row of the list, three
// rules, two rows of a question.
const coverRows = 8

// covering is the question whether a call is to be covered, with what would be written.
type covering struct {
	call   Call
	toml   string
	busy   bool
	failed []string // why it could not be done, and what helps
}

// coveredMsg is what became of it.
type coveredMsg struct {
	done string
	err  error
}

// askCover shows what would cover the chosen call and asks.
func (m *inspector) askCover() {
	c, ok := m.chosenToCover()
	switch {
	case !ok:
	case m.cfg.Write == nil:
		m.notice = "this view only looks on; y copies the TOML for agentvault.toml"
	case c.Covered() || c.Phase == event.Note:
		m.notice = "nothing to cover here"
	default:
		toml := m.cover(c)
		if toml == "" {
			m.notice = "no configuration can cover this call"
			return
		}
		asked := &covering{call: *c, toml: toml}
		if len(asked.lines(&m.styles, m.width)) > m.height-coverRows {
			m.notice = "the screen is too low to show what would be written"
			return
		}
		m.covering = asked
	}
}

// chosenToCover is the call that is chosen, or stands for the endpoint that is.
func (m *inspector) chosenToCover() (*Call, bool) {
	if m.tab != endpointsTab {
		return m.chosenCall()
	}
	p, ok := m.endpoints.chosen()
	if !ok {
		return nil, false
	}
	c := p.asCall()
	if !p.Covered() && c.Covered() { // by its last call; one before it was not
		c.Verdict, c.Service = event.Uncovered, ""
	}
	return c, true
}

func (m *inspector) coverHint() string {
	if c, ok := m.chosenToCover(); !ok || m.cfg.Write == nil || c.Covered() || c.Phase == event.Note || c.closed() {
		return ""
	}
	return "c cover"
}

// coverKey answers whether to write it.
func (m *inspector) coverKey(key string) tea.Cmd {
	c := m.covering
	switch key {
	case "ctrl+c":
		return tea.Quit
	case "n", "esc", "q":
		if !c.busy {
			m.covering = nil
		}
	case "y":
		if c.busy {
			return nil
		}
		c.busy, c.failed = true, nil
		write, call, toml := m.cfg.Write, c.call, c.toml
		return guarded(func() tea.Msg {
			done, err := write(call, toml)
			return coveredMsg{done, err}
		})
	}
	return nil
}

// covered shows the result. After an error the question stays, for what helps may be done
// in another terminal meanwhile.
func (m *inspector) covered(msg coveredMsg) {
	if m.covering == nil {
		return
	}
	if msg.err == nil {
		m.covering, m.notice = nil, event.Escape(msg.done)
		return
	}
	m.covering.busy = false
	m.covering.failed = []string{"⚠ " + msg.err.Error()}
	var h interface{ Hint() string }
	if errors.As(msg.err, &h) && h.Hint() != "" {
		m.covering.failed = append(m.covering.failed, strings.Split(h.Hint(), "\n")...)
	}
}

// keys are those that answer.
func (c *covering) keys() []piece {
	if c.busy {
		return []piece{{"…", quietly, 0}}
	}
	yes := "y write it and use it at once"
	if c.failed != nil {
		yes = "y try again"
	}
	return []piece{{yes, strong, 0}, {"n leave it", quietly, 0}}
}

// lines is the TOML, and under it what went wrong.
func (c *covering) lines(st *Styles, width int) []string {
	var lines []string
	for _, row := range tomlRows(c.toml, width-4) {
		lines = append(lines, "  "+st.in(accent, row))
	}
	for _, row := range c.failed {
		for _, line := range wrapWords(event.Escape(row), width-4, 3) {
			lines = append(lines, "  "+st.in(warning, line))
		}
	}
	return lines
}

// pane is the question in exactly height lines. Where there is no room for all of it the
// end stays, which says what went wrong.
func (c *covering) pane(st *Styles, width, height int) []string {
	label := "cover " + c.call.method() + " " + c.call.HostPort() + c.call.Endpoint + "?"
	lines := c.lines(st, width)
	if over := len(lines) - (height - 1); over > 0 {
		lines = lines[over:]
		label += " (the first rows do not fit)"
	}
	return append([]string{rule(st, label, width)}, lines...)
}

// lateAnswer is how long after a question the hotkey is still taken for the beginning of an
// answer to it. Otherwise it leaves, and the letter behind it would reach the agent.
const lateAnswer = 3 * time.Second

// answerKey takes the hotkey, and an answer right after it, while a call waits for leave
// and shortly after.
func (m *inspector) answerKey(key string) (tea.Cmd, bool) {
	armed := m.armed
	m.armed = false
	if m.cfg.Answer == nil || m.question == nil && m.cfg.Now().Sub(m.questioned) > lateAnswer {
		return nil, false
	}
	switch {
	case key == "ctrl+]" && !armed:
		m.armed = true
		return nil, true
	case !armed:
		return nil, false
	case len(key) == 1 && strings.Contains(AnswerKeys, key):
		if m.question == nil {
			return nil, true // it came too late, and is nobody else's
		}
		answer := m.cfg.Answer
		return guarded(func() tea.Msg { return noticeMsg(event.Escape(answer(key))) }), true
	}
	return nil, false
}
