//go:build unix

package margin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	stdstrings "strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func TestBash(t *testing.T) {
	r := newRig(t, 80, 12, "bash", "--norc")
	r.untilPrompt()
	r.typeIn("stty size\r")
	r.untilShown("11 80")
	r.typeIn("seq 1 5000; printf '%s\\n' do\"\"ne\r")
	r.until("the last lines, the prompt and our row", func(l []string) bool {
		return slices.Equal(l[8:], []string{"5000", "done", "$", "BAR"})
	})
	r.typeIn("clear; printf 'x\\033[999;999H\\033[Jy\\033[r\\033[1;1Hcle'ared; tput lines\r")
	r.until("999;999 is the child's last cell", func(l []string) bool {
		return l[0] == "cleared11" && l[10] == stdstrings.Repeat(" ", 79)+"y" && l[11] == "BAR"
	})
	r.typeIn("exit 3\r")
	if err := r.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if lines := r.screen(); slices.Contains(lines, "BAR") {
		t.Errorf("our row is left behind: %q", lines)
	}
	for _, question := range []string{"\x1b[6n", "\x1b]11;", "\x1b[c"} {
		if stdstrings.Contains(r.written(), question) {
			t.Errorf("the terminal was asked %q", question)
		}
	}
}

// A wrapper's rows come and go; the child's last line stays visible, and the screen is the child's
// again afterwards.
func TestGrowAndShrink(t *testing.T) {
	r := newRig(t, 40, 12, "bash", "--norc")
	r.untilPrompt()
	r.typeIn("seq 1 30\r")
	r.until("the prompt after the list", func(l []string) bool { return slices.Equal(l[9:], []string{"30", "$", "BAR"}) })
	r.draw("one", "two", "three", "BAR")
	want := []string{"24", "25", "26", "27", "28", "29", "30", "$", "one", "two", "three", "BAR"}
	r.until("four rows", func(l []string) bool { return slices.Equal(l, want) })
	r.typeIn("stty size\r")
	r.untilShown("8 40")
	r.draw("BAR")
	r.until("one row, and the prompt where it was", func(l []string) bool {
		return l[7] == "$" && l[8] == "" && l[10] == "" && l[11] == "BAR"
	})
	r.typeIn("clear; stty size\r")
	r.untilShown("11 40")
}

// What stands below the cursor is not covered when our rows grow.
func TestGrowKeepsTextBelowCursor(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `printf '\033[H\033[2J1\n2\n3\n4\n5\n6\n7\n8\n9\033[7;1H'; cat`)
	r.untilWritten("\x1b[7;1H")
	r.draw("x", "y", "BAR")
	want := []string{"3", "4", "5", "6", "7", "8", "9", "x", "y", "BAR"}
	r.until("three rows, and the child's above", func(l []string) bool { return slices.Equal(l, want) })
	r.typeIn("here")
	want[4] = "here"
	r.until("the cursor in its line", func(l []string) bool { return slices.Equal(l, want) })
}

func TestResize(t *testing.T) {
	r := newRig(t, 40, 12, "bash", "--norc")
	r.untilPrompt()
	r.typeIn("seq 1 30\r")
	r.until("the prompt after the list", func(l []string) bool { return slices.Equal(l[9:], []string{"30", "$", "BAR"}) })
	for _, size := range [][2]int{{40, 16}, {60, 9}, {30, 14}, {30, 5}, {40, 12}} {
		cols, height, rows := size[0], size[1], size[1]-1
		if height < MinHeight {
			rows = height
		}
		r.resizeOuter(cols, height)
		r.cmdWinch()
		r.wait("the size", func() bool { c, n := r.term.Size(); return c == cols && n == rows })
		r.typeIn("\rclear; stty size\r")
		r.until("the child's size, and our row", func(l []string) bool {
			return len(l) == height && slices.Equal(l[:2], []string{fmt.Sprintf("%d %d", rows, cols), "$"}) &&
				(l[height-1] == "BAR") == (rows < height) && !slices.Contains(l[:rows], "BAR")
		})
	}
}

// cmdWinch tells this process of a size that the kernel would signal to the foreground of In.
func (r *rig) cmdWinch() { _ = unix.Kill(os.Getpid(), unix.SIGWINCH) }

