package tui

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// pane is a window over a child's output. The output is taken in on a goroutine of its
// own, at the child's speed, and drawn at most once a frame: a child that prints a
// gigabyte waits for its parsing, never for the screen. Safe for concurrent use.
type pane struct {
	mu      sync.Mutex
	out     output
	through io.Writer // set when the panel is gone: output goes there, unread
	changed chan struct{}
	ended   chan struct{} // closed at the end of the output

	width, height int
	follow        bool
	line, row     int // the top of the window: a line, and a row of it
}

func newPane() *pane {
	return &pane{changed: make(chan struct{}, 1), ended: make(chan struct{}), follow: true, width: 80, height: 24}
}

// pump reads r to its end.
func (p *pane) pump(r io.Reader) {
	defer close(p.ended)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			p.take(buf[:n])
		}
		if err != nil { // a PTY says EIO where a pipe says EOF: either is the end
			return
		}
	}
}

func (p *pane) take(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.through != nil {
		_, _ = p.through.Write(b) // a terminal that is gone must not stop the child
		return
	}
	_, _ = p.out.Write(b)
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// changedMsg says that there is more output.
type changedMsg struct{}

// outputEndedMsg says that there will be no more.
type outputEndedMsg struct{}

// next waits for output, at most once a frame.
func (p *pane) next(ctx context.Context) tea.Msg {
	select {
	case <-p.changed:
	case <-p.ended:
		return outputEndedMsg{}
	case <-ctx.Done():
		return nil
	}
	select {
	case <-time.After(frame):
	case <-ctx.Done():
		return nil
	}
	return changedMsg{}
}

// leave hands the output over to w from here on, after what the window last showed.
func (p *pane) leave(w io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follow = true
	rows := p.view()
	for len(rows) > 0 && rows[len(rows)-1] == "" {
		rows = rows[:len(rows)-1]
	}
	if len(rows) > 0 {
		_, _ = io.WriteString(w, strings.Join(rows, "\n"))
		if len(p.out.cur) == 0 {
			_, _ = io.WriteString(w, "\n")
		}
	}
	p.through = w
}

// resize gives the window another size; the line at its top stays there.
func (p *pane) resize(width, height int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if width != p.width {
		p.row = 0
	}
	p.width, p.height = max(width, 1), max(height, 1)
}

// View is the rows of the window, fewer than its height where there are no more.
func (p *pane) View() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view()
}

func (p *pane) view() []string {
	line, row := p.top()
	var rows []string
	for ; line < p.out.count() && len(rows) < p.height; line++ {
		wrapped := p.out.line(line).wrap(p.width)
		rows = append(rows, wrapped[min(row, len(wrapped)):]...)
		row = 0
	}
	return rows[:min(len(rows), p.height)]
}

// top is the upper edge of the window.
func (p *pane) top() (line, row int) {
	if p.follow {
		return p.up(p.end(), 0, p.height)
	}
	if p.line < p.out.first {
		return p.out.first, 0
	}
	return p.line, p.row
}

// end is the number behind the last line that shows something: the line that is being
// written counts once there is something in it.
func (p *pane) end() int {
	if len(p.out.cur) == 0 {
		return p.out.count() - 1
	}
	return p.out.count()
}

// up is n rows above row of line, or the first row there is.
func (p *pane) up(line, row, n int) (int, int) {
	for n > row && line > p.out.first {
		n -= row
		line--
		row = len(p.out.line(line).wrap(p.width))
	}
	return line, max(row-n, 0)
}

// scroll moves the window n rows down, or up. At the end it follows again.
func (p *pane) scroll(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, row := p.top()
	lastLine, lastRow := p.up(p.end(), 0, p.height)
	if n < 0 {
		p.line, p.row = p.up(line, row, -n)
		p.follow = p.line == lastLine && p.row == lastRow
		return
	}
	for ; n > 0 && line < lastLine; n-- {
		if row++; row >= len(p.out.line(line).wrap(p.width)) {
			line, row = line+1, 0
		}
	}
	row += n
	p.line, p.row = line, row
	p.follow = line > lastLine || line == lastLine && row >= lastRow
}

// home goes to the first line that is kept.
func (p *pane) home() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line, p.row, p.follow = p.out.first, 0, false
}

// toEnd follows the output.
func (p *pane) toEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follow = true
}

// following says whether the window shows the newest output.
func (p *pane) following() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.follow
}
