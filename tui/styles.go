package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	_ "agentvault/tui/quiet" // before Bubble Tea: see there
)

// Styles is every colour of every view. They are the terminal's own sixteen, so that they
// follow its theme, and one accent and one warning is all there is.
type Styles struct {
	paints [strong + 1]paint
}

// paint is what stands before and after a painted text.
type paint struct{ on, off string }

// NewStyles reads from the environment what the terminal can do: NO_COLOR and TERM=dumb
// mean no colour at all, COLORFGBG tells a light background from a dark one. The terminal
// itself is never asked.
func NewStyles(env func(string) string) Styles {
	if env == nil {
		env = func(string) string { return "" }
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetHasDarkBackground(true) // nothing here depends on it, and asking would block
	r.SetColorProfile(termenv.ANSI)
	if env("NO_COLOR") != "" || env("TERM") == "dumb" {
		r.SetColorProfile(termenv.Ascii)
	}
	// Cyan and yellow cannot be read on white, blue cannot on black.
	accentColor, warnColor := lipgloss.Color("6"), lipgloss.Color("3")
	if light(env("COLORFGBG")) {
		accentColor, warnColor = lipgloss.Color("4"), lipgloss.Color("1")
	}
	var s Styles
	s.paints[accent] = paintOf(r.NewStyle().Foreground(accentColor))
	s.paints[quietly] = paintOf(r.NewStyle().Faint(true))
	s.paints[warning] = paintOf(r.NewStyle().Foreground(warnColor))
	s.paints[strong] = paintOf(r.NewStyle().Bold(true))
	return s
}

// light reads COLORFGBG, "foreground;background" by number: 7 and from 9 on are light.
func light(colorFGBG string) bool {
	switch colorFGBG[strings.LastIndexByte(colorFGBG, ';')+1:] {
	case "7", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// paintOf asks lipgloss once what it writes around a text: a frame has a thousand of
// them, thirty times a second.
func paintOf(s lipgloss.Style) paint {
	on, off, _ := strings.Cut(s.Render("x"), "x")
	return paint{on, off}
}

// in paints s, which has no styles of its own.
func (st *Styles) in(t tone, s string) string {
	p := st.paints[t]
	if p.on == "" || s == "" {
		return s
	}
	return p.on + s + p.off
}
