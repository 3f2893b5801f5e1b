//go:build unix

package margin

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	stdstrings "strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestMain lets the test binary be the program under test: MARGIN_CHILD holds a command to run
// with two rows of ours, ^] followed by d toggles a dock, ^] alone opens "INSPECTOR" until x.
func TestMain(m *testing.M) {
	if child := os.Getenv("MARGIN_CHILD"); child != "" {
		os.Exit(demo(child))
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // nohup ignores it, and children inherit that
	os.Exit(m.Run())
}

func demo(child string) int {
	master, slave, err := pty.Open()
	if err != nil {
		return 1
	}
	changed := make(chan struct{}, 1)
	dock := false
	var t *Terminal
	c := Config{In: os.Stdin, Out: os.Stdout, PTY: master, Changed: changed, Keys: "d",
		Rows: func(int) []string {
			if dock {
				return []string{"dock 1", "dock 2", "dock 3", "BAR"}
			}
			return []string{"BAR"}
		},
		OnHotkey: func(key string) {
			if key == "d" {
				dock = !dock
				changed <- struct{}{}
				return
			}
			t.Suspend(func() error {
				fmt.Print("\x1b[?1049h\x1b[2J\x1b[HINSPECTOR")
				b := make([]byte, 1)
				for b[0] != 'x' {
					if _, err := os.Stdin.Read(b); err != nil {
						break
					}
				}
				fmt.Print("\x1b[?1049l")
				return nil
			})
		}}
	if t, err = New(c); err != nil {
		return 1
	}
	cmd := exec.Command("sh", "-c", child)
	cmd.Env = append(os.Environ(), "MARGIN_CHILD=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return 1
	}
	slave.Close()
	if err := t.Run(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// tmux is a real terminal that can be asked what it shows, on a socket of its own.
type tmux struct {
	t    *testing.T
	sock string
	env  []string
}

func newTmux(t *testing.T, cols, height int, child string, needs ...string) *tmux {
	t.Helper()
	for _, program := range append(needs, "tmux") {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x := &tmux{t: t, sock: fmt.Sprintf("avmargin%d-%x", os.Getpid(), rand.Uint32()), env: childEnv(t)}
	t.Cleanup(func() { x.command("kill-server").Run() })
	x.do("new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(height), "sh")
	x.do("set", "-g", "window-size", "manual")
	x.until("the shell", func() bool { return x.line(0) != "" })
	x.do("send-keys", "MARGIN_CHILD='"+child+"' "+self, "Enter")
	return x
}

func (x *tmux) command(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-L", x.sock, "-f", "/dev/null"}, args...)...)
	c.Env = x.env
	return c
}

func (x *tmux) do(args ...string) string {
	x.t.Helper()
	out, err := x.command(args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return stdstrings.TrimRight(string(out), "\n")
}

func (x *tmux) ask(format string) string { return x.do("display", "-p", format) }

func (x *tmux) lines() []string { return stdstrings.Split(x.do("capture-pane", "-p"), "\n") }

// line is row i, "" below the last one that is not blank.
func (x *tmux) line(i int) string {
	if lines := x.lines(); i < len(lines) {
		return lines[i]
	}
	return ""
}

func (x *tmux) until(what string, ok func() bool) {
	x.t.Helper()
	for give := time.Now().Add(patienceOfTests); time.Now().Before(give); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	x.t.Fatalf("%s: never came; region to %s, alternate %s, the pane is\n%s", what,
		x.ask("#{scroll_region_lower}"), x.ask("#{alternate_on}"), stdstrings.Join(x.lines(), "\n"))
}

func (x *tmux) untilShown(text string) {
	x.t.Helper()
	x.until(text, func() bool { return stdstrings.Contains(stdstrings.Join(x.lines(), "\n"), text) })
}

// untilBar waits until the last row is ours, the region ends above ours, and the child's last
// lines that are not blank are these.
func (x *tmux) untilBar(height, ours int, last ...string) {
	x.t.Helper()
	x.until(fmt.Sprintf("the bar, and above it %q", last), func() bool {
		lines := x.lines()
		if len(lines) != height || lines[height-1] != "BAR" || x.ask("#{scroll_region_lower}") != strconv.Itoa(height-ours-1) {
			return false
		}
		child := stdstrings.Split(stdstrings.TrimRight(stdstrings.Join(lines[:height-ours], "\n"), "\n"), "\n")
		return len(child) >= len(last) && slices.Equal(child[len(child)-len(last):], last)
	})
}

// plainBash has the same prompt for everybody, root too.
const plainBash = `env PS1="$ " bash --norc`

func TestTmuxBash(t *testing.T) {
	x := newTmux(t, 80, 14, plainBash, "bash")
	x.untilBar(14, 1, "$")
	x.do("send-keys", "seq 1 200000; echo fin''ished", "Enter")
	x.untilBar(14, 1, "200000", "finished", "$")
	if n, _ := strconv.Atoi(x.ask("#{history_size}")); n < 1000 {
		t.Errorf("the scrollback has %d lines", n)
	}
	x.do("send-keys", "C-]", "d")
	x.untilBar(14, 4, "200000", "finished", "$")
	x.until("the dock", func() bool {
		lines := x.lines()
		return len(lines) == 14 && slices.Equal(lines[10:], []string{"dock 1", "dock 2", "dock 3", "BAR"})
	})
	x.do("send-keys", "C-]", "d")
	x.untilBar(14, 1, "finished", "$")
	for _, size := range [][2]int{{80, 20}, {60, 10}, {100, 14}} {
		x.do("resize-window", "-x", strconv.Itoa(size[0]), "-y", strconv.Itoa(size[1]))
		x.untilBar(size[1], 1)
		x.until("one bar, with the scrollback", func() bool {
			return stdstrings.Count(x.do("capture-pane", "-p", "-S", "-100"), "BAR") == 1
		})
		x.do("send-keys", "clear; stty size", "Enter")
		x.untilBar(size[1], 1, fmt.Sprintf("%d %d", size[1]-1, size[0]), "$")
		x.do("send-keys", "seq 1 50", "Enter")
		x.untilBar(size[1], 1, "49", "50", "$")
	}
	x.do("send-keys", "printf '\\033c\\033[!p\\033[2J\\033[999Hfoot'; read x", "Enter")
	// The command line itself holds the word as well: it is over once the screen is wiped.
	x.until("foot alone", func() bool {
		return slices.Equal(x.lines(), append(make([]string, 12), "foot", "BAR"))
	})
	x.untilBar(14, 1, "foot")
	x.do("send-keys", "Enter")
	x.untilBar(14, 1, "foot", "$")
	x.do("send-keys", "exit", "Enter")
	x.until("the end, without the bar", func() bool {
		return x.ask("#{scroll_region_lower}") == "13" && !stdstrings.Contains(x.do("capture-pane", "-p"), "BAR")
	})
}

func TestTmuxInspector(t *testing.T) {
	name := textFile(t)
	tests := []struct {
		program, child string
		ready          func(x *tmux) bool // the child has drawn its screen, all of it
		resized        string             // in its last row of 19: the child knows of its size
		quit           string
	}{
		{"vim", "vim -u NONE -N +20 " + name, func(x *tmux) bool {
			return x.line(13) == "line 20 漢字" && stdstrings.Contains(x.line(14), "100L") && x.ask("#{cursor_x},#{cursor_y} #{cursor_flag}") == "0,13 1"
		}, "", ":q!"},
		{"less", "less -PsREADY +20 " + name, func(x *tmux) bool {
			return x.line(0) == "line 20 漢字" && x.line(14) == "READY" && x.ask("#{cursor_x},#{cursor_y} #{cursor_flag}") == "5,14 1"
		}, "READY", "q"},
		{"bash", plainBash, func(x *tmux) bool {
			y, _ := strconv.Atoi(x.ask("#{cursor_y}"))
			return stdstrings.HasSuffix(x.line(y), "$") && x.ask("#{cursor_x} #{cursor_flag}") == "2 1"
		}, "", "exit"},
		{"htop", "htop", func(x *tmux) bool { return stdstrings.Contains(x.line(14), "F10") }, "F10", "q"},
	}
	for _, test := range tests {
		t.Run(test.program, func(t *testing.T) {
			x := newTmux(t, 80, 16, test.child, test.program)
			x.untilBar(16, 1)
			// The child's drawing wiped our row, which comes again after it.
			x.until("the child's screen, and our row", func() bool { return test.ready(x) && x.line(15) == "BAR" })
			// htop draws its clock meanwhile, with a cursor that is hidden.
			state := func() string { return x.ask("#{cursor_flag} #{alternate_on} #{mouse_any_flag} #{keypad_cursor_flag}") }
			if test.program != "htop" {
				state = func() string {
					return x.ask("#{cursor_x},#{cursor_y} #{cursor_flag} #{alternate_on} #{mouse_any_flag} #{keypad_cursor_flag}") + "\n" + x.do("capture-pane", "-p", "-e")
				}
			}
			before := state()
			x.do("send-keys", "C-]")
			x.untilShown("INSPECTOR")
			if got := x.ask("#{scroll_region_lower} #{mouse_any_flag}#{keypad_cursor_flag}"); got != "15 00" {
				t.Errorf("the inspector's region and modes are %s, want 15 00", got)
			}
			x.do("send-keys", "x")
			x.untilBar(16, 1)
			x.until("the screen, cursor and modes as before: "+before, func() bool { return state() == before })
			x.do("resize-window", "-x", "70", "-y", "12")
			x.untilBar(12, 1)
			x.do("resize-window", "-x", "90", "-y", "20")
			x.untilBar(20, 1)
			x.until("the new size", func() bool { return stdstrings.Contains(x.line(18), test.resized) })
			x.do("send-keys", test.quit)
			x.do("send-keys", "Enter")
			x.until("the end", func() bool { return x.ask("#{scroll_region_lower} #{alternate_on}") == "19 0" })
		})
	}
}
