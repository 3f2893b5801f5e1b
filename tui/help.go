package tui

import (
	"strings"

	"agentvault/proxy/event/query"
)

// helpKeys is what the help screen says about keys.
var helpKeys = [...][2]string{
	{"↑ ↓ j k", "choose a row; pgup, pgdn, home, end, g, G go further"},
	{"f", "follow the newest call"},
	{"enter", "detail, then all of it; of an endpoint or a service its calls"},
	{"/", "filter, see below"},
	{"u", "uncovered only"},
	{"p", "pause: the list stands still, the calls do not"},
	{"c", "cover the call: shows the TOML, asks, writes it, uses it at once"},
	{"a", "mark what is in the banner as read"},
	{"y", "copy the TOML that covers the call, or its address"},
	{"s", "sort calls or endpoints another way"},
	{"tab 1 2 3 4", "calls, endpoints, services, bypasses"},
	{"esc", "close the detail, then clear the filter"},
	{"^] q ctrl+c", "leave the view; the agent goes on"},
}

// helpLines is the help screen in exactly height lines.
func (m *inspector) helpLines(height int) []string {
	st := &m.styles
	lines := []string{""}
	for _, k := range helpKeys {
		if m.under && k[0] == "tab 1 2 3 4" {
			k = [2]string{"tab, 1 2 3 4", "keys to the output and back; calls, endpoints, services, bypasses"}
		}
		lines = append(lines, "  "+st.in(accent, left(k[0], 14))+left(k[1], min(cells(k[1]), max(m.width-16, 1))))
	}
	lines = append(lines, "", "  "+st.in(accent, left("filter", 14))+"host:github status:4xx verdict:uncovered -method:get \"some text\"")
	for _, text := range []string{"a field twice means either; * is anything, none no value", "fields: " + strings.Join(query.Fields(), " ")} {
		for _, line := range wrapWords(text, max(m.width-18, 1), 3) {
			lines = append(lines, "  "+left("", 14)+st.in(quietly, line))
		}
	}
	lines = append(lines, "")
	signs := make([]string, 0, len(marks))
	for _, k := range marks {
		signs = append(signs, st.in(k.tone, k.sign)+" "+k.word)
	}
	half := (len(signs) + 1) / 2
	lines = append(lines, "  "+st.in(accent, left("signs", 14))+strings.Join(signs[:half], "   "))
	lines = append(lines, "  "+left("", 14)+strings.Join(signs[half:], "   "))
	if len(lines) > height {
		lines = lines[:max(height, 0)]
		if height > 0 {
			lines[height-1] = "  " + st.in(quietly, "… a taller terminal has room for more")
		}
	}
	for len(lines) < height {
		lines = append(lines, "")
	}
	return lines
}
