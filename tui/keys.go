package tui

import (
	"errors"
	"io"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"agentvault/proxy/event"
	"agentvault/proxy/event/query"
)

// typedMost bounds the filter line: a paste may be anything.
const typedMost = 200

// copyMost is the most that is copied: terminals take no more than about 100 kB.
const copyMost = 64 << 10

// key answers what was typed. Runes that came in one read come as one message; each is a
// key of its own, unless they were pasted.
func (m *inspector) key(k tea.KeyMsg) tea.Cmd {
	m.notice = ""
	if k.Type != tea.KeyRunes || len(k.Runes) < 2 {
		return m.oneKey(k)
	}
	if k.Paste && !m.typing {
		return nil
	}
	var cmds []tea.Cmd
	for _, r := range k.Runes {
		cmds = append(cmds, m.oneKey(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt}))
	}
	return tea.Batch(cmds...)
}

// oneKey answers one key.
func (m *inspector) oneKey(k tea.KeyMsg) tea.Cmd {
	if m.typing {
		m.typeKey(k)
		return nil
	}
	if cmd, ours := m.answerKey(k.String()); ours {
		return cmd
	}
	if m.covering != nil {
		return m.coverKey(k.String())
	}
	if m.help {
		return m.helpKey(k)
	}
	switch k.String() {
	case "q", "ctrl+c", "ctrl+]":
		return tea.Quit
	case "esc":
		m.back()
	case "?":
		m.help = true
	case "/":
		m.typing, m.prior = true, m.typed
	case "u":
		m.only = !m.only
	case "p", " ":
		m.pause()
	case "f":
		m.follow()
	case "a":
		return m.acknowledge()
	case "c":
		m.askCover()
	case "y":
		return m.copy()
	case "s":
		m.resort()
	case "enter":
		m.enter()
	case "tab", "right", "l":
		m.turn(1)
	case "shift+tab", "left", "h":
		m.turn(-1)
	case "1", "2", "3", "4":
		m.tab = tab(k.String()[0] - '1')
	default:
		if m.detail == 2 {
			m.scrollKey(k.String())
			return nil
		}
		m.moveKey(k.String())
	}
	return nil
}

// scrollKey moves in a detail that has the screen.
func (m *inspector) scrollKey(key string) {
	page := max(m.height-8, 1)
	switch key {
	case "up", "k":
		m.scroll--
	case "down", "j":
		m.scroll++
	case "pgup", "ctrl+b", "ctrl+u":
		m.scroll -= page
	case "pgdown", "ctrl+f", "ctrl+d":
		m.scroll += page
	case "home", "g":
		m.scroll = 0
	case "end", "G":
		m.scroll = m.over
	}
	m.scroll = max(0, min(m.scroll, m.over))
}

// moveKey moves in the list that is shown.
func (m *inspector) moveKey(key string) {
	l := m.current()
	switch key {
	case "up", "k":
		l.move(-1)
	case "down", "j":
		l.move(1)
	case "pgup", "ctrl+b", "ctrl+u":
		l.page(-1)
	case "pgdown", "ctrl+f", "ctrl+d":
		l.page(1)
	case "home", "g":
		l.home()
	case "end", "G":
		l.end()
	}
}

func (m *inspector) helpKey(k tea.KeyMsg) tea.Cmd {
	m.help = false
	if k.String() == "ctrl+c" {
		return tea.Quit
	}
	return nil
}

// back undoes one thing: the detail, then the filter, then "uncovered only".
func (m *inspector) back() {
	switch {
	case m.detail > 0:
		m.detail--
		if m.low() {
			m.detail--
		}
	case m.typed != "":
		m.typed, m.filter = "", nil
	case m.only:
		m.only = false
	}
}

// typeKey edits the filter; the list follows as it is typed.
func (m *inspector) typeKey(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyEnter:
		m.typing, m.wrong = false, ""
		return
	case tea.KeyEsc, tea.KeyCtrlC:
		m.typing = false
		m.typed = m.prior
	case tea.KeyBackspace, tea.KeyCtrlH:
		if runes := []rune(m.typed); len(runes) > 0 {
			m.typed = string(runes[:len(runes)-1])
		}
	case tea.KeyCtrlU:
		m.typed = ""
	case tea.KeyCtrlW:
		m.typed = m.typed[:strings.LastIndexByte(strings.TrimRight(m.typed, " "), ' ')+1]
	case tea.KeySpace:
		m.typed += " "
	case tea.KeyRunes:
		m.typed += event.Escape(string(k.Runes))
	}
	if len(m.typed) > typedMost {
		m.typed = strings.ToValidUTF8(m.typed[:typedMost], "")
	}
	m.parse()
}

