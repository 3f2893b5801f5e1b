package dotenv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile is more than any file of variables has, in bytes.
const maxFile = 1 << 20

// Read parses the file at path. A pipe is read too; it can only not be replaced.
func Read(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	defer func() { _ = in.Close() }()
	content, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return Parse(path, content)
}

// cause leaves the path out, which the message has already.
func cause(err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file")
	case errors.As(err, &pe):
		return pe.Err
	}
	return err
}

// Without is the content with the values of these names taken out: the name is left
// with an empty value, and a comment on the line before it says where the value is now.
// Every other byte stays. refs maps names to what the comment says.
//
// The comment has a line of its own because python-dotenv takes `NAME= # text` for a
// value; for the same reason an empty pair of quotes stands before a comment that is
// there already.
func (f *File) Without(refs map[string]string) []byte {
	var out bytes.Buffer
	end := "\n"
	if bytes.Contains(f.content, []byte("\r\n")) {
		end = "\r\n"
	}
	done := 0
	for _, v := range f.Vars {
		ref, ok := refs[v.Name]
		if !ok {
			continue
		}
		out.Write(f.content[done:v.line])
		out.WriteString("# agentvault: " + ref + end)
		out.Write(f.content[v.line:v.from])
		if v.tail {
			out.WriteString(`""`)
		}
		done = v.to
	}
	out.Write(f.content[done:])
	return out.Bytes()
}

// Replace puts content in the place of the file that f was read from, whole or not at
// all, with its mode. It refuses a file that has changed since, and what is no plain file.
func (f *File) Replace(content []byte) error {
	if err := f.replace(content); err != nil {
		return fmt.Errorf("%s: %w", f.Path, cause(err))
	}
	return nil
}

func (f *File) replace(content []byte) (err error) {
	target, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a plain file, so its values stay")
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(content); err != nil {
		return err
	}
	if err = tmp.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	now, err := os.ReadFile(target)
	if err == nil && !bytes.Equal(now, f.content) {
		err = errors.New("changed while its values were being stored; they stay in it")
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), target)
}
