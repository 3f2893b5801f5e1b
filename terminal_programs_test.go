//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inside is a program that people use, as the child of the real agentvault in a real terminal.
type inside struct {
	*askScreen
	height int
	moves  bool // it draws by itself: its screen is not compared
}

// newInside starts a command in a folder with these files, given as name and text (in which DIR
// is the folder), and "text".
func newInside(t *testing.T, program, command string, files ...string) *inside {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed here", program)
	}
	p := &inside{askScreen: newAskScreen(t, "true\n"), height: 24}
	var text strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&text, "line %d 漢字\n", i+1)
	}
	write(t, filepath.Join(p.dir, "text"), text.String())
	for i := 0; i+1 < len(files); i += 2 {
		path := filepath.Join(p.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.ReplaceAll(files[i+1], "DIR", p.dir))
	}
	p.tmux("set", "-g", "window-size", "manual")
	p.keys("agentvault run -- "+command+"; echo status $?", "Enter")
	return p
}

// shows waits until the rows of the child are ok, beneath them our bar and nothing else of ours,
// and the region ends above it.
func (p *inside) shows(what string, ok func(rows []string) bool) {
	p.t.Helper()
	p.poll("it never showed "+what, func(now string) bool {
		rows := strings.Split(strings.TrimSuffix(now, "\n"), "\n")
		return len(rows) == p.height && strings.HasPrefix(rows[p.height-1], "  ◆ 0 calls") &&
			!strings.Contains(strings.Join(rows[:p.height-1], "\n"), "◆") && ok(rows[:p.height-1]) && p.ask("#{scroll_region_lower}") == strconv.Itoa(p.height-2)
	})
}

func (p *inside) ask(format string) string {
	return strings.TrimSpace(p.tmux("display-message", "-p", format))
}

// last waits until the child's last rows that are not blank are these.
func (p *inside) last(want ...string) {
	p.t.Helper()
	p.shows(fmt.Sprintf("%q at the end", want), func(rows []string) bool {
		text := strings.TrimRight(strings.Join(rows, "\n"), "\n")
		return strings.HasSuffix("\n"+text, "\n"+strings.Join(want, "\n"))
	})
}

// asksUntil types a question until the answer is ok: a program hears of its new size when it likes,
// and draws over an answer that came before.
func (p *inside) asksUntil(what string, ok func(rows []string) bool, keys ...string) {
	p.t.Helper()
	var again time.Time
	p.shows(what, func(rows []string) bool {
		if time.Now().After(again) {
			p.keys(keys...)
			again = time.Now().Add(2 * time.Second)
			return false
		}
		return ok(rows)
	})
}

// cursor waits until the cursor is visible at a column: a program that draws hides it or has it
// elsewhere.
func (p *inside) cursor(column int) {
	p.t.Helper()
	p.shows(fmt.Sprintf("the cursor at column %d", column), func([]string) bool {
		return p.ask("#{cursor_flag} #{cursor_x}") == fmt.Sprintf("1 %d", column)
	})
}

func (p *inside) has(text string) {
	p.t.Helper()
	p.shows(text, func(rows []string) bool { return strings.Contains(strings.Join(rows, "\n"), text) })
}

func (p *inside) resize(cols, height int) {
	p.t.Helper()
	p.height = height
	p.tmux("resize-window", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(height))
	p.shows("the bar at its new place", func([]string) bool { return true })
}

// sizes are tried on every program: larger, smaller, and back.
var sizes = [][2]int{{120, 30}, {60, 12}, {100, 24}}

// inspect opens the inspector and closes it: the child's screen is as before, to the colour of
// each cell, and so are cursor and modes.
func (p *inside) inspect() {
	p.t.Helper()
	state := func(rows bool) string {
		text := p.ask("#{cursor_flag} #{alternate_on} #{mouse_any_flag} #{keypad_cursor_flag} #{keypad_flag}")
		if !rows {
			return text
		}
		cells := strings.Split(p.tmux("capture-pane", "-p", "-e"), "\n")
		return text + " " + p.ask("#{cursor_x},#{cursor_y}") + "\n" + strings.Join(cells[:p.height-1], "\n")
	}
	before := state(!p.moves)
	p.keys("C-]", "v")
	p.until("no calls yet", "q back")
	if got := p.ask("#{mouse_any_flag}#{keypad_cursor_flag} #{scroll_region_lower}"); got != "00 "+strconv.Itoa(p.height-1) {
		p.t.Errorf("the inspector has the child's modes or region: %s", got)
	}
	p.keys("q")
	p.shows("the child's screen again", func([]string) bool { return state(!p.moves) == before })
}

// ended waits for the shell, and for a terminal as it wants it.
func (p *inside) ended(status int) {
	p.t.Helper()
	p.over(fmt.Sprintf("status %d", status), "nothing went through the proxy")
	p.restored()
}

const childBash = `env PS1='child$ ' bash --norc`

func TestBash(t *testing.T) {
	p := newInside(t, "bash", childBash)
	p.last("child$")
	p.keys("stty size", "Enter")
	p.last("23 100", "child$")
	// Job control: what stands in the foreground is stopped, and goes on.
	p.keys("sh -c 'echo sta\"\"rted; exec sleep 600'", "Enter")
	p.last("started")
	p.keys("C-z")
	p.has("Stopped")
	p.keys("clear; fg", "Enter")
	p.shows("the job in the foreground", func(rows []string) bool { return strings.HasPrefix(rows[0], "sh -c") && rows[1] == "" })
	p.keys("C-c")
	p.last("child$")
	p.keys("echo status $?", "Enter")
	p.last("status 130", "child$")
	for _, size := range sizes {
		p.resize(size[0], size[1])
		p.keys("clear; stty size", "Enter")
		p.last(fmt.Sprintf("%d %d", size[1]-1, size[0]), "child$")
	}
	p.keys("seq 1 20000; echo do\"\"ne", "Enter")
	p.last("20000", "done", "child$")
	if n, _ := strconv.Atoi(p.ask("#{history_size}")); n < 1000 {
		t.Errorf("the scrollback has %d lines", n)
	}
	p.cursor(len("child$ "))
	p.inspect()
	p.keys("exit 3", "Enter")
	p.ended(3)
}

