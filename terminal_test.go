//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// screen is a real terminal: tmux on a socket of its own, with a shell in it.
type screen struct {
	t            *testing.T
	home, socket string
}

func newScreen(t *testing.T, env ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed here")
	}
	home := t.TempDir()
	s := &screen{t, home, filepath.Join(home, "tmux")}
	bin := filepath.Dir(testBinary(t, "agentvault"))
	c := exec.Command("tmux", "-S", s.socket, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "24", "sh")
	c.Env = append(baseEnv(home), "PATH="+bin+":"+os.Getenv("PATH"), "PS1=ready$ ", "TERM=xterm-256color", "SHELL=/bin/sh", "ENV=", "XDG_RUNTIME_DIR=")
	c.Env = append(c.Env, env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("tmux does not start here: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", s.socket, "kill-server").Run() })
	s.until("ready$")
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v %s", args, err, out)
	}
	return string(out)
}

func (s *screen) keys(keys ...string) { s.tmux(append([]string{"send-keys"}, keys...)...) }

func (s *screen) text() string { return s.tmux("capture-pane", "-p") }

// until waits until the screen holds all of the texts.
func (s *screen) until(texts ...string) string {
	s.t.Helper()
	return s.poll("never showed "+strings.Join(texts, ", "), func(now string) bool {
		for _, want := range texts {
			if !strings.Contains(now, want) {
				return false
			}
		}
		return true
	})
}

// over waits until the shell has the terminal again, beneath all of the texts.
func (s *screen) over(texts ...string) string {
	s.t.Helper()
	return s.poll("it did not end with "+strings.Join(texts, ", "), func(now string) bool {
		for _, want := range texts {
			if !strings.Contains(now, want) {
				return false
			}
		}
		return lastRow(now) == "ready$"
	})
}

func (s *screen) poll(complaint string, ok func(string) bool) string {
	s.t.Helper()
	return poll(s.t, complaint, s.text, ok)
}

// poll waits for a text that is ok. What a test asserts of a screen belongs in ok: a screen that
// is read once may be half drawn. The limit is far beyond what any test takes, on however busy a
// machine.
func poll(t *testing.T, complaint string, text func() string, ok func(string) bool) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		now := text()
		if ok(now) {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\n%s", complaint, now)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lastRow is the last row that is not blank.
func lastRow(text string) string {
	rows := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return rows[len(rows)-1]
}

// restored checks that the terminal is as a shell wants it.
func (s *screen) restored() {
	s.t.Helper()
	s.poll("the terminal was not put back", func(string) bool {
		return strings.TrimSpace(s.tmux("display-message", "-p", "#{alternate_on} #{scroll_region_upper} #{scroll_region_lower} #{cursor_flag}")) == "0 0 23 1"
	})
	s.keys("clear; echo shell is $((6*7))", "Enter")
	s.until("shell is 42")
}

// shopService covers the one host that the agents of these tests ask with a credential.
const shopService = "[service.shop]\nhost = \"shop.example.test\"\nauth = \"bearer\"\nsecret = \"env:API_KEY\"\n"

// The agent keeps its screen, a row beneath it is ours, the hotkey opens list and
// inspector, and the terminal is put back.
func TestBarDockInspector(t *testing.T) {
	s := newAskScreen(t, `
echo "agent: look at me"
$agent get https://shop.example.test/account
read line
$agent get https://telemetry.example.test/events
echo "agent: look again"
read line
`)
	write(t, filepath.Join(s.dir, "av.toml"), shopService)
	s.keys("agentvault run --config av.toml -- ./agent", "Enter")
	s.poll("no bar with the call", func(now string) bool {
		last := lastRow(now)
		return strings.Contains(now, "agent: look at me") && strings.Contains(now, "hello from shop.example.test") &&
			strings.Contains(last, "◆ 1 call") && strings.Contains(last, "^] view")
	})
	s.keys("C-]")
	s.until("TIME", "VERDICT", "● shop")
	s.keys("C-]")
	s.until("coverage", "q back")
	s.keys("Enter")
	s.until("why      covered by shop")
	s.keys("q")
	s.until("agent: look at me", "^] view")
	s.keys("Enter")
	s.until("agent: look again", "⚠ 1 uncovered")
	s.keys("Enter")
	s.over("agent: look at me", "agent: look again", "2 calls · 1 injected", "1 endpoint without a service")
	s.restored()
}

// Whatever ends the session, the terminal is put back.
func TestTerminalIsPutBack(t *testing.T) {
	for _, tt := range []struct{ name, child, kill string }{
		{"child is killed", "", "KILL child"},
		{"child leaves the alternate screen on", `printf "\033[?1049h\033[?25l\033[5;10r"`, "KILL child"},
		{"agentvault gets SIGTERM", "", "TERM agentvault"},
		{"agentvault gets SIGHUP", "", "HUP agentvault"},
		{"agentvault gets SIGINT", "", "INT agentvault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Short sleeps: dash forgets a SIGINT that comes while it forks, and waits for what it forked.
			s := newAskScreen(t, tt.child+"\ntrap 'exit 130' INT\nsleep 600 &\necho $$ $PPID $! >pids.new; mv pids.new pids\necho the child runs; while :; do sleep 0.1; done\n")
			s.keys("agentvault run -- ./agent", "Enter")
			s.until("the child runs", "◆ 0 calls")
			signal, target, _ := strings.Cut(tt.kill, " ")
			pids, err := os.ReadFile(filepath.Join(s.dir, "pids"))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Fields(string(pids))
			pid := all[map[string]int{"child": 0, "agentvault": 1}[target]]
			if out, err := exec.Command("sh", "-c", "kill -"+signal+" "+pid).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			s.over("nothing went through the proxy")
			s.restored()
			s.poll("a process of the session is left", func(string) bool {
				return !slices.ContainsFunc(all, func(pid string) bool { _, _, ok := process(pid); return ok })
			})
		})
	}
}