func textFile(t *testing.T) string {
	var b stdstrings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "line %d 漢字\n", i+1)
	}
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLess(t *testing.T) {
	r := newRig(t, 60, 12, "less", textFile(t))
	page := func(first, end string) {
		t.Helper()
		r.until("the page from "+first, func(l []string) bool {
			return l[0] == first && l[10] != "" && stdstrings.Contains(l[10], end) && l[11] == "BAR"
		})
	}
	page("line 1 漢字", "") // the file's name, or what fits of it
	r.typeIn(" ")
	page("line 11 漢字", ":")
	r.typeIn("G")
	page("line 91 漢字", "END")
	r.typeIn("q")
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestVim(t *testing.T) {
	name := textFile(t)
	r := newRig(t, 120, 14, "vim", "-u", "NONE", "--cmd", "set shortmess=tT", name) // a name of any length fits
	r.until("the file and our row", func(l []string) bool { return l[11] == "line 12 漢字" && l[13] == "BAR" })
	r.typeIn("\x06")
	r.untilShown("line 20")
	r.typeIn("30ddGojust this\x1b:w!\r")
	r.until("the file is written", func(l []string) bool { return stdstrings.Contains(l[12], "written") && l[13] == "BAR" })
	r.draw("one", "two", "BAR")
	r.until("three rows", func(l []string) bool { return slices.Equal(l[11:], []string{"one", "two", "BAR"}) })
	r.asksUntil(":set lines?\r", "lines=11")
	r.typeIn(":q!\r")
	if err := r.end(); err != nil {
		t.Error(err)
	}
	data, _ := os.ReadFile(name)
	if !stdstrings.HasSuffix(string(data), "just this\n") {
		t.Error("what was typed did not arrive")
	}
}

// After the inspector a child on the alternate screen finds its screen as it was, and what it
// drew meanwhile; it is not asked to draw again.
func TestSuspendAlternate(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `stty raw -echo
		printf '\033[?1049h\033[2J\033[?1002;1006h\033[?25l\033[3;5H\033[1;31mred\033[0m 漢字x\033[9;1Hstatus\033[5;5H'
		printf READY; head -c 1 >/dev/null; printf 'meanwhile'; head -c 1 >/dev/null; printf '\033[?1049l'`)
	r.untilShown("READY")
	before := r.untilLast("BAR")
	err := r.term.Suspend(func() error { // nothing of the child may be written from here on
		fmt.Fprint(r.term.c.Out, "\x1b[?1049h\x1b[2J\x1b[1;1HINSPECTOR\x1b[10;1Hlast row")
		r.untilShown("last row")
		if _, err := r.term.c.PTY.Write([]byte("g")); err != nil {
			t.Error(err)
		}
		r.untilHeld("meanwhile")
		if stdstrings.Contains(r.written(), "meanwhile") {
			t.Error("the child wrote over the inspector")
		}
		fmt.Fprint(r.term.c.Out, "\x1b[?1049l")
		return errors.New("from inside")
	})
	if err == nil || err.Error() != "from inside" {
		t.Errorf("Suspend: %v", err)
	}
	before[4] = stdstrings.Replace(before[4], "READY", "READYmeanwhile", 1)
	r.until(fmt.Sprintf("the screen as it was, %q", before), func(l []string) bool { return slices.Equal(l, before) })
	log := r.written()
	i := stdstrings.Index(log, "INSPECTOR")
	for _, off := range []string{"\x1b[?1002l", "\x1b[?1006l", "\x1b[?25h", "\x1b[r", "\x1b[?1049l"} {
		if !stdstrings.Contains(log[:i], off) {
			t.Errorf("before the inspector there was no %q", off)
		}
	}
	for _, on := range []string{"\x1b[?1002h", "\x1b[?1006h", "\x1b[?25l", "\x1b[1;9r", "\x1b[?1049h"} {
		if !stdstrings.Contains(log[i:], on) {
			t.Errorf("after the inspector there was no %q", on)
		}
	}
	r.typeIn("g")
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestSuspendMain(t *testing.T) {
	r := newRig(t, 40, 10, "bash", "--norc")
	r.untilPrompt()
	r.typeIn("echo o\"\"ne; read x; seq 100 120; echo tw\"\"o\r")
	r.untilShown("one")
	err := r.term.Suspend(func() error {
		if _, err := r.term.c.PTY.Write([]byte("\r")); err != nil {
			t.Error(err)
		}
		r.untilHeld("two\r\n")
		fmt.Fprint(r.term.c.Out, "\x1b[?1049h\x1b[2JINSPECTOR\x1b[?1049l")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The prompt comes after the output, and the bar when it may.
	r.until("the output, the prompt and the bar", func(l []string) bool {
		return slices.Equal(l[6:], []string{"120", "two", "$", "BAR"})
	})
	if n := stdstrings.Count(r.written(), "\n110\r"); n != 1 {
		t.Errorf("held output was shown %d times", n)
	}
}

// Beyond the limit old text goes, its effect stays.
func TestHoldLimit(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `stty -icanon -echo; printf go; head -c 1 >/dev/null
		printf '\033[?2004h\033[32m'; seq 1 20000; printf 'end of it'; head -c 1 >/dev/null`)
	r.term.c.HoldLimit = 4096
	r.untilShown("go")
	err := r.term.Suspend(func() error {
		if _, err := r.term.c.PTY.Write([]byte("g")); err != nil {
			t.Error(err)
		}
		r.wait("the end of the output", func() bool {
			held := r.held()
			if len(held) > 2*4096+64<<10 {
				t.Errorf("%d bytes are held", len(held))
			}
			return stdstrings.HasSuffix(held, "end of it")
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.until("the end of the output and the bar", func(l []string) bool { return slices.Equal(l[7:], []string{"20000", "end of it", "BAR"}) })
	if log := r.written(); !stdstrings.Contains(log, "\x1b[?2004h") || !stdstrings.Contains(log, "\x1b[32m") || stdstrings.Contains(log, "\n999\r") {
		t.Error("modes of the dropped text are missing, or it was not dropped")
	}
}

func TestHotkey(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `stty raw -echo; printf go; cat -v`)
	r.untilShown("go")
	r.typeIn("\x1da")
	r.wantPressed("a")
	r.typeIn("\x1d")
	r.wantPressed("")
	r.typeIn("\x1d\x1d-\x1b")
	r.untilShown("go^]-^[")
	select {
	case key := <-r.pressed:
		t.Errorf("pressed %q", key)
	default:
	}
}

// While something is asked the second key may take its time.
func TestHotkeyLingersWhileAsking(t *testing.T) {
	asking := false
	term := &Terminal{c: Config{HotkeyWait: 300 * time.Millisecond, Asking: func() bool { return asking }}}
	wait := func(want time.Duration) {
		t.Helper()
		if tv := term.wait(); tv == nil || time.Duration(tv.Nano()) != want {
			t.Errorf("asking %v: a key is waited for %v, want %v", asking, tv, want)
		}
	}
	if tv := term.wait(); tv != nil {
		t.Errorf("without the hotkey a key is waited for %v, want for ever", tv)
	}
	term.keys.armed = true
	wait(term.c.HotkeyWait)
	asking = true
	wait(lingerWait)
	term.keys.held = []byte("\x1b[9")
	wait(keyHold)
}

func TestAnswersReachTheChild(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `stty raw -echo; printf '\033[18t'; cat -v`)
	r.untilShown("^[[8;9;40t")
}

// Whatever ends Run, the terminal is as it was: cooked, no region, no modes of the child.
func TestRestored(t *testing.T) {
	script := `printf '\033[?1049h\033[?1000;2004;1004h\033[?25l\033[2;5r\033[>1u\033]0;never ending'; cat`
	tests := []struct {
		name string
		end  func(r *rig)
		want string
	}{
		{"killed", func(r *rig) { r.cmd.Process.Kill() }, ""},
		{"cancelled", func(r *rig) { r.cancel() }, context.Canceled.Error()},
		{"panic of Rows", func(r *rig) { r.rows.Store(nil); r.changed <- struct{}{} }, "panic"},
		{"panic of OnHotkey", func(r *rig) { close(r.pressed); r.typeIn("\x1da") }, "panic"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, 40, 10, "sh", "-c", script)
			r.until("the title", func([]string) bool { return stdstrings.Contains(r.written(), "never ending") })
			if raw, _ := unix.IoctlGetTermios(int(r.term.c.In.Fd()), termiosGet); raw.Lflag&unix.ICANON != 0 {
				t.Error("the terminal is not raw while the child runs")
			}
			test.end(r)
			err := r.end()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !stdstrings.Contains(err.Error(), test.want)) {
				t.Errorf("Run: %v, want %q", err, test.want)
			}
			after, _ := unix.IoctlGetTermios(int(r.term.c.In.Fd()), termiosGet)
			if *after != *r.cooked {
				t.Error("the terminal is not cooked as before")
			}
			log := r.written()
			log = log[stdstrings.LastIndex(log, "never ending"):]
			for _, want := range []string{"\x1b\\", "\x1b[?1000l", "\x1b[?2004l", "\x1b[?1004l", "\x1b[?25h", "\x1b[r", "\x1b[?1049l", "\x1b[<99u"} {
				if !stdstrings.Contains(log, want) {
					t.Errorf("the end lacks %q: %q", want, log)
				}
			}
		})
	}
}

// A child cannot keep us from painting: an OSC that does not end, a frame that does not end, a
// saved cursor are waited for only so long.
func TestForcedPainting(t *testing.T) {
	for name, out := range map[string]string{"string": `\033]0;x`, "frame": `\033[?2026h`, "saved": `\0337x`, "half": `\033[1`} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 40, 10, "sh", "-c", "printf 'go"+out+"'; cat")
			r.untilShown("go")
			r.draw("NEW")
			r.untilLast("NEW")
		})
	}
}

