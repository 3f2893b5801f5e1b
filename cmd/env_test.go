package cmd

import (
	"path/filepath"
	"runtime"
	"testing"
)

// A home that is no absolute path would be a folder of the project: what stands there is no
// approval and no secret of the user's.
func TestFoldersNeedAHome(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("APPDATA has them")
	}
	for _, home := range []string{"", ".", "sub", "../x"} {
		env := Env{LookupEnv: func(name string) (string, bool) { return map[string]string{"HOME": home}[name], name == "HOME" }}
		for name, dir := range map[string]string{"config": env.configDir(), "state": env.stateDir(), "data": env.dataDir()} {
			if dir != "" {
				t.Errorf("HOME=%q: %s is %q", home, name, dir)
			}
		}
		s := newStores(env, noFD, func(string, ...any) {})
		if _, err := s.opened(s.file); err == nil {
			t.Errorf("HOME=%q: the file store of the working directory was opened", home)
		}
		if _, err := s.chain(t.Context()); err == nil {
			t.Errorf("HOME=%q: a store of the working directory was opened", home)
		}
	}
}

func TestSessionsDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("LOCALAPPDATA has it")
	}
	state, home := filepath.Join(t.TempDir(), "state"), t.TempDir()
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"XDG_STATE_HOME", map[string]string{"XDG_STATE_HOME": state, "HOME": home}, filepath.Join(state, "agentvault", "sessions")},
		{"HOME", map[string]string{"HOME": home}, filepath.Join(home, ".local", "state", "agentvault", "sessions")},
		{"a relative one is ignored", map[string]string{"XDG_STATE_HOME": "state", "HOME": home}, filepath.Join(home, ".local", "state", "agentvault", "sessions")},
	} {
		env := Env{LookupEnv: func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }}
		if got := env.sessionsDir(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
