//go:build unix

package session

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile takes the file's lock or fails at once. It is held until the file is closed:
// Go opens with O_CLOEXEC, so no child inherits it.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// private says whether dir is a real folder of this user that nobody else may enter.
func private(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}

// escapeGlob makes a path match only itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
