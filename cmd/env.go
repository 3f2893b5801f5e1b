package cmd

import (
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/term"
)

// Env is the world that a command runs in. Commands read nothing of the process behind
// its back, so that a test can give them another.
type Env struct {
	Stdin, Stdout, Stderr *os.File
	Environ               []string
	LookupEnv             func(string) (string, bool)
	Dir                   string           // the working directory
	Now                   func() time.Time // the clock of the views; time.Now when nil
}

// System is the process's own world.
func System() Env {
	dir, _ := os.Getwd() // without one, no project's file is looked for
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), LookupEnv: os.LookupEnv, Dir: dir}
}

func (e Env) get(name string) string {
	v, _ := e.LookupEnv(name)
	return v
}

// only is a small environment, for a program that needs no more.
func (e Env) only(names ...string) []string {
	var vars []string
	for _, n := range names {
		if v, ok := e.LookupEnv(n); ok {
			vars = append(vars, n+"="+v)
		}
	}
	return vars
}

func (e Env) home() string {
	if runtime.GOOS == "windows" {
		return e.get("USERPROFILE")
	}
	return e.get("HOME")
}

// folder is one of the user's folders: the XDG variable where it holds an absolute path
// (the specification says to ignore others), and the platform's custom otherwise.
func (e Env) folder(xdg, windows string, unix ...string) string {
	if dir := e.get(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "agentvault")
	}
	if dir := e.get(windows); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "agentvault")
	}
	home := e.home()
	if !filepath.IsAbs(home) { // a relative one would be found in the project's folder
		return ""
	}
	return filepath.Join(append(append([]string{home}, unix...), "agentvault")...)
}

// The user's folders; "" where the environment names no home, or one that is no absolute path.
func (e Env) configDir() string { return e.folder("XDG_CONFIG_HOME", "APPDATA", ".config") }
func (e Env) stateDir() string {
	return e.folder("XDG_STATE_HOME", "LOCALAPPDATA", ".local", "state")
}
func (e Env) dataDir() string { return e.folder("XDG_DATA_HOME", "LOCALAPPDATA", ".local", "share") }

func (e Env) sessionsDir() string { return filepath.Join(e.stateDir(), "sessions") }

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// interactive reports whether a human sits at both ends.
func (e Env) interactive() bool { return isTerminal(e.Stdin) && isTerminal(e.Stdout) }

// width is the terminal's, or 80 columns where there is none.
func width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

func (e Env) color(f *os.File) bool {
	return isTerminal(f) && e.get("NO_COLOR") == "" && e.get("TERM") != "dumb"
}
