package tui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	tea "github.com/charmbracelet/bubbletea"
)

// PanelConfig is what the panel needs beside what every view does.
type PanelConfig struct {
	Config
	// Output is what the child writes, stdout and stderr as they come. It is read to its
	// end, whatever becomes of the view.
	Output io.Reader
	// Ended waits for the child and says how it ended: "status 0". It is called once,
	// after the end of Output. nil says nothing.
	Ended func() string
	// Interrupt is what ctrl+c does while the child runs; nil leaves the view.
	Interrupt func()
	// Stay waits for a key when the child has ended, so that it can be read.
	Stay bool
}

// RunPanel shows the child's output above its calls until the child has ended. The human
// may leave earlier: the output then goes on as plain text. Either way what the pane last
// showed is left on the terminal, and RunPanel returns when the child's output has ended,
// or ctx has.
func RunPanel(ctx context.Context, c PanelConfig) error {
	viewCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.Out = serial(c.Out)
	if c.Ended != nil {
		c.Ended = sync.OnceValue(c.Ended) // the view may be left while it waits
	}
	m := newPanel(viewCtx, c)
	go m.pane.pump(c.Output)
	err := runProgram(viewCtx, m, c.Config)
	if err == nil {
		err = m.calls.failed
	}
	m.pane.leave(c.Out)
	select {
	case <-m.pane.ended:
	case <-ctx.Done():
		return err
	}
	if !m.over && c.Ended != nil {
		m.status = c.Ended()
	}
	if m.status != "" {
		_, _ = fmt.Fprintf(c.Out, "%s ended, %s\n", m.name(), safe(m.status))
	}
	return err
}

// panel is the pane over an inspector that has the lower part of the screen.
type panel struct {
	cfg    PanelConfig
	ctx    context.Context
	pane   *pane
	calls  *inspector
	lower  bool // the keys that move are the list's
	over   bool // the child has ended
	status string
	width  int
	height int
}

// childEndedMsg says how the child ended.
type childEndedMsg string

func newPanel(ctx context.Context, c PanelConfig) *panel {
	p := &panel{cfg: c, ctx: ctx, pane: newPane(), calls: newInspector(ctx, c.Config), width: 80, height: 24}
	p.calls.under = true
	p.share()
	return p
}

// Init starts both halves.
func (p *panel) Init() tea.Cmd { return tea.Batch(p.calls.Init(), p.wait()) }

func (p *panel) wait() tea.Cmd {
	return guarded(func() tea.Msg { return p.pane.next(p.ctx) })
}

// Update takes one message; what is not the pane's is the list's.
func (p *panel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
		return p, p.share()
	case changedMsg:
		return p, p.wait()
	case outputEndedMsg:
		return p, p.awaitChild()
	case childEndedMsg:
		p.over, p.status = true, string(msg)
		if !p.cfg.Stay {
			return p, tea.Quit
		}
		return p, nil
	case tea.KeyMsg:
		return p, p.key(msg)
	}
	_, cmd := p.calls.Update(msg)
	return p, cmd
}

func (p *panel) awaitChild() tea.Cmd {
	ended := p.cfg.Ended
	return guarded(func() tea.Msg {
		if ended == nil {
			return childEndedMsg("")
		}
		return childEndedMsg(ended())
	})
}

// share divides the screen: two fifths for the list, and a row between.
func (p *panel) share() tea.Cmd {
	lower := min(max(p.height*2/5, 5), 16)
	if p.height < 12 {
		lower = min(3, p.height)
	}
	p.pane.resize(p.width, max(p.height-lower-1, 1))
	_, cmd := p.calls.Update(tea.WindowSizeMsg{Width: p.width, Height: lower})
	return cmd
}

func (p *panel) key(k tea.KeyMsg) tea.Cmd {
	if p.calls.typing || p.calls.help {
		return p.pass(k)
	}
	switch key := k.String(); key {
	case "q":
		return tea.Quit
	case "ctrl+c":
		return p.interrupt()
	case "tab", "shift+tab":
		p.lower = !p.lower
		return nil
	case "enter", "esc":
		if p.over && p.cfg.Stay && !p.lower {
			return tea.Quit
		}
	case "up", "k", "down", "j", "pgup", "pgdown", "ctrl+b", "ctrl+f", "ctrl+u", "ctrl+d", "home", "end", "g", "G", " ":
		if !p.lower {
			p.scroll(key)
			return nil
		}
	}
	return p.pass(k)
}

func (p *panel) pass(k tea.KeyMsg) tea.Cmd {
	_, cmd := p.calls.Update(k)
	return cmd
}

func (p *panel) scroll(key string) {
	page := max(p.pane.height-1, 1)
	switch key {
	case "up", "k":
		p.pane.scroll(-1)
	case "down", "j":
		p.pane.scroll(1)
	case "pgup", "ctrl+b", "ctrl+u":
		p.pane.scroll(-page)
	case "pgdown", "ctrl+f", "ctrl+d", " ":
		p.pane.scroll(page)
	case "home", "g":
		p.pane.home()
	case "end", "G":
		p.pane.toEnd()
	}
}

func (p *panel) interrupt() tea.Cmd {
	if p.over || p.cfg.Interrupt == nil {
		return tea.Quit
	}
	interrupt := p.cfg.Interrupt
	return guarded(func() tea.Msg { interrupt(); return nil })
}

// View draws the pane, a rule that says how the child is, and the list.
func (p *panel) View() string {
	if p.width <= 0 || p.height <= 0 {
		return ""
	}
	rows := p.pane.View()
	for len(rows) < p.pane.height {
		rows = append(rows, "")
	}
	for i, row := range rows {
		rows[i] = fill(row, p.width)
	}
	rows = append(rows, rule(&p.calls.styles, p.label(), p.width))
	rows = append(rows, strings.Split(p.calls.View(), "\n")...)
	if len(rows) > p.height {
		rows = rows[len(rows)-p.height:]
	}
	return strings.Join(rows, "\n")
}

func (p *panel) name() string {
	if title := safe(p.cfg.Title); title != "" {
		return title
	}
	return "the command"
}

// label says whose output is above, and where the keys go.
func (p *panel) label() string {
	label := p.name()
	switch {
	case p.over && p.status != "":
		label += " ended, " + safe(p.status) + " · q leaves"
	case p.over:
		label += " ended · q leaves"
	case !p.pane.following():
		label += " · scrolled, end follows"
	}
	if p.lower {
		return label + " · keys: calls ↓"
	}
	return label + " · keys: output ↑"
}
