package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// TestMain lets this binary stand in for the commands that refs name.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "stub" {
		os.Exit(stub(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func stub(what string, args []string) int {
	switch what {
	case "cat": // FILE
		data, err := os.ReadFile(args[0])
		if err != nil {
			return 1
		}
		_, _ = os.Stdout.Write(data)
	case "stdin":
		data, _ := io.ReadAll(os.Stdin)
		fmt.Printf("%d bytes on stdin", len(data))
	case "args":
		fmt.Printf("%q", args)
	case "fail": // CODE STDOUT STDERR...
		fmt.Print(args[1])
		fmt.Fprintln(os.Stderr, strings.Join(args[2:], "\n"))
		code, _ := strconv.Atoi(args[0])
		return code
	case "escape":
		fmt.Fprintln(os.Stderr, "\x1b[2Jred")
		return 1
	case "flood":
		block := strings.Repeat("x", 1<<20)
		for range 8 {
			fmt.Print(block)
		}
	case "hang": // FILE: a grandchild holds stdout; FILE tells that both run
		cmd := exec.Command(os.Args[0], "stub", "hold", args[0])
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			return 1
		}
		time.Sleep(time.Hour)
	case "background": // FILE: the same, but the command itself ends well
		cmd := exec.Command(os.Args[0], "stub", "hold", args[0])
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			return 1
		}
		fmt.Print("value")
	case "hold": // FILE
		_ = os.WriteFile(args[0]+".part", []byte(strconv.Itoa(os.Getpid())), 0o600)
		_ = os.Rename(args[0]+".part", args[0])
		time.Sleep(time.Minute)
	}
	return 0
}

// ref makes a ref that runs the stub.
func ref(t *testing.T, words ...string) keyring.Ref {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := "exec:'" + exe + "' stub"
	for _, w := range words {
		line += " '" + w + "'"
	}
	r, err := keyring.ParseRef(line)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConformance(t *testing.T) {
	keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture {
		dir, n := t.TempDir(), 0
		ours := "an exit status says that a command gave nothing, not why: always ErrUnavailable"
		return keyringtest.Fixture{
			Backend: New(Config{}),
			Put: func(t *testing.T, value []byte) keyring.Ref {
				n++
				path := filepath.Join(dir, strconv.Itoa(n))
				if err := os.WriteFile(path, value, 0o600); err != nil {
					t.Fatal(err)
				}
				return ref(t, "cat", path)
			},
			Denied: func(t *testing.T) keyring.Ref {
				path := filepath.Join(dir, "not-executable")
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := keyring.ParseRef("exec:" + path)
				if err != nil {
					t.Fatal(err)
				}
				return r
			},
			Slow: func(t *testing.T) (keyring.Ref, <-chan struct{}) {
				up := filepath.Join(dir, "up")
				return ref(t, "hang", up), appears(t, up)
			},
			Broken: func(t *testing.T) keyring.Ref {
				return ref(t, "fail", "3", keyringtest.Sentinel, "cannot use "+keyringtest.Sentinel)
			},
			Down: func(t *testing.T) keyring.Ref {
				r, err := keyring.ParseRef("exec:agentvault-no-such-command")
				if err != nil {
					t.Fatal(err)
				}
				return r
			},
			Skip: map[string]string{
				"not found": ours, "429": ours,
				"field missing": "the whole output is the value",
				"certificate":   "the command's own affair",
			},
		}
	})
}

