//go:build unix

package cmd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A terminal that marks what is pasted is understood, and one that a question was put to shows
// nothing of the answer.
func TestPromptSecret(t *testing.T) {
	for _, tt := range []struct {
		name, keys, want string
		err              error
	}{
		{"typed", "typed value\r", "typed value", nil},
		{"pasted", "\x1b[200~pasted value\x1b[201~\r", "pasted value", nil},
		{"corrected", "typo\x15right\r", "right", nil},
		{"nothing", "\r", "", nil},
		{"^C", "half\x03", "", errInterrupted},
		{"^D", "\x04", "", errInterrupted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			human, tty, err := pty.Open()
			if err != nil {
				t.Skip(err)
			}
			defer func() { _ = tty.Close(); _ = human.Close() }()
			type answer struct {
				line []byte
				err  error
			}
			answers := make(chan answer, 1)
			go func() {
				line, err := promptSecret(tty, "value: ")
				answers <- answer{line, err}
			}()
			_ = human.SetReadDeadline(time.Now().Add(time.Minute))
			var shown []byte
			until := func(text string) {
				for b := make([]byte, 100); !bytes.Contains(shown, []byte(text)); {
					n, err := human.Read(b)
					if err != nil {
						t.Fatalf("%v after %q", err, shown)
					}
					shown = append(shown, b[:n]...)
				}
			}
			until("value: ")
			if _, err := human.WriteString(tt.keys); err != nil {
				t.Fatal(err)
			}
			got := <-answers
			if string(got.line) != tt.want || !errors.Is(got.err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got.line, got.err, tt.want, tt.err)
			}
			_, _ = tty.WriteString("end")
			until("end")
			if s := string(shown); tt.want != "" && strings.Contains(s, tt.want) || strings.Contains(s, "half") {
				t.Errorf("the terminal showed %q", s)
			}
		})
	}
}

// A descriptor has one answer: where it is wrong that is what is said, and not that the
// descriptor is empty by now.
func TestPassphraseOfDescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(path, []byte("first line\r\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := dup(f)
	if err != nil {
		t.Fatal(err)
	}
	ask := passphraseSource(Env{}, fd)
	if line, err := ask(context.Background(), false); string(line) != "first line" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
	for range 2 {
		if line, err := ask(context.Background(), false); line != nil || err != nil {
			t.Errorf("asked again: got %q, %v", line, err)
		}
	}
	ask = passphraseSource(Env{}, 1<<20)
	for range 2 {
		if _, err := ask(context.Background(), false); err == nil || !strings.Contains(err.Error(), "--passphrase-fd") {
			t.Errorf("a descriptor that is none: %v", err)
		}
	}
}

// dup is the descriptor that a shell would hand over: nobody else closes it.
func dup(f *os.File) (int, error) {
	defer func() { _ = f.Close() }()
	return unix.Dup(int(f.Fd()))
}
