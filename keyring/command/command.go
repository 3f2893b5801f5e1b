// Package command gets secrets from the standard output of commands, such as
// `exec:op read op://dev/github/token` or `exec:pass show github`.
//
// The command is started without a shell (see Split for the quoting), with /dev/null as
// its standard input, in a process group of its own which is killed when the context
// ends. It may therefore not ask anything on the terminal. Output that is a JSON object with
// a string "value" is read as {"value": ..., "expires_at": RFC 3339}; all other output is
// the value itself.
package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"agentvault/keyring"
)

const (
	// maxOutput is the largest value with room for its JSON.
	maxOutput = keyring.MaxValue + 4<<10

	// maxStderr is what is kept of what a command complains: its end.
	maxStderr = 4 << 10

	// reapDelay is how long a process that got away from its group may hold the pipes
	// open after the command has ended.
	reapDelay = 500 * time.Millisecond
)

// Config says what the commands are started with.
type Config struct {
	Env []string // nil means agentvault's own environment
	Dir string   // empty means the working directory
}

// Backend answers refs `exec:COMMAND ARGS`. It is safe for concurrent use.
type Backend struct{ c Config }

var _ keyring.Backend = (*Backend)(nil)

// New returns a backend that has started nothing.
func New(c Config) *Backend { return &Backend{c} }

// Get runs the command that ref.Name holds.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	words, err := Split(ref.Name)
	if err != nil {
		return keyring.Item{}, err
	}
	stdout, err := b.run(ctx, words)
	defer clear(stdout)
	if err != nil {
		return keyring.Item{}, err
	}
	return parse(stdout)
}

// run returns what the command wrote. On an error that is a part of it, to be cleared.
func (b *Backend) run(ctx context.Context, words []string) ([]byte, error) {
	stdout := &head{limit: maxOutput}
	stderr := &tail{limit: maxStderr}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env, cmd.Dir = b.c.Env, b.c.Dir
	cmd.Stdout, cmd.Stderr = stdout, stderr // Stdin nil is /dev/null
	cmd.WaitDelay = reapDelay
	ownGroup(cmd)
	err := cmd.Run()
	out := stdout.buf.Bytes()
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("%s: ended before it answered: %w", words[0], ctx.Err())
	case stdout.over:
		return out, fmt.Errorf("%s: wrote more than %d bytes", words[0], keyring.MaxValue)
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, and left something in the background
		return out, nil
	case err != nil:
		return out, failure(words[0], err, out, stderr.buf)
	}
	return out, nil
}

// failure says why a command gave no value. An exit status does not tell "no such secret"
// from "no network", so all of them are ErrUnavailable. A value that the command wrote before it
// failed, and repeated in its complaint, is not shown.
func failure(name string, err error, stdout, stderr []byte) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return keyring.WithHint(fmt.Errorf("%s: command not found: %w", name, keyring.ErrUnavailable),
			"install it, or write its whole path into the ref")
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: may not be executed: %w", name, keyring.ErrDenied)
	case !errors.As(err, &exit):
		return fmt.Errorf("%s: %w: %w", name, keyring.ErrUnavailable, err)
	}
	printed := keyring.NewSecret(bytes.TrimSpace(stdout))
	defer printed.Wipe()
	said := keyring.Excerpt(string(stderr), printed)
	if said == "" {
		return fmt.Errorf("%s: %s, without a word on stderr: %w", name, exit.ProcessState, keyring.ErrUnavailable)
	}
	return fmt.Errorf("%s: %s: %s: %w", name, exit.ProcessState, said, keyring.ErrUnavailable)
}

// parse reads a value out of what a command wrote.
func parse(stdout []byte) (keyring.Item, error) {
	var object struct {
		Value     *string `json:"value"`
		ExpiresAt string  `json:"expires_at"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(stdout), []byte("{")) ||
		json.Unmarshal(stdout, &object) != nil || object.Value == nil {
		return keyring.Received(stdout)
	}
	item, err := keyring.Received([]byte(*object.Value))
	if err != nil || object.ExpiresAt == "" {
		return item, err
	}
	item.Expires, err = time.Parse(time.RFC3339, object.ExpiresAt)
	if err != nil {
		item.Value.Wipe()
		return keyring.Item{}, fmt.Errorf("expires_at %q: not a time as in RFC 3339 (2026-01-02T15:04:05Z)", excerptTime(object.ExpiresAt))
	}
	return item, nil
}

// excerptTime keeps a value that was put into the wrong field out of an error.
func excerptTime(s string) string {
	if len(s) > len("2026-01-02T15:04:05.000000+00:00") || strings.Trim(s, "0123456789TZtz:.+- ") != "" {
		return "…"
	}
	return s
}

// head keeps the beginning of what is written to it.
type head struct {
	buf   bytes.Buffer
	limit int
	over  bool
}

func (h *head) Write(p []byte) (int, error) {
	room := h.limit - h.buf.Len()
	if len(p) > room {
		h.over = true
		h.buf.Write(p[:room])
		return len(p), nil // swallow the rest: a full pipe would stop the command
	}
	return h.buf.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - t.limit; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}