// appears returns a channel that is closed once path exists.
func appears(t *testing.T, path string) <-chan struct{} {
	found := make(chan struct{})
	go func() {
		for t.Context().Err() == nil {
			if _, err := os.Stat(path); err == nil {
				close(found)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return found
}

// The end of the context is the end of everything that the command started.
func TestKillsTheGroup(t *testing.T) {
	up := filepath.Join(t.TempDir(), "up")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := New(Config{}).Get(ctx, ref(t, "hang", up))
		done <- err
	}()
	<-appears(t, up)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	data, err := os.ReadFile(up)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// A command that ends well and leaves a process behind that holds its output is not
// waited for.
func TestBackgroundHolder(t *testing.T) {
	up := filepath.Join(t.TempDir(), "up")
	item, err := New(Config{}).Get(t.Context(), ref(t, "background", up))
	if err != nil || item.Value.Reveal() != "value" {
		t.Errorf("got %q, %v; want %q", item.Value.Reveal(), err, "value")
	}
	<-appears(t, up)
	data, err := os.ReadFile(up)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Kill()
}

func TestOutput(t *testing.T) {
	for _, c := range []struct{ name, output, want, expires string }{
		{"text", "token\n", "token", ""},
		{"two lines", "line one\nline two\n", "line one\nline two", ""},
		{"object", `{"value": "token"}`, "token", ""},
		{"object with expiry", `{"value": "token", "expires_at": "2026-01-02T15:04:05Z"}` + "\n", "token", "2026-01-02T15:04:05Z"},
		{"other keys", `{"value": "token", "kind": "x"}`, "token", ""},
		{"an object that is the secret itself", `{"type":"service_account","private_key":"k"}`, `{"type":"service_account","private_key":"k"}`, ""},
		{"value that is no string", `{"value": 7}`, `{"value": 7}`, ""},
		{"not quite JSON", `{value}`, `{value}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			item, err := parse([]byte(c.output))
			if err != nil || item.Value.Reveal() != c.want {
				t.Fatalf("got %q, %v; want %q", item.Value.Reveal(), err, c.want)
			}
			if c.expires == "" != item.Expires.IsZero() || !item.Expires.IsZero() && item.Expires.Format(time.RFC3339) != c.expires {
				t.Errorf("expires %s, want %s", item.Expires, c.expires)
			}
		})
	}
	for _, c := range []struct{ name, output, want string }{
		{"expiry in another form", `{"value":"v","expires_at":"2026-01-02 15:04"}`, `"2026-01-02 15:04": not a time`},
		{"a value in the expiry", `{"value":"v","expires_at":"` + keyringtest.Sentinel + `"}`, `"…": not a time`},
		{"empty value", `{"value":""}`, "value is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse([]byte(c.output)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		ref   keyring.Ref
		holds []string
		lacks []string
	}{
		{"what it said", ref(t, "fail", "3", "", "not signed in", "run op signin"), []string{"exit status 3", "not signed in / run op signin"}, nil},
		{"only the end", ref(t, "fail", "1", "", "one", "two", "three", "four", "five"), []string{"three / four / five"}, []string{"two"}},
		{"terminal sequences", ref(t, "escape"), []string{`\u001b[2Jred`}, []string{"\x1b"}},
		{"silence", ref(t, "fail", "4", "", ""), []string{"exit status 4, without a word on stderr"}, nil},
		{"its own output", ref(t, "fail", "1", "hunter22", "bad token hunter22"), []string{"bad token"}, []string{"hunter22"}},
		{"flood", ref(t, "flood"), []string{"wrote more than 1048576 bytes"}, []string{"xxx"}},
		{"quote", keyring.Ref{Scheme: "exec", Name: "op 'read"}, []string{"a quote is not closed"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Config{}).Get(t.Context(), c.ref)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.holds {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			for _, not := range c.lacks {
				if strings.Contains(err.Error(), not) {
					t.Errorf("error %q holds %q", err, not)
				}
			}
		})
	}
}

// Nothing of the command line reaches a shell, and nothing of our stdin the command.
func TestNoShellNoStdin(t *testing.T) {
	for _, c := range []struct {
		ref  keyring.Ref
		want string
	}{
		{ref(t, "args", "$HOME", "a b", "*", "; id"), `["$HOME" "a b" "*" "; id"]`},
		{ref(t, "stdin"), "0 bytes on stdin"},
	} {
		item, err := New(Config{}).Get(t.Context(), c.ref)
		if err != nil || item.Value.Reveal() != c.want {
			t.Errorf("got %s, %v; want %s", item.Value.Reveal(), err, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{`op read op://dev/github/token`, []string{"op", "read", "op://dev/github/token"}},
		{"  pass \t show  x ", []string{"pass", "show", "x"}},
		{`a 'b c' "d e" f'g h'i`, []string{"a", "b c", "d e", "fg hi"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`a "q\"b\\s\n" 'x\"'`, []string{"a", `q"b\s\n`, `x\"`}},
		{`C:\Tools\op.exe read`, []string{`C:\Tools\op.exe`, "read"}},
		{`"C:\Program Files\op.exe" x`, []string{`C:\Program Files\op.exe`, "x"}},
		{`a $HOME *.x | b > c & d`, []string{"a", "$HOME", "*.x", "|", "b", ">", "c", "&", "d"}},
	} {
		if got, err := Split(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Split(%s) = %q, %v; want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{"", "  ", "''", `""`, "a 'b", `a "b`, `a "b\"`} {
		if got, err := Split(line); err == nil {
			t.Errorf("Split(%s) = %q, want an error", line, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{`a 'b c' "d\"e"`, `''`, `"\`, "a\tb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err == nil && words[0] == "" {
			t.Errorf("Split(%q) = %q", line, words)
		}
		if err != nil {
			return
		}
		// Quoting every word gives the same words again.
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)+`"`)
		}
		again, err := Split(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("Split(%q) = %q; quoted: %q, %v", line, words, again, err)
		}
	})
}