// A second terminal sees what happens in the first.
func TestWatch(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://telemetry.example.test/events
read line
`)
	s.tmux("split-window", "-d", "-v", "sh")
	s.keys("agentvault run -- ./agent", "Enter")
	s.until("◆ 1 call")
	s.tmux("send-keys", "-t", "1", "agentvault watch", "Enter")
	poll(t, "the second terminal does not show it", func() string { return s.tmux("capture-pane", "-p", "-t", "1") }, func(now string) bool {
		return strings.Contains(now, "/events") && strings.Contains(now, "⚠ uncovered")
	})
	s.keys("Enter")
	s.over("1 call · ")
}

// The pane of --ui split comes and goes with the session.
func TestSplit(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://telemetry.example.test/events
read line
`)
	panes := func() string { return s.tmux("list-panes") }
	s.keys("agentvault run --ui split -- ./agent", "Enter")
	s.until("hello from telemetry.example.test")
	poll(t, "no second pane", panes, func(now string) bool { return strings.Count(now, "\n") == 2 })
	poll(t, "the second pane does not show it", func() string { return s.tmux("capture-pane", "-p", "-t", "1") }, func(now string) bool {
		return strings.Contains(now, "/events") && strings.Contains(now, "⚠ uncovered")
	})
	s.keys("Enter")
	s.over("1 call · ")
	poll(t, "the second pane stayed", panes, func(now string) bool { return strings.Count(now, "\n") == 1 })
}

func TestPanel(t *testing.T) {
	s := newAskScreen(t, `
echo "agent: order it"
$agent get https://shop.example.test/account
until [ -e go ]; do sleep 0.05; done
`)
	write(t, filepath.Join(s.dir, "av.toml"), shopService)
	s.keys("agentvault run --ui panel --config av.toml -- ./agent", "Enter")
	s.until("agent: order it", "● shop")
	write(t, filepath.Join(s.dir, "go"), "")
	s.over("agent: order it", "1 call · 1 injected")
	s.restored()
}

// Nothing asks the terminal anything at the start: a terminal that does not answer would
// make every start wait.
func TestSilentStart(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer master.Close()
	c := exec.Command(testBinary(t, "agentvault"), "run", "--", "true")
	c.Env = append(baseEnv(t.TempDir()), "TERM=xterm-256color", "SSL_CERT_FILE="+newUpstream(t).roots)
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	var written bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&written, master)
	}()
	err = c.Run()
	_ = slave.Close()
	<-done
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, query := range []string{"\x1b]11;?", "\x1b]10;?", "\x1b[6n", "\x1b[c"} {
		if bytes.Contains(written.Bytes(), []byte(query)) {
			t.Errorf("the start asks the terminal: %q in %q", query, written.String())
		}
	}
	if !strings.Contains(written.String(), "agentvault") {
		t.Errorf("no summary in %q", written.String())
	}
}
