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
	d, err := newDialog(tty)
	if err != nil {
		return "", err
	}
	defer d.end()
	return d.ask(prompt)
}

// dialog is several questions in a row. What was typed ahead answers the next one.
type dialog struct {
	tty      *os.File
	before   *term.State
	terminal *term.Terminal
}

func newDialog(tty *os.File) (*dialog, error) {
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return &dialog{tty, before, term.NewTerminal(tty, "")}, nil
}

// end gives the terminal back.
func (d *dialog) end() { _ = term.Restore(int(d.tty.Fd()), d.before) }

// ask reads one line, in lower case.
func (d *dialog) ask(prompt string) (string, error) {
	d.terminal.SetPrompt(prompt)
	line, err := d.terminal.ReadLine()
	if errors.Is(err, io.EOF) {
		return "", errInterrupted
	}
	return strings.ToLower(strings.TrimSpace(line)), err
}

// say prints one line.
func (d *dialog) say(format string, a ...any) {
	_, _ = fmt.Fprintf(d.terminal, format+"\n", a...)
}

// indented shows a file's text set off, made harmless line by line.
func indented(content []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(content) {
		b.WriteString("    " + printable(strings.TrimRight(string(line), "\r\n")) + "\n")
	}
	return b.String()
}
