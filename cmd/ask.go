package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ask reads one line of the human's, in lower case.
func ask(tty *os.File, prompt string) (string, error) {
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(tty.Fd()), before) }()
	line, err := term.NewTerminal(tty, prompt).ReadLine()
	if errors.Is(err, io.EOF) {
		return "", errInterrupted
	}
	return strings.ToLower(strings.TrimSpace(line)), err
}

// indented shows a file's text set off, made harmless line by line.
func indented(content []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(content) {
		b.WriteString("    " + printable(strings.TrimRight(string(line), "\r\n")) + "\n")
	}
	return b.String()
}
