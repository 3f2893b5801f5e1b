package tui

import (
	"strconv"
	"strings"
	"time"
)

// bannerMost is the most rows that the banner takes.
const bannerMost = 3

// frameRows says how many rows each part of the screen has.
type frameRows struct {
	topRule, banner, header, list, detail, bottomRule, question int
}

// frame shares the height out. The head, the foot and a row of the list stay; the rest
// comes as there is room for it. It depends on the screen and on what is open, not on
// which row is chosen: moving about changes no height.
func (m *inspector) frame() frameRows {
	var f frameRows
	room := m.height - 3 // head, foot, a row
	take := func(n int, when bool) int {
		if !when || room < n || n < 0 {
			return 0
		}
		room -= n
		return n
	}
	if m.question != nil {
		f.question = take(len(m.question.rows(&m.styles, hotkey, m.width)), true)
	}
	low := 0 // a detail that has the screen needs the rows of a low one
	if m.detail == 2 {
		low = 6
	}
	f.header = take(1, m.height >= 5+low)
	f.topRule = take(1, m.height >= 7+low)
	f.bottomRule = take(1, m.height >= 9)
	if m.covering != nil {
		f.detail = take(min(len(m.covering.lines(&m.styles, m.width))+1, room), true)
	} else {
		f.detail = take(m.detailHeight(room), true)
	}
	// The other tabs are about something else, or say the same.
	if unread := len(m.store.Unread(nil)); m.tab == callsTab && m.detail < 2 {
		f.banner = take(min(unread, bannerMost, max(room-3, 0)), m.height >= 12)
	}
	f.list = 1 + max(room, 0)
	return f
}

// detailHeight is how much of room the lower part gets: for a call what was opened, for the
// other lists a few rows as soon as there is room for both.
func (m *inspector) detailHeight(room int) int {
	switch m.tab {
	case callsTab, bypassesTab:
		switch m.detail {
		case 1:
			return min(max(m.height*2/5, 3), 14)
		case 2:
			return max(room-2, min(room, 4))
		}
		if m.tab == bypassesTab {
			return len(unseenLines(&m.styles, m.width, max(room-3, 0))) + 1
		}
		return 0
	case endpointsTab:
		if m.height >= 20 {
			return min(m.height*3/10, 9)
		}
	case servicesTab:
		if m.height >= 20 {
			return min(m.height*2/5, 11)
		}
	}
	return 0
}

// View draws the screen: exactly height lines of at most width cells.
func (m *inspector) View() string {
	if m.width <= 0 || m.height <= 0 {
		return ""
	}
	f := m.frame()
	lines := []string{m.head()}
	if m.help {
		lines = append(lines, m.helpLines(m.height-2)...)
	} else {
		if f.topRule > 0 {
			lines = append(lines, rule(&m.styles, m.label(), m.width))
		}
		lines = append(lines, alertRows(&m.styles, m.store.Unread(nil), m.width, f.banner)...)
		lines = append(lines, m.body(f)...)
		lines = append(lines, m.detailPane(f.detail)...)
		if f.bottomRule > 0 {
			lines = append(lines, rule(&m.styles, "", m.width))
		}
	}
	if f.question > 0 {
		lines = append(lines, m.question.rows(&m.styles, hotkey, m.width)...)
	}
	lines = append(lines, m.foot())
	if len(lines) > m.height { // less than three rows: the newest row says most
		lines = lines[len(lines)-m.height:]
	}
	for i, line := range lines {
		lines[i] = fill(line, m.width)
	}
	return strings.Join(lines, "\n")
}

// head is the row at the top: whose session, how long, how much is covered; the tabs;
// whether it moves.
func (m *inspector) head() string {
	st := &m.styles
	state := m.state()
	tabs := m.tabs(m.width >= 76)
	right := "  " + join(st, tabs, " │ ") + "   " + join(st, state, "  ") + " "
	if m.width < 60 {
		right = "  " + join(st, tabs, " │ ") + "  " + join(st, state[:1], "") + " "
	}
	first, last := m.store.Span()
	if !m.ended && m.now.After(last) {
		last = m.now
	}
	pieces := []piece{
		{"agentvault", strong, 6},
		{safe(m.cfg.Title), accent, 3},
		{fmtCalls(m.store.Calls()), plain, 5},
	}
	if !first.IsZero() {
		pieces = append(pieces, piece{fmtClock(last.Sub(first)), plain, 2})
	}
	if percent, ok := m.store.Coverage(); ok {
		pieces = append(pieces, piece{"coverage " + strconv.Itoa(percent) + " %", plain, 1})
	}
	for _, p := range alertCounts(m.store) {
		p.drop += 7 // the list and the banner say it too
		pieces = append(pieces, p)
	}
	pieces = fitPieces(pieces, "  ", m.width-cells(right)-2)
	return sides("  "+join(st, pieces, "  "), right, m.width)
}

// tabs names the tabs, or only the one that is shown.
func (m *inspector) tabs(all bool) []piece {
	var pieces []piece
	for t, name := range tabNames {
		switch {
		case tab(t) == m.tab:
			pieces = append(pieces, piece{"›" + name, strong, 0})
		case all:
			pieces = append(pieces, piece{name, quietly, 0})
		}
	}
	return pieces
}

