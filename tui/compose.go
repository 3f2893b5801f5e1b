package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// reset ends whatever a row has switched on.
const reset = "\x1b[0m"

// piece is a part of a line that may be left out.
type piece struct {
	text string
	tone tone
	// drop is when it goes: the highest first, 0 never.
	drop int
}

// fitPieces leaves out pieces until the rest, joined by sep, fits into width cells.
func fitPieces(pieces []piece, sep string, width int) []piece {
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if p.text != "" {
			kept = append(kept, p)
		}
	}
	for {
		total, worst := 0, -1
		for i, p := range kept {
			total += cells(p.text) + cells(sep)
			if p.drop > 0 && (worst < 0 || p.drop >= kept[worst].drop) {
				worst = i
			}
		}
		if total-cells(sep) <= width || worst < 0 {
			return kept
		}
		kept = append(kept[:worst], kept[worst+1:]...)
	}
}

// join paints pieces and puts sep, painted quietly, between them.
func join(st *Styles, pieces []piece, sep string) string {
	var b strings.Builder
	for i, p := range pieces {
		if i > 0 {
			b.WriteString(st.in(quietly, sep))
		}
		b.WriteString(st.in(p.tone, p.text))
	}
	return b.String()
}

// sides puts l at the left edge and r at the right one. Where both do not fit l is cut.
func sides(l, r string, width int) string {
	room := width - cells(r)
	if room < 0 {
		return fill(r, width)
	}
	return fill(l, room) + r
}

// fill makes a painted line exactly width cells wide.
func fill(line string, width int) string {
	n := cells(line)
	if n > width {
		line = ansi.Truncate(line, max(width, 0), "")
		n = cells(line)
	}
	return line + strings.Repeat(" ", max(width-n, 0))
}

// rule is a line across, with a label in it where there is one.
func rule(st *Styles, label string, width int) string {
	if label == "" || width < 8 {
		return st.in(quietly, strings.Repeat("─", max(width, 0)))
	}
	label = " " + left(label, min(cells(label), max(width-6, 0))) + " "
	return st.in(quietly, "──") + st.in(accent, label) + st.in(quietly, strings.Repeat("─", max(width-2-cells(label), 0)))
}

// wrapWords breaks s into at most most lines of width cells; the last is cut.
func wrapWords(s string, width, most int) []string {
	if width <= 0 || most <= 0 {
		return nil
	}
	lines := strings.Split(ansi.Wrap(s, width, ""), "\n")
	if len(lines) > most {
		lines[most-1] = left(lines[most-1]+" "+lines[most], width)
		lines = lines[:most]
	}
	return lines
}
