package tui

import "strconv"

// alertRows draws the endpoints that ask for a look, at most most rows. Where there are
// more of them the last row says how many.
func alertRows(st *Styles, unread []*Endpoint, width, most int) []string {
	if most <= 0 || len(unread) == 0 {
		return nil
	}
	shown := unread
	if len(unread) > most {
		shown = unread[:most-1]
	}
	rows := make([]string, 0, most)
	for _, p := range shown {
		rows = append(rows, alertRow(st, p, width))
	}
	if more := len(unread) - len(shown); more > 0 {
		text := "  ⚠ " + strconv.Itoa(more) + " more endpoints to look at"
		if len(shown) > 0 {
			text = "  ⚠ and " + strconv.Itoa(more) + " more"
		}
		rows = append(rows, st.in(warning, left(text, min(cells(text), width))))
	}
	return rows
}

// alertRow says what is wrong with one endpoint: what, where, how often, and why.
func alertRow(st *Styles, p *Endpoint, width int) string {
	m := markOf(p.Alert)
	what := m.sign
	if width >= 90 {
		what += " " + left(m.word, 9)
	}
	counts := right("×"+strconv.FormatUint(p.Alerts, 10), 4) + right(fmtStatus(p.Status), 4)
	if width < 60 { // the list has the status
		counts = right("×"+strconv.FormatUint(p.Alerts, 10), 4)
	}
	room := width - 2 - cells(what) - 1 - methodWidth - 1 - cells(counts)
	address, why := room, 0
	if room >= 48 {
		address = min(max(room/2, 30), 64)
		why = room - address - 2
	}
	row := "  " + st.in(warning, what) + " " + left(p.Method, methodWidth) + " " +
		pad(target(p.HostPort(), p.Template, address), address) + st.in(quietly, counts)
	if why > 0 {
		row += "  " + left(p.Reason, why)
	}
	return row
}
