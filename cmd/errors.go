package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
)

// Exit statuses of our own, beside the child's.
const (
	statusUsage         = 2
	statusFailed        = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

// usageError is a mistake in the arguments.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// Hint says how it is written.
func (e *usageError) Hint() string { return e.hint }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// hinted is an error with its remedy.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is the remedy.
func (h *hinted) Hint() string { return h.hint }

func withHint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// status carries an exit status that is not an error of ours, such as the child's.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// configError marks what is wrong with a file or a secret that it names.
type configError struct{ error }

func (c *configError) Unwrap() error { return c.error }

// exitStatus is the one place where errors become numbers.
func exitStatus(err error) int {
	var (
		own      status
		usage    *usageError
		problems config.Problems
		file     *configError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return int(own)
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &file):
		return statusUsage
	case errors.Is(err, session.ErrNotFound):
		return statusNotFound
	case errors.Is(err, session.ErrNotExecutable):
		return statusNotExecutable
	}
	return statusFailed
}

// report prints err, every error of a joined one on lines of its own, each with its
// remedy. Text from outside is made harmless for the terminal.
func report(w io.Writer, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			report(w, e)
		}
		return
	}
	var own status
	if errors.As(err, &own) {
		return
	}
	if file, ok := err.(*configError); ok {
		report(w, file.error)
		return
	}
	fmt.Fprintf(w, "agentvault: %s\n", printable(err.Error()))
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		for line := range strings.SplitSeq(h.Hint(), "\n") {
			fmt.Fprintf(w, "agentvault: hint: %s\n", printable(line))
		}
	}
}

// startError says what helps with a command that did not start.
func startError(err error, argv []string) error {
	switch {
	case errors.Is(err, session.ErrNotFound) && argv[0] != "" && filepath.Base(argv[0]) == argv[0]:
		return withHint(err, "it was looked for in PATH; what only a shell knows is run by one: sh -c %s", shellWord(strings.Join(argv, " ")))
	case errors.Is(err, session.ErrNotExecutable) && errors.Is(err, fs.ErrNotExist):
		return withHint(err, "the interpreter that its first line names is not there")
	case errors.Is(err, syscall.ENOEXEC):
		return withHint(err, "it is a program for another system, or a script without a first line such as #!/bin/sh")
	}
	return err
}

func printable(s string) string { return event.Escape(s) }

// unwrapPath leaves the path out of the cause, where it stands a second time.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
