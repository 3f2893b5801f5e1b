package text

// Style paints with SGR sequences, or not at all. Colour carries nothing that a sign or a
// word does not carry too. The eight colours of the terminal's own palette are used: they
// follow the user's theme.
type Style bool

// Accent marks what agentvault did.
func (s Style) Accent(t string) string { return s.paint("36", t) }

// Warning marks what deserves a look.
func (s Style) Warning(t string) string { return s.paint("33", t) }

// Dim marks what is fine.
func (s Style) Dim(t string) string { return s.paint("2", t) }

// Strong marks what the eye should find.
func (s Style) Strong(t string) string { return s.paint("1", t) }

func (s Style) paint(code, t string) string {
	if !s || t == "" {
		return t
	}
	return "\x1b[" + code + "m" + t + "\x1b[0m"
}
