package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

type remedy struct{ error }

func (remedy) Hint() string { return "agentvault secret set linear --host api.linear.app" }

// run lets a command of m have its say.
func run(t *testing.T, m *inspector, cmd tea.Cmd) {
	t.Helper()
	if cmd == nil {
		t.Fatal("no command")
	}
	m.Update(cmd())
}

// c shows what would be written, y writes it, and what went wrong stays on the screen
// with what helps.
func TestCoverFromTheInspector(t *testing.T) {
	m := newTestInspector(80, 30)
	var wrote []string
	fail := true
	m.cfg.Write = func(c Call, shown string) (string, error) {
		wrote = append(wrote, c.Method+" "+c.Host+c.Path+"\n"+shown)
		if fail {
			return "", remedy{errors.New("service \"linear\": keychain:linear: not stored\x1b[2J")}
		}
		return "wrote agentvault.toml; linear covers it from now on", nil
	}
	press(m, "g", "j", "j", "j", "j", "c")
	bothSizes(t, "cover", m, m.View)
	press(m, "x", "enter", "j") // not what was asked
	if len(wrote) != 0 || m.covering == nil {
		t.Fatalf("wrote %q", wrote)
	}
	cmd := press(m, "y")
	if press(m, "y") != nil || press(m, "n") != nil || m.covering == nil {
		t.Error("it can be asked twice, or left, while it is written")
	}
	run(t, m, cmd)
	bothSizes(t, "cover-failed", m, m.View)
	fail = false
	run(t, m, press(m, "y"))
	if m.covering != nil || !strings.Contains(m.View(), "linear covers it from now on") {
		t.Errorf("after it was written:\n%s", m.View())
	}
	shown := coverTOML(Call{Event: m.mustChosen(t).Event, Endpoint: m.mustChosen(t).Endpoint})
	if want := "POST api.linear.app/graphql\n" + shown; len(wrote) != 2 || wrote[0] != want || wrote[1] != want {
		t.Errorf("wrote %q, want %q twice", wrote, want)
	}
	press(m, "c", "n")
	if m.covering != nil || len(wrote) != 2 {
		t.Error("n writes")
	}
}

func (m *inspector) mustChosen(t *testing.T) *Call {
	t.Helper()
	c, ok := m.chosenCall()
	if !ok {
		t.Fatal("no call is chosen")
	}
	return c
}

func TestCoverRefuses(t *testing.T) {
	write := func(Call, string) (string, error) { t.Error("written"); return "", nil }
	for _, tt := range []struct {
		name   string
		change func(m *inspector)
		height int
		keys   []string
		want   string
	}{
		{"covered", nil, 24, []string{"g", "c"}, "nothing to cover"},
		{"a bypass", nil, 24, []string{"4", "c"}, "nothing to cover"},
		{"a covered endpoint", nil, 24, []string{"2", "end", "c"}, "nothing to cover"},
		{"watch", func(m *inspector) { m.cfg.Write = nil }, 24, []string{"g", "j", "j", "c"}, "only looks on"},
		{"nobody knows", func(m *inspector) { m.cfg.Cover = nil }, 24, []string{"g", "j", "j", "c"}, "no configuration"},
		{"too low", nil, 10, []string{"g", "j", "j", "c"}, "too low"},
	} {
		m := newTestInspector(80, tt.height)
		m.cfg.Write = write
		if tt.change != nil {
			tt.change(m)
		}
		press(m, tt.keys...)
		press(m, "y")
		press(m, tt.keys...)
		if m.covering != nil || !strings.Contains(m.View(), tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, m.View())
		}
	}
}

// A question is answered by the hotkey and a letter, never by a letter alone.
func TestInspectorAnswers(t *testing.T) {
	var got []string
	open := &Question{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds/7", Endpoint: "/v1/refunds/*", Reason: "rule stripe asks for POST /v1/refunds/*", Left: 41 * time.Second}
	m := newTestInspector(80, 24)
	m.cfg.Question = func() *Question { return open }
	m.cfg.Answer = func(key string) string { got = append(got, key); return "allowed once" }
	press(m, "g")
	for _, size := range [][2]int{{40, 16}, {120, 40}, {80, 24}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		golden(t, fmt.Sprintf("asking-%dx%d.txt", size[0], size[1]), m.View())
	}
	press(m, "o", "s", "d", "ctrl+]", "j", "o", "ctrl+]", "x", "d")
	if len(got) != 0 {
		t.Fatalf("answered %q", got)
	}
	press(m, "ctrl+]")
	run(t, m, press(m, "w"))
	if len(got) != 1 || got[0] != "w" || !strings.Contains(m.View(), "allowed once") {
		t.Errorf("answered %q\n%s", got, m.View())
	}
	// A late answer does nothing, and does not leave either: its letter is not the agent's.
	open = nil
	if press(m, "ctrl+]", "o") != nil || len(got) != 1 {
		t.Error("answered what nobody asked")
	}
	now := noon.Add(time.Hour)
	m.cfg.Now = func() time.Time { return now }
	if cmd := press(m, "ctrl+]"); cmd == nil {
		t.Error("the hotkey does not lead back")
	} else if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("the hotkey does not lead back")
	}
}

// The rows that a question takes are known before it is drawn.
func TestQuestionHeight(t *testing.T) {
	q := &Question{Method: "POST", Host: "api.stripe.com", Path: "/v1/refunds/7", Endpoint: "/v1/refunds/*", Reason: "rule stripe asks for it", Calls: 3, Waiting: 2, Left: time.Second}
	for _, width := range []int{1, 20, 36, 40, 59, 60, 80, 99, 100, 200} {
		got := q.Height(width)
		st := NewStyles(nil)
		rows := q.rows(&st, hotkey, width)
		if got != len(rows) || got > 3 || got < 1 {
			t.Errorf("%d columns: %d rows, want %d", width, got, len(rows))
		}
		if shown := strings.Join(rows, ""); width >= 36 && (!strings.Contains(shown, "refunds") || !strings.Contains(shown, "[o]") && !strings.Contains(shown, "o/s/w/d")) {
			t.Errorf("%d columns: %q", width, rows)
		}
	}
	if (*Question)(nil).Height(80) != 0 {
		t.Error("nothing takes rows")
	}
}
