package keyring

import (
	"fmt"
	"strings"
	"unicode"
)

// hinted carries what the human may do about an error; the top of the program prints
// it on a line of its own.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
func (h hinted) Hint() string  { return h.hint }

// WithHint returns err with a remedy, to be found with errors.As and an interface
// that has Hint() string. A nil err stays nil.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hinted{err, hint}
}

// Excerpt limits.
const (
	excerptLines = 3
	excerptBytes = 300
)

// Excerpt makes text from outside (a command's stderr, a server's message) fit for an
// error: the secrets named are removed, control characters are escaped, and no more
// than three lines and 300 bytes remain, joined by " / ". The last lines are kept:
// that is where a program says what went wrong.
func Excerpt(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if s.Len() > 0 {
			text = strings.ReplaceAll(text, s.Reveal(), redacted)
		}
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if n := len(lines); n > excerptLines {
		lines = lines[n-excerptLines:]
	}
	out := escape(strings.ToValidUTF8(strings.Join(lines, " / "), "?"))
	if len(out) > excerptBytes {
		out = strings.ToValidUTF8(out[:excerptBytes], "") + "..."
	}
	return out
}

// escape spells out what a terminal would act upon or a reader would not see.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}
