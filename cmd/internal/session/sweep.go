package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// newborn is how long a folder without a living owner is left alone: its owner may be
// between making the folder and taking the lock, which takes less than a millisecond.
const newborn = time.Minute

// createOwner makes the file that says whose the folder is, and locks it. The lock is what
// counts: the kernel lets go of it however the owner dies, a process id that is used again
// cannot hold it, and it holds between containers that share a folder but not their ids.
// The text is for a human who wonders.
func createOwner(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	// A file system without locks keeps its dead folders: Sweep gets no lock there either.
	_ = lockFile(file)
	_, err = fmt.Fprintf(file, "%d %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Sweep removes from parent ("" means DefaultParent) the folders of sessions whose owner is
// gone without having removed them, which only kill -9 and a crash of the machine do. It
// touches this user's folders only, never a living session's, and returns what it removed.
// What it cannot remove it leaves: it is housekeeping, and no reason not to start.
func Sweep(parent string) (removed []string) {
	if parent == "" {
		parent = DefaultParent(nil)
	}
	dirs, _ := filepath.Glob(filepath.Join(escapeGlob(parent), folderPrefix+"*"))
	for _, dir := range dirs {
		if abandoned(dir) && os.RemoveAll(dir) == nil {
			removed = append(removed, dir)
		}
	}
	return removed
}

// Reclaim removes the folder of a session that is known to have been killed, as Sweep would
// do a minute later. A folder whose owner lives stays.
func Reclaim(dir string) {
	if strings.HasPrefix(filepath.Base(dir), folderPrefix) && private(dir) && ownerless(dir) {
		_ = os.RemoveAll(dir) // the next Sweep tries again
	}
}

func abandoned(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && private(dir) && time.Since(info.ModTime()) >= newborn && ownerless(dir)
}

// ownerless says whether no living process has locked the folder.
func ownerless(dir string) bool {
	file, err := os.OpenFile(filepath.Join(dir, ownerName), os.O_RDWR, 0)
	if os.IsNotExist(err) {
		// The owner died before it wrote its name, or the folder is somebody else's who
		// likes the same prefix: only an empty one is surely ours.
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0
	}
	if err != nil {
		return false
	}
	defer file.Close()
	return lockFile(file) == nil
}
