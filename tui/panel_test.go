package tui

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// newTestPanel is a panel of the session over n lines of output.
func newTestPanel(width, height, n int) *panel {
	p := newPanel(context.Background(), PanelConfig{Config: Config{
		Backlog: session(), Title: "build.sh", Template: template, Env: noColor,
		Now: func() time.Time { return noon.Add(20 * time.Second) },
	}})
	p.Update(tea.WindowSizeMsg{Width: width, Height: height})
	for i := range n {
		p.pane.take(fmt.Appendf(nil, "step %d: \x1b[1mok\x1b[0m\n", i))
	}
	return p
}

func TestPanelScreens(t *testing.T) {
	view := func(p *panel) func() string {
		return func() string { return sgr.ReplaceAllString(p.View(), "") }
	}
	p := newTestPanel(80, 24, 100)
	bothSizes(t, "panel", p, view(p))
	p = newTestPanel(80, 24, 3)
	p.cfg.Stay = true
	p.Update(childEndedMsg("status 7"))
	bothSizes(t, "panel-ended", p, view(p))
}

func TestPanelFitsEverySize(t *testing.T) {
	for _, width := range []int{1, 20, 40, 80, 300} {
		for _, height := range []int{1, 2, 3, 5, 11, 12, 24, 60} {
			rows := strings.Split(newTestPanel(width, height, 50).View(), "\n")
			if len(rows) != height {
				t.Errorf("%dx%d: %d rows", width, height, len(rows))
			}
			for _, row := range rows {
				if cells(row) != width {
					t.Errorf("%dx%d: a row of %d cells: %q", width, height, cells(row), row)
				}
			}
		}
	}
}

func TestPanelKeys(t *testing.T) {
	p := newTestPanel(80, 24, 100) // 14 rows of output
	top := func() string { return strings.TrimSpace(sgr.ReplaceAllString(p.pane.View()[0], "")) }
	for _, step := range []struct{ key, want string }{
		{"k", "step 85: ok"}, {"up", "step 84: ok"}, {"down", "step 85: ok"}, {"pgup", "step 72: ok"}, {"home", "step 0: ok"},
		{"up", "step 0: ok"}, {"pgdown", "step 13: ok"}, {"G", "step 86: ok"}, {"j", "step 86: ok"},
	} {
		press(p, step.key)
		if got := top(); got != step.want {
			t.Errorf("%s: the window begins with %q, want %q", step.key, got, step.want)
		}
	}
	press(p, "k")
	p.pane.take([]byte("more\nand more\n"))
	if got := top(); got != "step 85: ok" {
		t.Errorf("output came while scrolled: the window begins with %q", got)
	}
	press(p, "end")
	p.pane.take([]byte("last\n"))
	if rows := p.pane.View(); rows[len(rows)-1] != "last" {
		t.Errorf("following: the window ends with %q", rows[len(rows)-1])
	}
	// tab gives the keys to the list, and a filter takes letters that scroll.
	before := top()
	press(p, "tab", "k", "k")
	if top() != before || p.calls.calls.follow {
		t.Error("the list did not take the keys")
	}
	press(p, "tab", "/", "jkq", "enter")
	if p.calls.typed != "jkq" || top() != before {
		t.Errorf("filter: typed %q", p.calls.typed)
	}
	interrupted := false
	p.cfg.Interrupt = func() { interrupted = true }
	if msg := press(p, "ctrl+c")(); !interrupted || msg != nil {
		t.Errorf("ctrl+c: interrupted %v, message %v", interrupted, msg)
	}
	p.Update(childEndedMsg("status 130"))
	if _, ok := press(p, "ctrl+c")().(tea.QuitMsg); !ok {
		t.Error("ctrl+c after the end does not leave")
	}
}

// Wrapped lines scroll by rows, and a window that gets narrower keeps its first line.
func TestPaneWraps(t *testing.T) {
	p := newPane()
	p.resize(10, 3)
	for i := range 4 {
		p.take(fmt.Appendf(nil, "%d%s\n", i, strings.Repeat("x", 14)))
	}
	if got := p.View(); len(got) != 3 || got[1] != "3xxxxxxxxx" {
		t.Errorf("following: %q", got)
	}
	p.scroll(-1)
	if got := p.View(); got[0] != "2xxxxxxxxx" || got[2] != "3xxxxxxxxx" {
		t.Errorf("a row up: %q", got)
	}
	p.resize(5, 3)
	if got := p.View(); got[0] != "2xxxx" {
		t.Errorf("narrower: %q", got)
	}
	p.scroll(100)
	if !p.follow {
		t.Error("the end does not follow")
	}
	p.scroll(-100)
	if got := p.View(); got[0] != "0xxxx" {
		t.Errorf("the beginning: %q", got)
	}
}

// Whoever leaves the panel early gets the rest of the output as it is, and loses nothing.
func TestPaneLeaves(t *testing.T) {
	p := newPane()
	r, w := io.Pipe()
	go p.pump(r)
	_, _ = io.WriteString(w, "one\n\x1b[31mtwo")
	_, _ = io.WriteString(w, "") // the write above has been taken in once this returns
	var out bytes.Buffer
	for len(p.View()) < 2 || !strings.Contains(p.View()[1], "two") {
		<-p.changed
	}
	p.leave(&out)
	_, _ = io.WriteString(w, "\x1b[?25hthree\n")
	w.Close()
	<-p.ended
	if want := "one\n\x1b[31mtwo\x1b[0m\x1b[?25hthree\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