// parse takes the filter as it stands. One that makes no sense leaves the last that did.
func (m *inspector) parse() {
	f, err := parseFilter(m.typed)
	m.wrong = ""
	if err != nil {
		if term := new(query.TermError); errors.As(err, &term) {
			err = term.Err // the term is in the line above
		}
		m.wrong = event.Escape(err.Error())
		return
	}
	m.filter = f
}

// pause holds the list still. Events are folded all the same, and new rows counted.
func (m *inspector) pause() {
	m.paused = !m.paused
	m.held = nil
	if m.paused {
		m.held = m.store.Rows(nil)
		m.heldEnd = m.store.Next()
	}
}

// follow goes to the newest row and stays there, or stops doing so.
func (m *inspector) follow() {
	if m.tab == callsTab && m.calls.follow {
		m.calls.follow = false
		return
	}
	if m.tab == callsTab {
		m.order = byTime
		m.refresh()
	}
	m.current().end()
}

func (m *inspector) turn(d int) {
	m.tab = (m.tab + tab(d) + tabCount) % tabCount
}

// enter opens the detail of a call; of an endpoint or a service, its calls.
func (m *inspector) enter() {
	switch m.tab {
	case callsTab, bypassesTab:
		m.open()
	case endpointsTab:
		if p, ok := m.endpoints.chosen(); ok {
			m.show("method:" + quote(p.Method) + " host:" + quote(p.HostPort()) + " endpoint:" + quote(p.Template))
		}
	case servicesTab:
		if v, ok := m.services.chosen(); ok {
			m.show("service:" + quote(v.Name))
		}
	}
}

// open shows the detail beside the list, then, where there is more of it, on the whole
// screen, then no more.
func (m *inspector) open() {
	m.scroll = 0
	if m.detail == 2 || m.detail == 1 && m.over == 0 {
		m.detail = 0
		return
	}
	m.detail++
	if m.low() {
		m.detail++
	}
}

// low says that the screen has no room for a detail beside the list that says anything.
func (m *inspector) low() bool { return m.detail == 1 && m.frame().detail < 5 }

// resort takes the next order of the list that is shown. In any but the first the newest
// call may stand anywhere, so it is not followed.
func (m *inspector) resort() {
	switch m.tab {
	case endpointsTab:
		m.sort = m.sort.next()
	case callsTab:
		m.order = (m.order + 1) % orderCount
		m.calls.follow = m.order == byTime
		if m.order != byTime {
			m.calls.jump = true
		}
	}
}

// show turns to the calls that a filter lets through.
func (m *inspector) show(filter string) {
	m.tab, m.typed, m.only = callsTab, filter, false
	m.parse()
	m.calls.follow = true
}

// quote holds a value with blanks together; a quote within it cannot be written.
func quote(s string) string {
	s = strings.ReplaceAll(s, `"`, "")
	if strings.Contains(s, " ") {
		return `"` + s + `"`
	}
	return s
}

func (m *inspector) acknowledge() tea.Cmd {
	m.store.Acknowledge()
	m.notice = "marked as read"
	if m.cfg.OnRead == nil {
		return nil
	}
	read := m.cfg.OnRead
	return guarded(func() tea.Msg { read(); return nil })
}

// copy hands the TOML that covers the chosen call to the terminal's clipboard, or its
// address where it is covered.
func (m *inspector) copy() tea.Cmd {
	what, text := m.copyable()
	if text == "" {
		return nil
	}
	if len(text) > copyMost {
		text = strings.ToValidUTF8(text[:copyMost], "")
	}
	out := m.cfg.Out
	return guarded(func() tea.Msg {
		if _, err := io.WriteString(out, ansi.SetSystemClipboard(text)); err != nil {
			return noticeMsg("copy: " + event.Escape(err.Error()))
		}
		return noticeMsg("copied " + what)
	})
}

func (m *inspector) copyable() (what, text string) {
	if m.tab == endpointsTab {
		p, ok := m.endpoints.chosen()
		if !ok {
			return "", ""
		}
		if toml := m.cover(p.asCall()); toml != "" {
			return "the TOML that covers it", toml
		}
		return "the endpoint", p.Method + " " + p.HostPort() + p.Template
	}
	if v, ok := m.services.chosen(); ok && m.tab == servicesTab {
		return "the ref", v.Secret
	}
	c, ok := m.chosenCall()
	if !ok {
		return "", ""
	}
	if toml := m.cover(c); toml != "" {
		return "the TOML that covers it", toml
	}
	return "the address", c.URL()
}

// cover is the TOML that would cover c, empty where it is covered or nobody knows.
func (m *inspector) cover(c *Call) string {
	if c.Covered() || c.Phase == event.Note || m.cfg.Cover == nil {
		return ""
	}
	return strings.TrimSpace(m.cfg.Cover(*c))
}
