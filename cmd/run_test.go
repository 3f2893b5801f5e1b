package cmd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentvault/cmd/internal/session"
)

// testEnv is a world of its own: a new home, nothing of the machine's environment but
// where programs are.
func testEnv(t *testing.T) Env {
	t.Helper()
	home := t.TempDir()
	vars := map[string]string{"HOME": home, "USERPROFILE": home, "PATH": os.Getenv("PATH"), "XDG_RUNTIME_DIR": filepath.Join(home, "run")}
	if err := os.Mkdir(vars["XDG_RUNTIME_DIR"], 0o700); err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	e := Env{Stdin: null, Stdout: null, Stderr: null, Dir: home, LookupEnv: func(n string) (string, bool) { v, ok := vars[n]; return v, ok }}
	for n, v := range vars {
		e.Environ = append(e.Environ, n+"="+v)
	}
	return e
}

// A panic, of a view or of a goroutine of the session, leaves no child, no file and no
// socket, and is told as an error.
func TestPanicClearsUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the child is a shell")
	}
	for _, tt := range []struct {
		name string
		do   func(l *live, child *session.Child)
	}{
		{"in the view", func(*live, *session.Child) { panic("of the view") }},
		{"in a goroutine", func(l *live, child *session.Child) {
			l.background(func() { panic("of a goroutine") })
			child.Wait()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := testEnv(t)
			pid := 0
			show := func(_ context.Context, l *live, environ []string) (int, error) {
				child, err := l.start(session.Options{Env: environ, Mode: session.Group})
				if err != nil {
					return 0, err
				}
				pid = child.Pid()
				tt.do(l, child)
				return child.Wait(), nil
			}
			o := sessionOptions{argv: []string{"sleep", "60"}, passphraseFD: noFD}
			err := protect(func() error { return runWith(t.Context(), env, o, show, nil) })
			if err == nil || !strings.Contains(err.Error(), "internal error: of ") || exitStatus(err) != statusFailed {
				t.Errorf("got %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(env.get("XDG_RUNTIME_DIR"), "*", "*"))
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			deadline := time.Now().Add(10 * time.Second)
			for exec.Command("sh", "-c", "kill -0 "+strconv.Itoa(pid)).Run() == nil {
				if time.Now().After(deadline) {
					t.Fatal("the child is still there")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}
