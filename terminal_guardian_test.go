//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// process is what /proc says of a process; ok is false when there is none, or a zombie.
func process(pid string) (name, parent string, ok bool) {
	name, state, parent := status(pid)
	return name, parent, state != "" && state != "Z"
}

// zombie says whether a process has ended and waits for its parent to ask.
func zombie(pid int) bool {
	_, state, _ := status(strconv.Itoa(pid))
	return state == "Z"
}

// status reads /proc; all of it is empty where there is no such process.
func status(pid string) (name, state, parent string) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
	if err != nil || end < 0 {
		return "", "", ""
	}
	f := strings.Fields(string(b[end+1:]))
	return string(b[open+1 : end]), f[0], f[1]
}

// childrenOf are the processes whose parent is pid, by name.
func childrenOf(pid string) map[string]string {
	found := make(map[string]string)
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		if name, parent, ok := process(filepath.Base(dir)); ok && parent == pid {
			found[name] = filepath.Base(dir)
		}
	}
	return found
}

// guarded is a session under a bar whose child has written its pid, its parent's and that of a
// process that does not want to end.
type guarded struct {
	*askScreen
	child, agentvault, stubborn, guardian string
	folders                               string // what is there of the session
	settings                              string // of the line, before
}

func newGuarded(t *testing.T, ui, draws string) *guarded {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	g := &guarded{askScreen: newAskScreen(t, `
(trap '' TERM HUP; : >set; while :; do sleep 600; done) &
until [ -e set ]; do sleep 0.05; done
`+draws+`
echo $$ $PPID $! >pids.new; mv pids.new pids
echo the child runs; sleep 600
`)}
	g.keys("stty -a >before; agentvault run --ui "+ui+" -- ./agent", "Enter")
	var pids []string
	poll(t, "no pids, or no guardian", func() string { b, _ := os.ReadFile(filepath.Join(g.dir, "pids")); return string(b) }, func(text string) bool {
		pids = strings.Fields(text)
		if len(pids) != 3 {
			return false
		}
		g.guardian = childrenOf(pids[1])["av-guard"]
		return g.guardian != ""
	})
	g.child, g.agentvault, g.stubborn = pids[0], pids[1], pids[2]
	g.folders = filepath.Join(g.home, "agentvault-*")
	if dirs, _ := filepath.Glob(g.folders); len(dirs) != 1 {
		t.Fatalf("the session's folders are %q", dirs)
	}
	b, _ := os.ReadFile(filepath.Join(g.dir, "before"))
	g.settings = string(b)
	return g
}

// gone waits until nothing is left of the session.
func (g *guarded) gone() {
	g.t.Helper()
	g.poll("something is left of the session", func(string) bool {
		for _, pid := range []string{g.child, g.agentvault, g.stubborn, g.guardian} {
			if _, _, ok := process(pid); ok {
				return false
			}
		}
		dirs, _ := filepath.Glob(g.folders)
		sockets, _ := filepath.Glob(filepath.Join(g.home, "avwatch-*", "*"))
		return len(dirs)+len(sockets) == 0
	})
}

// plain waits until the terminal is as a shell wants it, its line settings included.
func (g *guarded) plain() {
	g.t.Helper()
	g.poll("the terminal was not put back", func(string) bool {
		return strings.TrimSpace(g.tmux("display-message", "-p",
			"#{alternate_on} #{scroll_region_upper} #{scroll_region_lower} #{cursor_flag} #{mouse_any_flag} #{keypad_cursor_flag} #{keypad_flag} #{insert_flag} #{wrap_flag} #{origin_flag}")) ==
			"0 0 23 1 0 0 0 0 1 0"
	})
	g.keys("", "Enter")
	g.keys("clear; stty -a >after; echo shell is $((6*7))", "Enter")
	g.until("shell is 42")
	after, _ := os.ReadFile(filepath.Join(g.dir, "after"))
	if string(after) != g.settings || g.settings == "" {
		g.t.Errorf("the line's settings were\n%s\nand are\n%s", g.settings, after)
	}
}

func (g *guarded) kill() {
	g.t.Helper()
	pid, err := strconv.Atoi(g.agentvault)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		g.t.Fatal(err)
	}
}

// After kill -9 of agentvault the guardian puts the terminal back, ends what the child left
// and removes the session's files.
func TestGuardian(t *testing.T) {
	for _, tt := range []struct{ name, ui, draws, ready, shown string }{
		{"main screen", "bar", `printf 'text of the child\n\033[?1000;1006;2004h\033[?1h\033=\033[?25l\033[4h\033[?7l\033[2;9r\033[?6h\033[>1u\033[5;1H'`, "◆ 0 calls", "the child runs"},
		{"alternate screen", "bar", `printf 'text of the child\n\033[?1049h\033[2J\033[?1003;1006h\033[?25l\033[5;10r\033[3;3H'`, "◆ 0 calls", "the child runs"},
		{"a string without end", "bar", `printf 'text of the child\n\033]0;title'`, "◆ 0 calls", "text of the child"},
		{"panel", "panel", "", "VERDICT", "the child runs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuarded(t, tt.ui, tt.draws)
			g.until(tt.ready, tt.shown)
			g.kill()
			g.gone()
			now := g.poll("our rows are left", func(now string) bool {
				return !strings.Contains(now, "◆") && !strings.Contains(now, "VERDICT")
			})
			if tt.ui == "bar" && !strings.Contains(now, "text of the child") {
				t.Errorf("the child's text is gone:\n%s", now)
			}
			g.plain()
		})
	}
}

// The inspector is the guardian's business too.
func TestGuardianUnderTheInspector(t *testing.T) {
	g := newGuarded(t, "bar", "")
	g.until("◆ 0 calls")
	g.keys("C-]", "v")
	g.until("no calls yet", "q back")
	g.kill()
	g.gone()
	g.poll("the inspector is left", func(now string) bool { return !strings.Contains(now, "q back") })
	g.plain()
}

// A session that ends has no guardian any more, and one without a view has none at all.
func TestGuardianGoesWithTheSession(t *testing.T) {
	g := newGuarded(t, "bar", "")
	g.until("◆ 0 calls")
	pid, _ := strconv.Atoi(g.child)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.over("nothing went through the proxy")
	g.gone()
	g.plain()
	g.keys("clear; agentvault run --ui off -- sh -c 'cat /proc/$PPID/task/*/children >children; echo $$ >>children'; echo status $?", "Enter")
	g.until("status 0")
	b, err := os.ReadFile(filepath.Join(g.dir, "children"))
	if f := strings.Fields(string(b)); err != nil || len(f) != 2 || f[0] != f[1] {
		t.Errorf("without a view agentvault has the children %q, of which the last is the agent", f)
	}
}