func TestReset(t *testing.T) {
	var b stdstrings.Builder
	if err := Reset(&b); err != nil {
		t.Fatal(err)
	}
	w := newWatch(80, 24, 24, 20, 1)
	w.bot = 22
	w.alt = 1
	w.saved[0] = savedPlace{row: 20, col: 1}
	w.feed([]byte(b.String()))
	if w.bot != 24 || w.alt != 0 || w.row != 20 {
		t.Errorf("region to %d, screen %d, row %d", w.bot, w.alt, w.row)
	}
}

// Whoever would put the terminal back after our death knows what it looks like.
func TestStateIsTold(t *testing.T) {
	r := newRig(t, 40, 10, "sh", "-c", `stty raw -echo; printf main; head -c 1 >/dev/null; printf '\033[?1047h\033[?6h'; head -c 1 >/dev/null; printf '\033[?6l\033[?1047l'; cat`)
	told := func() State {
		r.term.mu.Lock()
		defer r.term.mu.Unlock()
		return r.term.told
	}
	want := func(want State) {
		t.Helper()
		r.wait(fmt.Sprintf("the state %+v", want), func() bool { return told() == want })
	}
	r.untilShown("main")
	want(State{Rows: 9, Height: 10})
	r.draw("two", "BAR")
	want(State{Rows: 8, Height: 10})
	r.typeIn("x")
	want(State{Alternate: 1047, Rows: 8, Height: 10, Origin: true})
	if err := r.term.Suspend(func() error { want(State{Alternate: 1049, Rows: 10, Height: 10}); return nil }); err != nil {
		t.Fatal(err)
	}
	want(State{Alternate: 1047, Rows: 8, Height: 10, Origin: true})
	r.typeIn("x")
	want(State{Rows: 8, Height: 10})
}

// A line that a shell has made its own is left alone.
func TestRescueKeepsAShellsSettings(t *testing.T) {
	outer, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no PTY: %v", err)
	}
	defer outer.Close()
	defer tty.Close()
	rescue, err := NewRescue(tty)
	if err != nil {
		t.Fatal(err)
	}
	settings := func() unix.Termios {
		now, err := unix.IoctlGetTermios(int(tty.Fd()), termiosGet)
		if err != nil {
			t.Fatal(err)
		}
		return *now
	}
	cooked := settings()
	if _, err := term.MakeRaw(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := rescue.Do(tty); err != nil || settings() != cooked {
		t.Errorf("a raw line became %+v, want %+v (%v)", settings(), cooked, err)
	}
	editor := cooked
	editor.Lflag &^= unix.ICANON | unix.ECHO
	if err := unix.IoctlSetTermios(int(tty.Fd()), termiosSet, &editor); err != nil {
		t.Fatal(err)
	}
	if err := rescue.Do(tty); err != nil || settings() != editor {
		t.Errorf("a line editor's settings became %+v, want %+v (%v)", settings(), editor, err)
	}
}
