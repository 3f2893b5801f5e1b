//go:build unix

package margin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	stdstrings "strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// rig is Run between a real child on a real PTY and a terminal that is the far end of another
// PTY: an emulator for what is shown, a record of every byte.
type rig struct {
	cooked  *unix.Termios // the line's settings before Run has it
	t       *testing.T
	term    *Terminal
	outer   *os.File // the terminal's side
	tty     *os.File // ours
	emu     *emulator
	changed chan struct{}
	rows    atomic.Pointer[[]string]
	pressed chan string
	asking  atomic.Bool
	ended   chan struct{}
	err     error // of Run, once ended is closed
	cancel  context.CancelFunc
	cmd     *exec.Cmd

	mu  sync.Mutex // on log: what is in it, the emulator shows
	log bytes.Buffer
}

// patience of a test: far beyond what any of them takes, on however busy a machine.
const patienceOfTests = time.Minute

func (r *rig) draw(rows ...string) {
	r.rows.Store(&rows)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// newRig starts argv under Run on a terminal of cols x height with one row of ours, "BAR".
func newRig(t *testing.T, cols, height int, argv ...string) *rig {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skipf("%s is not installed", argv[0])
	}
	r := &rig{t: t, changed: make(chan struct{}, 1), pressed: make(chan string, 8), ended: make(chan struct{}),
		emu: newEmulator(cols, height)}
	r.draw("BAR")
	outer, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no PTY: %v", err)
	}
	r.outer, r.tty = outer, tty
	if r.cooked, err = unix.IoctlGetTermios(int(tty.Fd()), termiosGet); err != nil {
		t.Fatal(err)
	}
	r.resizeOuter(cols, height)
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	r.term, err = New(Config{In: tty, Out: tty, PTY: master, Changed: r.changed, Keys: "a",
		HotkeyWait: 20 * time.Millisecond, Debounce: time.Millisecond, Asking: r.asking.Load,
		State: func(State) {},
		Rows:  func(int) []string { return *r.rows.Load() }, OnHotkey: func(key string) { r.pressed <- key }})
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(argv[0], argv[1:]...)
	r.cmd.Env = childEnv(t)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = slave, slave, slave
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go r.show()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		r.err = r.term.Run(ctx)
		close(r.ended)
	}()
	t.Cleanup(func() {
		cancel()
		r.cmd.Process.Kill()
		r.cmd.Wait()
		<-r.ended
		master.Close()
		tty.Close()
		outer.Close()
	})
	return r
}

// childEnv is an environment in which programs are as they come: not as somebody has set them up.
func childEnv(t *testing.T) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERM=xterm-256color", "PS1=$ ", "HISTFILE=",
		"VIMINIT=set nocompatible noswapfile viminfo=", "LC_ALL=C.UTF-8"}
}

// show feeds the emulator, as a terminal would.
func (r *rig) show() {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.outer.Read(buf)
		r.mu.Lock()
		r.emu.Write(buf[:n])
		r.log.Write(buf[:n])
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (r *rig) resizeOuter(cols, height int) {
	if err := pty.Setsize(r.outer, &pty.Winsize{Cols: uint16(cols), Rows: uint16(height)}); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emu.Resize(cols, height)
}

func (r *rig) typeIn(s string) {
	if _, err := io.WriteString(r.outer, s); err != nil {
		r.t.Fatal(err)
	}
}

// screen is what the terminal shows, trailing blanks cut.
func (r *rig) screen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, line := range stdstrings.Split(stdstrings.TrimSuffix(r.emu.String(), "\n"), "\n") {
		lines = append(lines, stdstrings.TrimRight(line, " \x00"))
	}
	return lines
}

// wait waits for ok.
func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for give := time.Now().Add(patienceOfTests); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(give) {
			r.t.Fatalf("%s: never came; the screen is\n%s", what, stdstrings.Join(r.screen(), "\n"))
		}
	}
}

// until waits for ok to hold of the screen. What a test asserts of a screen belongs in ok: a
// screen that is read once may be half drawn.
func (r *rig) until(what string, ok func(lines []string) bool) (lines []string) {
	r.t.Helper()
	r.wait(what, func() bool { lines = r.screen(); return ok(lines) })
	return lines
}

func (r *rig) untilLast(line string) []string {
	r.t.Helper()
	return r.until("last row "+line, func(lines []string) bool { return lines[len(lines)-1] == line })
}

func (r *rig) untilShown(text string) []string {
	r.t.Helper()
	return r.until(text, func(lines []string) bool { return stdstrings.Contains(stdstrings.Join(lines, "\n"), text) })
}

// asksUntil types a question until the answer is shown: a program hears of its new size when it
// likes, and draws over an answer that came before.
func (r *rig) asksUntil(question, answer string) {
	r.t.Helper()
	var again time.Time
	r.until(answer, func(lines []string) bool {
		if time.Now().After(again) {
			r.typeIn(question)
			again = time.Now().Add(2 * time.Second)
		}
		return stdstrings.Contains(stdstrings.Join(lines, "\n"), answer)
	})
}

// untilPrompt waits for a shell that reads, and for our row.
func (r *rig) untilPrompt() {
	r.t.Helper()
	r.until("the prompt and the bar", func(lines []string) bool {
		return slices.Contains(lines, "$") && lines[len(lines)-1] == "BAR"
	})
}

// untilWritten waits until the terminal has been sent text.
func (r *rig) untilWritten(text string) {
	r.t.Helper()
	r.wait(fmt.Sprintf("%q", text), func() bool { return stdstrings.Contains(r.written(), text) })
}

// untilHeld waits until the child has written text while the terminal is another's.
func (r *rig) untilHeld(text string) {
	r.t.Helper()
	r.wait("held: "+text, func() bool { return stdstrings.Contains(r.held(), text) })
}

func (r *rig) held() string {
	r.term.mu.Lock()
	defer r.term.mu.Unlock()
	return string(r.term.held)
}

// wantPressed waits for a press of the hotkey, and until another one would be taken.
func (r *rig) wantPressed(want string) {
	r.t.Helper()
	select {
	case key := <-r.pressed:
		if key != want {
			r.t.Errorf("pressed %q, want %q", key, want)
		}
	case <-time.After(patienceOfTests):
		r.t.Fatalf("%q was never pressed", want)
	}
	r.wait("the end of OnHotkey", func() bool { return len(r.term.hotkey) == 0 })
}

func (r *rig) written() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// end waits for Run, and until the terminal has all that it wrote: a terminal keeps the order.
func (r *rig) end() error {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patienceOfTests):
		r.t.Fatal("Run did not return")
	}
	const mark = "\x1b]7777;all was read\a"
	if _, err := io.WriteString(r.tty, mark); err != nil {
		r.t.Fatal(err)
	}
	r.untilWritten(mark)
	return r.err
}
