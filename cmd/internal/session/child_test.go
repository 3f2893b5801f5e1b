//go:build unix

package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain takes SIGHUP back where these tests were started with it ignored, as nohup does: their
// children would inherit that.
func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	os.Exit(m.Run())
}

func TestExitStatus(t *testing.T) {
	tests := []struct {
		script string
		want   int
	}{
		{"exit 0", 0}, {"exit 7", 7}, {"exit 255", 255},
		{"kill -TERM $$", 128 + 15}, {"kill -KILL $$", 128 + 9}, {"kill -HUP $$", 128 + 1},
	}
	for _, mode := range []Mode{Inherit, Group, PTY} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("mode %d/%s", mode, tt.script), func(t *testing.T) {
				c, err := Start(Options{Argv: []string{"sh", "-c", tt.script}, Env: cleanEnv(t), Mode: mode})
				if err != nil {
					t.Fatal(err)
				}
				if c.PTY() != nil {
					defer c.PTY().Close()
				}
				if got := c.Wait(); got != tt.want {
					t.Errorf("status %d, want %d", got, tt.want)
				}
				if err := c.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
					t.Errorf("signal after the end: %v", err)
				}
			})
		}
	}
}

// TestStreams shows that the child has our very files: no copy, no terminal, all bytes.
func TestStreams(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	data := strings.Repeat("\x00\xff\r\n", 1<<18)
	writeFile(t, in, data)
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	status, out := run(t, Options{Argv: []string{"cat"}, Env: cleanEnv(t), Stdin: stdin, Mode: Group})
	if status != 0 || out != data {
		t.Errorf("status %d, %d bytes of %d", status, len(out), len(data))
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("plain", "text", 0o644)
	file("binary", "\x7fnot a program", 0o755)
	file("lost", "#!/nowhere/interpreter\n", 0o755)
	file("works", "#!/bin/sh\nexit 3\n", 0o755)
	tests := []struct {
		name string
		argv []string
		dir  string
		want error
	}{
		{"not in PATH", []string{"no-such-command"}, "", ErrNotFound},
		{"no such file", []string{"./no-such-command"}, "", ErrNotFound},
		{"nothing", nil, "", ErrNotFound},
		{"only in our PATH", []string{"ls"}, "", ErrNotFound},
		{"not executable, in PATH", []string{"plain"}, "", ErrNotExecutable},
		{"not executable, by path", []string{filepath.Join(dir, "plain")}, "", ErrNotExecutable},
		{"a folder", []string{dir}, "", ErrNotExecutable},
		{"not a program", []string{"binary"}, "", ErrNotExecutable},
		{"no interpreter", []string{"lost"}, "", ErrNotExecutable},
		{"found in the child's PATH", []string{"works"}, "", nil},
		{"relative to Dir", []string{"./works"}, dir, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Start(Options{Argv: tt.argv, Env: []string{"PATH=" + dir}, Dir: tt.dir, Mode: Group})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && c.Wait() != 3 {
				t.Errorf("status %d, want 3", c.Wait())
			}
		})
	}
}

// A working directory that was removed is no reason not to find what PATH names.
func TestStartWhereNothingIs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Remove(dir); err != nil {
		t.Skip(err) // some systems keep a folder that is in use
	}
	c, err := Start(Options{Argv: []string{"sh", "-c", "exit 3"}, Env: []string{"PATH=" + os.Getenv("PATH")}, Mode: Group})
	if err != nil || c.Wait() != 3 {
		t.Errorf("got %v", err)
	}
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	s := strings.TrimSpace(string(state))
	return err == nil && s != "" && !strings.HasPrefix(s, "Z")
}

// eventually waits for a condition as long as the test may run.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// startScript starts a shell script and returns the pids that it prints, one a line.
func startScript(t *testing.T, mode Mode, script string, lines int) (*Child, []int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	env := append(cleanEnv(t), "AGENTVAULT_SESSION="+t.Name()+strconv.Itoa(os.Getpid()))
	c, err := Start(Options{Argv: []string{"sh", "-c", script}, Env: env, Stdout: w, Mode: mode})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.End(0) })
	if c.PTY() != nil {
		r.Close()
		r = c.PTY()
		t.Cleanup(func() { c.PTY().Close() })
	}
	var pids []int
	in := bufio.NewReader(r)
	for range lines {
		line, err := in.ReadString('\n')
		pid, err2 := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || err2 != nil {
			t.Fatalf("line %q: %v, %v", line, err, err2)
		}
		pids = append(pids, pid)
	}
	if c.PTY() != nil {
		go io.Copy(io.Discard, in)
	}
	return c, pids
}

