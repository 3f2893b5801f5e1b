//go:build unix

package margin

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	stdstrings "strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// rig is Run between a real child on a real PTY and a terminal that is the far end of another
// PTY: an emulator for what is shown, a record of every byte.
type rig struct {
	t       *testing.T
	term    *Terminal
	outer   *os.File // the terminal's side
	emu     vt10x.Terminal
	changed chan struct{}
	rows    atomic.Pointer[[]string]
	pressed chan string
	asking  atomic.Bool
	ended   chan struct{}
	err     error // of Run, once ended is closed
	cancel  context.CancelFunc
	cmd     *exec.Cmd

	mu  sync.Mutex
	log bytes.Buffer
}

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
		emu: vt10x.New(vt10x.WithSize(cols, height))}
	r.draw("BAR")
	outer, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no PTY: %v", err)
	}
	r.outer = outer
	r.resizeOuter(cols, height)
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	r.term, err = New(Config{In: tty, Out: tty, PTY: master, Changed: r.changed, Keys: "a",
		HotkeyWait: 20 * time.Millisecond, Debounce: time.Millisecond, Asking: r.asking.Load,
		Rows: func(int) []string { return *r.rows.Load() }, OnHotkey: func(key string) { r.pressed <- key }})
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(argv[0], argv[1:]...)
	r.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "PS1=$ ", "HISTFILE=", "LESS=", "VIMINIT=set nocompatible noswapfile viminfo=", "LC_ALL=C.UTF-8")
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

// show feeds the emulator, as a terminal would.
func (r *rig) show() {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.outer.Read(buf)
		r.mu.Lock()
		r.log.Write(buf[:n])
		r.mu.Unlock()
		r.emu.Write(onlyWhatVT10xKnows(buf[:n]))
		if err != nil {
			return
		}
	}
}

// onlyWhatVT10xKnows takes out sequences that vt10x mistakes for others: it reads CSI < u and
// CSI > u as "restore the cursor", CSI > m as "no attributes". They never come in halves here: we
// write them in one piece.
func onlyWhatVT10xKnows(p []byte) []byte {
	var out []byte
	for len(p) > 0 {
		if i := bytes.Index(p, []byte("\x1b[")); i >= 0 && i+2 < len(p) && (p[i+2] == '<' || p[i+2] == '>' || p[i+2] == '=') {
			end := bytes.IndexFunc(p[i+2:], func(c rune) bool { return c >= 0x40 })
			if end >= 0 {
				out = append(out, p[:i]...)
				p = p[i+2+end+1:]
				continue
			}
		}
		return append(out, p...)
	}
	return out
}

func (r *rig) resizeOuter(cols, height int) {
	if err := pty.Setsize(r.outer, &pty.Winsize{Cols: uint16(cols), Rows: uint16(height)}); err != nil {
		r.t.Fatal(err)
	}
	r.emu.Resize(cols, height)
}

func (r *rig) typeIn(s string) {
	if _, err := io.WriteString(r.outer, s); err != nil {
		r.t.Fatal(err)
	}
}

// screen is what the terminal shows, trailing blanks cut.
func (r *rig) screen() []string {
	var lines []string
	for _, line := range stdstrings.Split(stdstrings.TrimSuffix(r.emu.String(), "\n"), "\n") {
		lines = append(lines, stdstrings.TrimRight(line, " \x00"))
	}
	return lines
}

// until waits for ok to hold of the screen.
func (r *rig) until(what string, ok func(lines []string) bool) []string {
	r.t.Helper()
	for range 1000 {
		if lines := r.screen(); ok(lines) {
			return lines
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%s: never came; the screen is\n%s", what, stdstrings.Join(r.screen(), "\n"))
	return nil
}

func (r *rig) untilLast(line string) []string {
	r.t.Helper()
	return r.until("last row "+line, func(lines []string) bool { return lines[len(lines)-1] == line })
}

func (r *rig) untilShown(text string) []string {
	r.t.Helper()
	return r.until(text, func(lines []string) bool { return stdstrings.Contains(stdstrings.Join(lines, "\n"), text) })
}

func (r *rig) written() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// end waits for Run and for all that it wrote.
func (r *rig) end() error {
	r.t.Helper()
	select {
	case <-r.ended:
		time.Sleep(50 * time.Millisecond) // the emulator reads what is still in the PTY
		return r.err
	case <-time.After(20 * time.Second):
		r.t.Fatal("Run did not return")
		return nil
	}
}
