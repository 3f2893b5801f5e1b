package tui

// foot is the row at the bottom: the filter while it is typed, what the last key did, or
// the keys.
func (m *inspector) foot() string {
	st := &m.styles
	switch {
	case m.typing:
		line := "  " + st.in(accent, "/") + " " + tail(m.typed, max(m.width/2, m.width-32)) + st.in(accent, "▏")
		if m.wrong != "" {
			return fill(line+"  "+st.in(warning, "⚠ "+m.wrong), m.width)
		}
		return sides(line, st.in(quietly, "enter keep   esc undo "), m.width)
	case m.covering != nil:
		return "  " + join(st, m.covering.keys(), "   ")
	case m.notice != "":
		return "  " + st.in(accent, left(m.notice, m.width-2))
	case m.help:
		return "  " + st.in(quietly, "any key goes back")
	}
	return "  " + join(st, fitPieces(m.keyPieces(), "   ", m.width-3), "   ")
}

func (m *inspector) keyPieces() []piece {
	enter := "enter detail"
	switch {
	case m.tab == endpointsTab || m.tab == servicesTab:
		enter = "enter calls"
	case m.detail == 2, m.detail == 1 && m.over == 0:
		enter = "enter close"
	case m.detail == 1:
		enter = "enter all of it"
	}
	if m.detail == 2 && (m.tab == callsTab || m.tab == bypassesTab) {
		scroll := ""
		if m.over > 0 {
			scroll = "↑ ↓ scroll"
		}
		return []piece{{scroll, quietly, 3}, {enter, quietly, 2}, {m.coverHint(), quietly, 4}, {"y copy", quietly, 5}, {"? help", quietly, 1}, {m.backHint(), quietly, 0}}
	}
	pieces := []piece{
		{"/ filter", quietly, 2},
		{"u uncovered", quietly, 4},
		{"p pause", quietly, 8},
		{enter, quietly, 3},
	}
	if m.tab == endpointsTab || m.tab == callsTab {
		pieces = append(pieces, piece{"s sort", quietly, 10})
	}
	read := ""
	if len(m.store.Unread(nil)) > 0 {
		read = "a read"
	}
	return append(pieces,
		piece{m.coverHint(), quietly, 5},
		piece{"y copy", quietly, 9},
		piece{read, quietly, 7},
		piece{m.tabHint(), quietly, 6},
		piece{"? help", quietly, 1},
		piece{m.backHint(), quietly, 0},
	)
}

// tabHint is what tab does: under a pane it takes the keys there and back.
func (m *inspector) tabHint() string {
	if m.under {
		return "tab keys"
	}
	return "tab next"
}

// backHint is the key that leaves: under an agent the one that led here.
func (m *inspector) backHint() string {
	if m.cfg.Answer != nil {
		return hotkey + "/q back"
	}
	return "q quit"
}