// TestLeftovers: what the child leaves in its group ends with it, also what does not want
// to; and a sibling of ours in the same group is left alone.
func TestLeftovers(t *testing.T) {
	sibling := exec.Command("sleep", "1000")
	if err := sibling.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the parallel ones below
		if !alive(sibling.Process.Pid) {
			t.Error("a process that is not the child's was ended")
		}
		sibling.Process.Kill()
		sibling.Wait()
	})
	// HOME is the test's own folder: a file there says that the trap is set.
	const script = `sleep 1000 & echo $!; (trap '' TERM HUP; : >$HOME/set; while :; do sleep 1000; done) & echo $!
		until [ -e $HOME/set ]; do sleep 0.01; done; exit 5`
	for _, mode := range []Mode{Inherit, Group, PTY} {
		t.Run(fmt.Sprint("mode ", mode), func(t *testing.T) {
			t.Parallel()
			c, pids := startScript(t, mode, script, 2)
			if got := c.Wait(); got != 5 {
				t.Errorf("status %d, want 5", got)
			}
			for _, pid := range pids {
				eventually(t, "the end of what the child left", func() bool { return !alive(pid) })
			}
		})
	}
}

// TestEnd: a child that ignores SIGTERM, and a descendant in a session of its own.
func TestEnd(t *testing.T) {
	need(t, "setsid")
	const script = `trap '' TERM; setsid sleep 1000 & sleep 1000 & echo $$; echo $!; wait; while :; do sleep 1000; done`
	for _, mode := range []Mode{Inherit, Group, PTY} {
		t.Run(fmt.Sprint("mode ", mode), func(t *testing.T) {
			c, pids := startScript(t, mode, script, 2)
			eventually(t, "setsid runs", func() bool { return len(descendants(c.Pid())) >= 2 })
			for _, p := range descendants(c.Pid()) {
				pids = append(pids, p.pid)
			}
			c.End(100 * time.Millisecond)
			if got := c.Wait(); got != 128+9 {
				t.Errorf("status %d, want 137", got)
			}
			for _, pid := range pids {
				eventually(t, "the end of the tree", func() bool { return !alive(pid) })
			}
		})
	}
}

// TestEndAsks: a child that heeds SIGTERM has its own say, and gets it once.
func TestEndAsks(t *testing.T) {
	for _, mode := range []Mode{Inherit, Group, PTY} {
		c, _ := startScript(t, mode, `n=0; trap 'n=$((n+1))' TERM; echo $$; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.3; exit $((40+n))`, 1)
		c.End(time.Minute)
		if got := c.Wait(); got != 41 {
			t.Errorf("mode %d: status %d, want 41", mode, got)
		}
	}
}

func TestPTY(t *testing.T) {
	c, err := Start(Options{
		Argv: []string{"sh", "-c", `stty size; trap 'stty size' WINCH; tty >/dev/null && echo tty; read line; echo "got $line"; read line; exit 7`},
		Env:  cleanEnv(t), Mode: PTY, Rows: 33, Cols: 111,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.PTY().Close()
	defer c.End(0)
	in := bufio.NewReader(c.PTY())
	expect := func(want string) {
		t.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if strings.TrimSpace(line) == want {
				return
			}
		}
	}
	expect("33 111")
	expect("tty")
	io.WriteString(c.PTY(), "hello\r")
	expect("got hello")
	if err := c.Resize(20, 60); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c.PTY(), "\r") // dash runs a trap when read returns, and may fail the read for it
	expect("20 60")
	if got := c.Wait(); got != 7 {
		t.Errorf("status %d, want the shell's own 7", got)
	}
}

