//go:build unix

package margin

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
	x := &tmux{t: t, sock: fmt.Sprintf("avmargin%d-%x", os.Getpid(), rand.Uint32())}
	t.Setenv("MARGIN_CHILD", "")
	t.Cleanup(func() { exec.Command("tmux", "-L", x.sock, "kill-server").Run() })
	x.do("new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(height), "-e", "LC_ALL=C.UTF-8", "-e", "PS1=$ ", "-e", "LESS=", "sh")
	x.do("set", "-g", "window-size", "manual")
	x.do("send-keys", "MARGIN_CHILD='"+child+"' "+self, "Enter")
	return x
}

func (x *tmux) do(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", x.sock, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return stdstrings.TrimRight(string(out), "\n")
}

func (x *tmux) ask(format string) string { return x.do("display", "-p", format) }

func (x *tmux) lines() []string { return stdstrings.Split(x.do("capture-pane", "-p"), "\n") }

func (x *tmux) until(what string, ok func() bool) {
	x.t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.t.Fatalf("%s: never came; region to %s, alternate %s, the pane is\n%s", what,
		x.ask("#{scroll_region_lower}"), x.ask("#{alternate_on}"), stdstrings.Join(x.lines(), "\n"))
}

func (x *tmux) untilShown(text string) {
	x.t.Helper()
	x.until(text, func() bool { return stdstrings.Contains(stdstrings.Join(x.lines(), "\n"), text) })
}

// untilBar waits until the last row is ours and the region ends above ours.
func (x *tmux) untilBar(height, ours int) {
	x.t.Helper()
	x.until("the bar", func() bool {
		lines := x.lines()
		return len(lines) == height && lines[height-1] == "BAR" && x.ask("#{scroll_region_lower}") == strconv.Itoa(height-ours-1)
	})
}

func TestTmuxBash(t *testing.T) {
	x := newTmux(t, 80, 14, "bash --norc", "bash")
	x.untilBar(14, 1)
	x.do("send-keys", "seq 1 200000; echo fin''ished", "Enter")
	x.untilShown("finished")
	x.untilBar(14, 1)
	if n, _ := strconv.Atoi(x.ask("#{history_size}")); n < 1000 {
		t.Errorf("the scrollback has %d lines", n)
	}
	x.do("send-keys", "C-]", "d")
	x.untilBar(14, 4)
	if lines := x.lines(); lines[10] != "dock 1" || lines[9] == "" || lines[8] != "finished" || lines[7] != "200000" {
		t.Errorf("with the dock: %q", lines)
	}
	x.do("send-keys", "C-]", "d")
	x.untilBar(14, 1)
	for _, size := range [][2]int{{80, 20}, {60, 10}, {100, 14}} {
		x.do("resize-window", "-x", strconv.Itoa(size[0]), "-y", strconv.Itoa(size[1]))
		x.untilBar(size[1], 1)
		if n := stdstrings.Count(x.do("capture-pane", "-p", "-S", "-100"), "BAR"); n != 1 {
			t.Errorf("after %v there are %d bars", size, n)
		}
		x.do("send-keys", "clear; stty size", "Enter")
		x.untilShown(fmt.Sprintf("%d %d", size[1]-1, size[0]))
		x.do("send-keys", "seq 1 50", "Enter")
		x.untilShown("50")
		x.untilBar(size[1], 1)
	}
	x.do("send-keys", "printf '\\033c\\033[!p\\033[2J\\033[999Hfoot'; read x", "Enter")
	// The command line itself holds the word as well: it is over once the screen is wiped.
	x.until("foot alone", func() bool {
		text := stdstrings.Join(x.lines(), "\n")
		return stdstrings.Contains(text, "foot") && !stdstrings.Contains(text, "printf")
	})
	x.untilBar(14, 1)
	x.do("send-keys", "Enter")
	x.until("the prompt", func() bool {
		return stdstrings.Contains(stdstrings.Join(x.lines(), "\n"), "\n$") || stdstrings.Contains(stdstrings.Join(x.lines(), "\n"), "\nbash")
	})
	x.do("send-keys", "exit", "Enter")
	x.until("the end", func() bool { return x.ask("#{scroll_region_lower}") == "13" })
	if stdstrings.Contains(x.do("capture-pane", "-p"), "BAR") {
		t.Error("the bar is left behind")
	}
}

func TestTmuxInspector(t *testing.T) {
	name := textFile(t)
	for child, needs := range map[string]string{"vim -u NONE -N " + name: "vim", "less " + name: "less", "htop": "htop", "bash --norc": "bash"} {
		t.Run(needs, func(t *testing.T) {
			x := newTmux(t, 80, 16, child, needs)
			x.untilBar(16, 1)
			if needs == "vim" || needs == "less" {
				x.untilShown("line 9")
				x.do("send-keys", "C-f")
				x.untilShown("line 20")
			}
			state := "#{cursor_flag} #{alternate_on} #{mouse_any_flag} #{keypad_cursor_flag}"
			if needs != "htop" { // which draws its clock meanwhile, with a cursor that is hidden
				state = "#{cursor_x},#{cursor_y} " + state
			}
			before, cursor := x.settled(), x.ask(state)
			x.do("send-keys", "C-]")
			x.untilShown("INSPECTOR")
			if lower := x.ask("#{scroll_region_lower}"); lower != "15" {
				t.Errorf("the inspector has a region to %s", lower)
			}
			if x.ask("#{mouse_any_flag}#{keypad_cursor_flag}") != "00" {
				t.Error("the inspector has the child's modes")
			}
			x.do("send-keys", "x")
			x.untilBar(16, 1)
			after := x.settled()
			if needs != "htop" && before != after { // htop shows the time
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
			if got := x.ask(state); got != cursor {
				t.Errorf("cursor and modes are %s, want %s", got, cursor)
			}
			x.do("resize-window", "-x", "70", "-y", "12")
			x.untilBar(12, 1)
			x.do("resize-window", "-x", "90", "-y", "20")
			x.untilBar(20, 1)
			x.do("send-keys", map[string]string{"vim": ":q!", "less": "q", "htop": "q", "bash": "exit"}[needs])
			x.do("send-keys", "Enter")
			x.until("the end", func() bool { return x.ask("#{scroll_region_lower} #{alternate_on}") == "19 0" })
		})
	}
}

// settled is the pane with its colours once it has stopped changing.
func (x *tmux) settled() string {
	last := ""
	for range 40 {
		now := x.do("capture-pane", "-p", "-e")
		if now == last {
			break
		}
		last = now
		time.Sleep(150 * time.Millisecond)
	}
	return last
}
