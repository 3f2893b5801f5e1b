package command

import (
	"errors"
	"strings"
)

// Split cuts a command line into words. No shell is involved: blanks separate words,
// '...' and "..." keep blanks, and within double quotes \" and \\ stand for the character
// behind the backslash. Nothing else is special: no variables, globs, pipes, and no
// backslash outside double quotes, so that C:\Tools\op.exe is what it looks like.
func Split(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  bool // a word has begun; it may be empty, as in ''
		quote byte // the quote that is open, or 0
	)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == '"' && c == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
			i++
			word.WriteByte(line[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == ' ' || c == '\t':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if open {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command")
	}
	return words, nil
}
