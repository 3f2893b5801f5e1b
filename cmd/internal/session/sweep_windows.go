package session

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the file's lock or fails at once. It is held until the file is closed.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
}

// private says whether dir is a real folder. Who may enter is the business of the user's
// profile on Windows, where the folder for temporary files is.
func private(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir()
}

// escapeGlob does nothing: Glob knows no escapes here, and paths hold no '*' or '?'.
func escapeGlob(path string) string { return path }