// TestHelperProcess is no test: it is agentvault for TestRelay, TestKilled and TestKeys.
func TestHelperProcess(t *testing.T) {
	role := os.Getenv("SESSION_TEST_ROLE")
	if role == "" {
		t.Skip("runs only as a child of other tests")
	}
	// No shell where signals are sent at once: dash forgets a SIGINT that comes while it forks.
	mode, argv := Inherit, []string{"sh", "-c", "echo ready; read line; echo resumed; exit 9"}
	switch role {
	case "group":
		mode, argv = Group, []string{"sleep", "1000"}
	case "stops itself":
		argv[2] = "kill -STOP $$; echo resumed; exit 9"
	}
	c, err := Start(Options{Argv: argv, Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Mode: mode, Relay: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("child %d\nwrapper %d\n", c.Pid(), os.Getpid())
	fmt.Printf("status %d\n", c.Wait())
}

func helper(role string) ([]string, []string) {
	return []string{os.Args[0], "-test.run=^TestHelperProcess$"}, append(os.Environ(), "SESSION_TEST_ROLE="+role)
}

// TestRelay: signals reach the child, and its death is told as a shell tells it.
func TestRelay(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		argv, env := helper("group")
		c, output := startPipedLines(t, Options{Argv: argv, Env: env, Mode: Group})
		wrapper := awaitPid(t, output, "wrapper ")
		if err := syscall.Kill(wrapper, sig); err != nil {
			t.Fatal(err)
		}
		await(t, output, fmt.Sprintf("status %d", 128+int(sig)))
		c.Wait()
	}
}

// TestKeys is a person at a terminal, under a shell with job control: a child that stops
// itself stops us, too, Ctrl-Z stops both once, fg resumes both, and Ctrl-C ends the child
// and leaves its status to us.
func TestKeys(t *testing.T) {
	tests := []struct {
		name, role string
		key        string // pressed when the child is ready
		stopped    string // what the shell sees first
		line       string // typed after fg
		status     string
	}{
		{"stops itself", "stops itself", "", "147", "", "status 9"}, // 128 + SIGSTOP
		{"Ctrl-Z", "reads", "\x1a", "148", "hello\r", "status 9"},   // 128 + SIGTSTP
		{"Ctrl-C", "reads", "\x03", "", "", "status 130"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			need(t, "bash")
			need(t, "stty")
			argv, env := helper(tt.role)
			// A key that signals also empties the terminal's output, after the signal: what the
			// programs have said to it by then would be lost now and again.
			script := fmt.Sprintf("stty noflsh; set -m; trap : INT; %s %s; echo shell saw $?", argv[0], argv[1])
			if tt.stopped != "" {
				script += "; fg; echo shell got $?"
			}
			c, err := Start(Options{Argv: []string{"bash", "-c", script}, Env: env, Mode: PTY})
			if err != nil {
				t.Fatal(err)
			}
			defer c.PTY().Close()
			defer c.End(0)
			output := lines(c.PTY())
			if tt.key != "" {
				await(t, output, "ready")
				io.WriteString(c.PTY(), tt.key)
			}
			if tt.stopped != "" {
				await(t, output, "shell saw "+tt.stopped)
				io.WriteString(c.PTY(), tt.line)
				await(t, output, "resumed")
			}
			await(t, output, tt.status)
			if got := await(t, output, "shell "); got != "got 0" && got != "saw 0" {
				t.Errorf("shell %s", got)
			}
			if got := c.Wait(); got != 0 {
				t.Errorf("the shell ended with %d", got)
			}
		})
	}
}

func startPipedLines(t *testing.T, o Options) (*Child, <-chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.Stdout, o.Stderr = w, w
	c, err := Start(o)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.End(0); r.Close() })
	return c, lines(r)
}

// lines reads until the end.
func lines(r io.Reader) <-chan string {
	ch := make(chan string, 100)
	go func() {
		defer close(ch)
		for in := bufio.NewScanner(r); in.Scan(); {
			// The terminal echoes the key.
			ch <- strings.TrimPrefix(strings.TrimRight(in.Text(), "\r"), "^C")
		}
	}()
	return ch
}

func await(t *testing.T, output <-chan string, prefix string) string {
	t.Helper()
	var all []string
	for line := range output {
		all = append(all, line)
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
	}
	t.Fatalf("no line begins with %q in %q", prefix, all)
	return ""
}

func awaitPid(t *testing.T, output <-chan string, prefix string) int {
	t.Helper()
	pid, err := strconv.Atoi(await(t, output, prefix))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