// state says whether the list moves, and what it could not show.
func (m *inspector) state() []piece {
	var s []piece
	switch {
	case m.paused:
		s = append(s, piece{"paused, " + strconv.FormatUint(m.store.Next()-m.heldEnd, 10) + " new", warning, 0})
	case m.ended:
		s = append(s, piece{"ended", quietly, 0})
	case m.tab == callsTab && !m.calls.follow && len(m.calls.rows) > 0:
		s = append(s, piece{"scrolled", quietly, 0})
	default:
		s = append(s, piece{"live", accent, 0})
	}
	if m.dropped > 0 {
		s = append(s, piece{strconv.FormatUint(m.dropped, 10) + " not shown", warning, 0})
	}
	return s
}

// label says in the upper rule what is left out of the list, or how it is sorted.
func (m *inspector) label() string {
	var parts []string
	if m.only {
		parts = append(parts, "uncovered only")
	}
	if m.typed != "" {
		parts = append(parts, "filter "+m.typed)
	}
	switch m.tab {
	case callsTab:
		if len(parts) > 0 {
			parts = append(parts, strconv.Itoa(len(m.calls.rows))+" of "+strconv.Itoa(m.total()))
		}
		if m.order != byTime {
			parts = append(parts, "sorted by "+orderNames[m.order])
		}
	case endpointsTab:
		parts = append(parts, "sorted by "+sortNames[m.sort])
		if n := m.store.Uncounted(); n > 0 {
			parts = append(parts, fmtCalls(n)+" to endpoints beyond these")
		}
	}
	return strings.Join(parts, " · ")
}

func (m *inspector) total() int {
	if m.paused {
		return len(m.held)
	}
	return len(m.rows)
}

// body is the list of the tab that is shown, with its header.
func (m *inspector) body(f frameRows) []string {
	var header string
	var rows []string
	switch m.tab {
	case endpointsTab:
		cols := endpointColumnsFor(m.width)
		header, rows = cols.header(&m.styles), drawn(m, &m.endpoints, cols.row)
	case servicesTab:
		cols := serviceColumnsFor(m.width)
		header, rows = cols.header(&m.styles), drawn(m, &m.services, cols.row)
	default:
		cols := columnsFor(m.width)
		l := &m.calls
		if m.tab == bypassesTab {
			l = &m.bypasses
		}
		header, rows = cols.header(&m.styles), drawn(m, l, cols.call)
	}
	if len(rows) == 0 {
		rows = append(rows, m.styles.in(quietly, "  "+m.nothing()))
	}
	for len(rows) < f.list {
		rows = append(rows, "")
	}
	if f.header > 0 {
		rows = append([]string{header}, rows...)
	}
	return rows
}

// drawn is the rows of a list that are in its window.
func drawn[T comparable](m *inspector, l *list[T], row func(st *Styles, v T, now time.Time, chosen bool) string) (rows []string) {
	window, at := l.window()
	for i, v := range window {
		rows = append(rows, row(&m.styles, v, m.now, i == at))
	}
	return rows
}

// nothing says why a list is empty.
func (m *inspector) nothing() string {
	switch {
	case m.typed != "" || m.only:
		return "nothing matches; esc shows all"
	case m.tab == servicesTab:
		return "no service has been used yet"
	case m.tab == bypassesTab:
		return "none of the calls"
	}
	return "no calls yet"
}

// detailPane is the lower part: a rule and what there is to say about the chosen call.
func (m *inspector) detailPane(height int) []string {
	if height == 0 {
		return nil
	}
	if m.covering != nil {
		return m.covering.pane(&m.styles, m.width, height)
	}
	lines := append([]string{rule(&m.styles, "", m.width)}, m.details(height-1)...)
	for len(lines) < height {
		lines = append(lines, "")
	}
	return lines
}

// details is what there is to say about the chosen row, in at most height lines.
func (m *inspector) details(height int) []string {
	switch m.tab {
	case endpointsTab:
		if p, ok := m.endpoints.chosen(); ok {
			return endpointDetail(&m.styles, p, m.about(p.asCall()), m.width, height)
		}
		return nil
	case servicesTab:
		if v, ok := m.services.chosen(); ok {
			return serviceDetail(&m.styles, v, m.now, m.width, height)
		}
		return nil
	}
	if m.tab == bypassesTab && m.detail == 0 {
		return unseenLines(&m.styles, m.width, height)
	}
	c, ok := m.chosenCall()
	if !ok {
		return nil
	}
	lines := detailLines(&m.styles, c, m.about(c), m.now, m.width)
	if m.detail == 1 {
		return fitLines(&m.styles, lines, height, ", enter shows all")
	}
	from := min(m.scroll, len(lines))
	return lines[from:min(from+height, len(lines))]
}

// measure says how many lines of the detail there is no room for.
func (m *inspector) measure(height int) {
	m.over = 0
	if c, ok := m.chosenCall(); ok && m.detail > 0 {
		m.over = max(len(detailLines(&m.styles, c, m.about(c), m.now, m.width))-height, 0)
	}
	m.scroll = max(0, min(m.scroll, m.over))
}

// about gathers what is known of a call beside its event.
func (m *inspector) about(c *Call) about {
	a := about{cover: m.cover(c), standing: m.store.standingOf(c.Service)}
	a.may = a.cover != "" && m.cfg.Write != nil
	if c.Call > 0 {
		a.head, a.headers = m.headOf(c)
		a.gone = m.cfg.Head != nil && !a.headers && m.heads.call == c.Call && !m.heads.asking
	}
	return a
}
