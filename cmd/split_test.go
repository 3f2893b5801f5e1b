package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fakePrograms puts programs on PATH that write down how they were called and print answers.
func fakePrograms(t *testing.T, answer string, names ...string) (calls func() []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	for _, name := range names {
		script := "#!/bin/sh\n{ printf '%s' " + name + "; for a; do printf ' <%s>' \"$a\"; done; echo; } >>" + log + "\nenv >" + filepath.Join(dir, "env") + "\n" + answer + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() []string {
		b, _ := os.ReadFile(log)
		_ = os.Remove(log)
		if env, _ := os.ReadFile(filepath.Join(dir, "env")); strings.Contains(string(env), "SECRET") {
			t.Errorf("%v were given all of the environment", names)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func splitEnv(vars map[string]string) Env {
	return Env{LookupEnv: func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, ok
		}
		return os.LookupEnv(name)
	}}
}

func TestSplitters(t *testing.T) {
	for _, name := range []string{"TMUX", "TMUX_PANE", "ZELLIJ", "KITTY_WINDOW_ID", "KITTY_LISTEN_ON", "WEZTERM_PANE", "ITERM_SESSION_ID"} {
		t.Setenv(name, "")
	}
	t.Setenv("SECRET", "not for them")
	tests := []struct {
		name     string
		vars     map[string]string
		programs []string
		open     []string // how the programs are called
		shut     []string
	}{
		{"tmux", map[string]string{"TMUX": "/tmp/s,1,0", "TMUX_PANE": "%4"}, []string{"tmux"},
			[]string{"tmux <split-window> <-d> <-v> <-l> <33%> <-P> <-F> <#{pane_id}> <-t> <%4> <av it's> <watch>"},
			[]string{"tmux <kill-pane> <-t> <7>"}},
		{"zellij", map[string]string{"ZELLIJ": "0"}, []string{"zellij"},
			[]string{"zellij <run> <--direction> <down> <--close-on-exit> <--name> <agentvault> <--> <av it's> <watch>", "zellij <action> <move-focus> <up>"},
			[]string{""}},
		{"kitty", map[string]string{"KITTY_WINDOW_ID": "3", "KITTY_LISTEN_ON": "unix:@k"}, []string{"kitten", "kitty"},
			[]string{"kitten <@> <launch> <--match> <window_id:3> <--location> <hsplit> <--keep-focus> <--title> <agentvault> <av it's> <watch>"},
			[]string{"kitten <@> <close-window> <--match> <id:7>"}},
		{"kitty without kitten", map[string]string{"KITTY_WINDOW_ID": "3"}, []string{"kitty"},
			[]string{"kitty <@> <launch> <--match> <window_id:3> <--location> <hsplit> <--keep-focus> <--title> <agentvault> <av it's> <watch>"},
			[]string{"kitty <@> <close-window> <--match> <id:7>"}},
		{"WezTerm", map[string]string{"WEZTERM_PANE": "2"}, []string{"wezterm"},
			[]string{"wezterm <cli> <split-pane> <--pane-id> <2> <--bottom> <--percent> <33> <--> <av it's> <watch>", "wezterm <cli> <activate-pane> <--pane-id> <2>"},
			[]string{"wezterm <cli> <kill-pane> <--pane-id> <7>"}},
		{"a multiplexer in a terminal", map[string]string{"KITTY_WINDOW_ID": "3", "TMUX": "/tmp/s,1,0"}, []string{"tmux", "kitten"},
			[]string{"tmux <split-window> <-d> <-v> <-l> <33%> <-P> <-F> <#{pane_id}> <av it's> <watch>"},
			[]string{"tmux <kill-pane> <-t> <7>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := fakePrograms(t, "echo 7", tt.programs...)
			env := splitEnv(tt.vars)
			s := findSplitter(env)
			if s == nil {
				t.Fatal("nobody was found")
			}
			p, err := s.openPane(t.Context(), env, []string{"av it's", "watch"})
			if err != nil {
				t.Fatal(err)
			}
			if got := calls(); strings.Join(got, "\n") != strings.Join(tt.open, "\n") {
				t.Errorf("opened by %q, want %q", got, tt.open)
			}
			t.Setenv("PATH", "/nonexistent") // what the child does later changes nothing
			p.close()
			if got := calls(); strings.Join(got, "\n") != strings.Join(tt.shut, "\n") {
				t.Errorf("closed by %q, want %q", got, tt.shut)
			}
		})
	}
}

// iTerm2 gets words as arguments of a script that does not change with them.
func TestSplitITerm(t *testing.T) {
	calls := fakePrograms(t, "echo NEW", "osascript")
	env := splitEnv(map[string]string{"TMUX": "", "ZELLIJ": "", "KITTY_WINDOW_ID": "", "WEZTERM_PANE": "", "ITERM_SESSION_ID": "w0t1p0:UUID"})
	p, err := findSplitter(env).openPane(t.Context(), env, []string{"/a b/agentvault", "watch", `"; it's`})
	if err != nil {
		t.Fatal(err)
	}
	if got := calls()[0]; !strings.HasSuffix(got, `<end run> <UUID> <'/a b/agentvault' 'watch' '"; it'\''s'>`) || !strings.HasPrefix(got, "osascript <-e> <on run argv>") {
		t.Errorf("opened by %q", got)
	}
	p.close()
	if got := calls()[0]; !strings.HasSuffix(got, "<end run> <NEW>") || !strings.Contains(got, "tell s to close") {
		t.Errorf("closed by %q", got)
	}
}

// Who refuses, or is not there, is named, with what helps.
func TestSplitRefused(t *testing.T) {
	clean := map[string]string{"TMUX": "", "ZELLIJ": "", "WEZTERM_PANE": "", "ITERM_SESSION_ID": ""}
	clean["KITTY_WINDOW_ID"] = "3"
	env := splitEnv(clean)
	fakePrograms(t, "echo 'Remote control is disabled' >&2; exit 1", "kitten")
	_, err := findSplitter(env).openPane(t.Context(), env, []string{"av"})
	var h interface{ Hint() string }
	if err == nil || err.Error() != "split: kitty: Remote control is disabled" || !errors.As(err, &h) || !strings.Contains(h.Hint(), "allow_remote_control") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", "/nonexistent")
	_, err = findSplitter(env).openPane(t.Context(), env, []string{"av"})
	if err == nil || err.Error() != "split: kitty asks for panes with kitten or kitty, which is not in PATH" {
		t.Errorf("got %v", err)
	}
	clean["KITTY_WINDOW_ID"] = ""
	if s := findSplitter(env); s != nil {
		t.Errorf("%s was found where there is nobody", s.name)
	}
}
