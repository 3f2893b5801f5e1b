package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Trust remembers which project files the human approved, by path and by the SHA-256 of
// their content, in a file that only the user may write. A path may have several
// approved contents, one a branch for instance.
//
// It reads the file anew for each question and replaces it whole with each change. Two
// changes in the same instant may lose one of them, which is then asked for again.
type Trust struct{ dir, path string }

// NewTrust keeps the approvals in stateDir/trusted; stateDir is $XDG_STATE_HOME/agentvault.
// Where it is no absolute path, as without a home, nothing is approved and nothing can be: it
// would be looked for in the working directory, which is the project's.
func NewTrust(stateDir string) *Trust {
	if !filepath.IsAbs(stateDir) {
		return &Trust{}
	}
	return &Trust{stateDir, filepath.Join(stateDir, "trusted")}
}

// filed is a project's file as approvals name it: its folder by its real name, and the file's
// own. A file that is a link to another project's is not what was approved there.
func filed(path string) string {
	return filepath.Join(base(filepath.Dir(path)), filepath.Base(path))
}

var errNoFolder = &lack{"approvals: no folder for them: HOME is not set", "set HOME or XDG_STATE_HOME to an absolute path"}

// approval is one line of the file: `HASH "PATH"`.
type approval struct{ hash, path string }

// Approved reports whether this content was approved for this path. A store that cannot
// be read, or that others may write, has approved nothing.
func (t *Trust) Approved(path string, content []byte) bool {
	list, err := t.read()
	return err == nil && slices.Contains(list, approval{Hash(content), filed(path)})
}

// Approve remembers the content.
func (t *Trust) Approve(path string, content []byte) error {
	list, err := t.read()
	if err != nil {
		return err
	}
	a := approval{Hash(content), filed(path)}
	if slices.Contains(list, a) {
		return nil
	}
	if err := t.write(append(list, a)); err != nil {
		return err
	}
	return t.remember(t.rows(), path, content)
}

// Revoke forgets every content of the path and reports whether there was one.
func (t *Trust) Revoke(path string) (bool, error) {
	list, err := t.read()
	if err != nil {
		return false, err
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(a approval) bool { return a.path == filed(path) })
	if len(kept) == len(list) {
		return false, nil
	}
	return true, t.write(kept)
}

// Paths lists what has an approval, sorted, each once.
func (t *Trust) Paths() ([]string, error) {
	list, err := t.read()
	var out []string
	for _, a := range list {
		out = append(out, a.path)
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

func (t *Trust) read() ([]approval, error) {
	if t.dir == "" {
		return nil, nil
	}
	info, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Windows has no such bits.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, &lack{fmt.Sprintf("%s: others may write it (mode %#o)", t.path, info.Mode().Perm()), "chmod 600 " + t.path}
	}
	content, err := os.ReadFile(t.path)
	if err != nil {
		return nil, err
	}
	var out []approval
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		hash, quoted, _ := strings.Cut(lines.Text(), " ")
		path, err := strconv.Unquote(quoted)
		if err != nil || len(hash) != 64 {
			return nil, &lack{fmt.Sprintf("%s:%d: not an approval", t.path, n), "remove the file; approvals are asked for again"}
		}
		out = append(out, approval{hash, path})
	}
	return out, lines.Err()
}

func (t *Trust) write(list []approval) error {
	if t.dir == "" {
		return errNoFolder
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, a := range list {
		fmt.Fprintf(&b, "%s %s\n", a.hash, strconv.Quote(a.path))
	}
	return writeAtomic(t.path, b.Bytes(), 0o600)
}
