package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// screen is a real terminal: tmux on a socket of its own, with a shell in it.
type screen struct {
	t      *testing.T
	socket string
}

func newScreen(t *testing.T, env ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed here")
	}
	home := t.TempDir()
	s := &screen{t, filepath.Join(home, "tmux")}
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

func (s *screen) poll(complaint string, ok func(string) bool) string {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		now := s.text()
		if ok(now) {
			return now
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s\n%s", complaint, now)
		}
		time.Sleep(20 * time.Millisecond)
	}
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

// The agent keeps its screen, a row beneath it is ours, the hotkey opens list and
// inspector, and the terminal is put back.
func TestBarDockInspector(t *testing.T) {
	s := newScreen(t)
	s.keys("agentvault demo --pace 1500ms", "Enter")
	bar := s.until("◆ 1 call", "agent: my SHOP_API_KEY")
	rows := strings.Split(strings.TrimRight(bar, "\n"), "\n")
	if last := rows[len(rows)-1]; !strings.Contains(last, "◆") || !strings.Contains(last, "^] view") {
		t.Errorf("the last row is %q", last)
	}
	s.keys("C-]")
	s.until("TIME", "VERDICT", "● shop")
	s.keys("C-]")
	s.until("coverage", "q back")
	s.keys("Enter")
	s.until("why      covered by shop")
	s.keys("q")
	s.until("agent: my SHOP_API_KEY", "^] view")
	end := s.until("6 calls · 4 injected", "2 endpoints without a service", "ready$")
	if !strings.Contains(end, "agent: look again") {
		t.Errorf("the agent's output is gone:\n%s", end)
	}
	s.restored()
}

// Whatever ends the session, the terminal is put back.
func TestTerminalIsPutBack(t *testing.T) {
	for _, tt := range []struct{ name, child, kill string }{
		{"child is killed", `sh -c 'echo $$ >pid; sleep 60'`, "KILL pid"},
		{"child leaves the alternate screen on", `sh -c 'printf "\033[?1049h\033[?25l\033[5;10r"; echo $$ >pid; sleep 60'`, "KILL pid"},
		{"agentvault gets SIGTERM", `sh -c 'echo $PPID >pid; sleep 60'`, "TERM pid"},
		{"agentvault gets SIGHUP", `sh -c 'echo $PPID >pid; sleep 60'`, "HUP pid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScreen(t)
			dir := t.TempDir()
			s.keys("cd "+dir, "Enter")
			write(t, filepath.Join(dir, "child"), "#!/bin/sh\n"+tt.child+"\n")
			_ = os.Chmod(filepath.Join(dir, "child"), 0o700)
			s.keys("agentvault run -- ./child", "Enter")
			s.until("◆ 0 calls")
			signal, file, _ := strings.Cut(tt.kill, " ")
			var pid []byte
			s.poll("no pid", func(string) bool {
				pid, _ = os.ReadFile(filepath.Join(dir, file))
				return len(pid) > 0
			})
			target := strings.TrimSpace(string(pid))
			if tt.child[len("sh -c 'echo $")] == 'P' {
				// The child script's parent is ./child, whose parent is agentvault.
				stat, err := os.ReadFile("/proc/" + target + "/stat")
				if err != nil {
					t.Skip("no /proc here")
				}
				target = strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[1]
			}
			if out, err := exec.Command("kill", "-"+signal, target).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			s.until("ready$", "agentvault")
			s.restored()
		})
	}
}

// A second terminal sees what happens in the first.
func TestWatch(t *testing.T) {
	s := newScreen(t)
	s.tmux("split-window", "-d", "-h", "sh")
	s.keys("agentvault demo --pace 1500ms", "Enter")
	s.until("◆ 1 call")
	s.tmux("send-keys", "-t", "1", "agentvault watch", "Enter")
	deadline := time.Now().Add(20 * time.Second)
	for {
		now := s.tmux("capture-pane", "-p", "-t", "1")
		if strings.Contains(now, "telemetry.example") && strings.Contains(now, "uncovered") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(now)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The pane of --ui split comes and goes with the session.
func TestSplit(t *testing.T) {
	s := newScreen(t)
	s.keys("agentvault demo --ui split --pace 700ms", "Enter")
	s.poll("no second pane", func(string) bool { return strings.Count(s.tmux("list-panes"), "\n") == 2 })
	s.until("6 calls · 4 injected")
	s.poll("the second pane stayed", func(string) bool { return strings.Count(s.tmux("list-panes"), "\n") == 1 })
}

func TestPanel(t *testing.T) {
	s := newScreen(t)
	s.keys("agentvault demo --ui panel --pace 700ms", "Enter")
	s.until("agent: order it", "● shop")
	s.until("6 calls · 4 injected", "ready$")
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