func TestVim(t *testing.T) {
	p := newInside(t, "vim", childBash)
	p.last("child$")
	p.keys("vim -u NONE -N -n +30 text", "Enter")
	cursor := func(text string, column int) {
		t.Helper()
		p.shows("the cursor at "+text, func(rows []string) bool {
			y, _ := strconv.Atoi(p.ask("#{cursor_y}"))
			return y < len(rows) && rows[y] == text && p.ask("#{alternate_on} #{cursor_flag} #{cursor_x}") == fmt.Sprintf("1 1 %d", column)
		})
	}
	cursor("line 30 漢字", 0)
	p.keys("Ohello", "Escape")
	cursor("hello", 4)
	p.keys("C-z")
	p.has("Stopped")
	p.keys("fg", "Enter")
	cursor("hello", 4)
	for _, size := range sizes {
		p.resize(size[0], size[1])
		p.asksUntil("its size", func(rows []string) bool { return rows[len(rows)-1] == fmt.Sprintf("  lines=%d", size[1]-1) }, ":set lines?", "Enter")
	}
	cursor("hello", 4)
	p.inspect()
	p.keys("G")
	cursor("line 20000 漢字", 0)
	p.inspect()
	p.keys(":wq", "Enter")
	p.last("child$")
	p.keys("exit", "Enter")
	p.ended(0)
	b, err := os.ReadFile(filepath.Join(p.dir, "text"))
	if err != nil || !strings.Contains(string(b), "\nhello\nline 30 ") {
		t.Errorf("what was typed did not arrive: %v", err)
	}
}

func TestLess(t *testing.T) {
	p := newInside(t, "less", "less -PsREADY text")
	page := func(first int) {
		t.Helper()
		p.shows(fmt.Sprintf("the page from line %d", first), func(rows []string) bool {
			return rows[0] == fmt.Sprintf("line %d 漢字", first) && rows[len(rows)-1] == "READY" &&
				p.ask("#{cursor_x},#{cursor_y}") == fmt.Sprintf("5,%d", len(rows)-1)
		})
	}
	page(1)
	p.keys("Space")
	page(23)
	for _, size := range sizes {
		p.resize(size[0], size[1])
		page(23)
	}
	p.inspect()
	p.keys("G")
	page(20000 - 21)
	p.inspect()
	p.keys("q")
	p.ended(0)
}

func TestHtop(t *testing.T) {
	p := newInside(t, "htop", "htop")
	p.moves = true
	drawn := func() {
		t.Helper()
		p.shows("all of it", func(rows []string) bool {
			return strings.HasPrefix(rows[len(rows)-1], "F1Help") && strings.Contains(strings.Join(rows, "\n"), "PID")
		})
	}
	drawn()
	p.keys("/")
	p.has("Search:")
	p.keys("nosuch")
	p.has("Search: nosuch")
	p.keys("Escape")
	drawn()
	for _, size := range sizes {
		p.resize(size[0], size[1])
		drawn()
	}
	p.inspect()
	p.keys("q")
	p.ended(0)
}

func TestTmux(t *testing.T) {
	p := newInside(t, "bash", "env -u TMUX tmux -S inner.sock -f inner.conf new-session 'sh inner'",
		"inner.conf", "set -g status-right ''\nset -g status-left INNER\nset -g mouse on\nset -g automatic-rename off\n", "inner", "exec "+childBash+"\n")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", filepath.Join(p.dir, "inner.sock"), "kill-server").Run() })
	ends := func(rows, want []string) bool {
		last := len(rows) - 1
		text := strings.TrimRight(strings.Join(rows[:last], "\n"), "\n")
		return strings.HasPrefix(rows[last], "INNER") && strings.HasSuffix("\n"+text, "\n"+strings.Join(want, "\n"))
	}
	inner := func(want ...string) {
		t.Helper()
		p.shows(fmt.Sprintf("%q above the inner status line", want), func(rows []string) bool { return ends(rows, want) })
	}
	inner("child$")
	p.keys("stty size", "Enter")
	inner("22 100", "child$")
	for _, size := range sizes {
		p.resize(size[0], size[1])
		want := []string{fmt.Sprintf("%d %d", size[1]-2, size[0]), "child$"}
		p.asksUntil(fmt.Sprintf("%q in the inner pane", want), func(rows []string) bool { return ends(rows, want) }, "clear; stty size", "Enter")
	}
	p.keys("seq 1 20000; echo do\"\"ne", "Enter")
	inner("20000", "done", "child$")
	p.cursor(len("child$ "))
	p.inspect()
	p.keys("vim -u NONE -N -n +30 text", "Enter")
	p.has("line 30 漢字")
	p.keys(":set lines?", "Enter")
	inner("  lines=22")
	p.cursor(0)
	p.inspect()
	p.keys(":q", "Enter")
	inner("20000", "done", "child$ vim -u NONE -N -n +30 text", "child$")
	p.keys("exit", "Enter")
	p.ended(0)
}
