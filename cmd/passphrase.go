package cmd

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"agentvault/keyring"
)

// noFD means that no --passphrase-fd was given.
const noFD = -1

// A passphrase file with more is not one.
const maxPassphrase = 4 << 10

// passphraseSource asks for the passphrase of the encrypted file: from a file descriptor
// where one was named, else from the terminal. Never from the environment, which every
// child inherits.
func passphraseSource(env Env, fd int) func(context.Context, bool) ([]byte, error) {
	if fd != noFD {
		closeOnExec(fd) // it may be read late, or never, and no child shall read it
		var asked bool  // the store calls once at a time
		var failed error
		return func(context.Context, bool) (line []byte, err error) {
			if asked {
				return nil, failed // nil: it was the wrong one, and there is no other
			}
			asked = true
			line, failed = readPassphrase(fd)
			return line, failed
		}
	}
	var ended bool // by ^C: one answer for all secrets
	return func(_ context.Context, create bool) (pass []byte, err error) {
		if ended {
			return nil, errInterrupted
		}
		defer func() { ended = errors.Is(err, errInterrupted) }()
		tty, err := openTerminal()
		if err != nil {
			return nil, withHint(fmt.Errorf("the encrypted file of secrets needs its passphrase and there is no terminal: %w", keyring.ErrLocked),
				"run it from a terminal, or hand the passphrase over: --passphrase-fd 3 3<FILE")
		}
		defer func() { _ = tty.Close() }()
		if !create {
			return promptSecret(tty, "agentvault: passphrase of the secret store: ")
		}
		fmt.Fprintln(tty, "agentvault: secrets will be encrypted under a passphrase of your choice; it cannot be recovered")
		first, err := promptSecret(tty, "agentvault: new passphrase: ")
		if err != nil {
			return nil, err
		}
		second, err := promptSecret(tty, "agentvault: once more: ")
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(first, second) != 1 {
			return nil, errors.New("the two passphrases differ")
		}
		return first, nil
	}
}

func readPassphrase(fd int) ([]byte, error) {
	f := os.NewFile(uintptr(fd), "passphrase")
	if f == nil {
		return nil, usagef("", "--passphrase-fd %d: no such file descriptor", fd)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return nil, usagef("open it in the shell: --passphrase-fd 3 3<FILE", "--passphrase-fd %d: %v", fd, errors.Unwrap(err))
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, usagef("", "--passphrase-fd %d: the first line is empty", fd)
	}
	return line, nil
}

// promptSecret reads a line without echo. The terminal is raw meanwhile, so that ^C is a
// key that ends the question, and not a signal that leaves the echo switched off.
func promptSecret(tty *os.File, prompt string) ([]byte, error) {
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(tty.Fd()), before) }()
	line, err := term.NewTerminal(tty, "").ReadPassword(prompt)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errInterrupted
	case errors.Is(err, term.ErrPasteIndicator): // with the line that was pasted
		err = nil
	}
	return []byte(line), err
}
