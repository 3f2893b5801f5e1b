package event

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PartSize is how large a file of a log grows before the next one is begun: a few minutes at
// 2,000 calls a second, a month of a busy agent. Smaller parts are more files, larger ones
// more than an editor opens, and a long session's log is thrown away by whole parts.
const PartSize = 64 << 20

// Part is a file of a log. A log is one file, <session>.jsonl, until that is full; then come
// <session>.2.jsonl, <session>.3.jsonl and so on. The chain of the lines goes on from one
// to the next. Nothing is ever renamed: a reader that has one open reads on in it, and whenever
// a session is killed every line is in one file.
type Part struct {
	Path     string
	Number   int // counts from 1
	Size     int64
	Modified time.Time
}

// PartPath is the file of the nth part of the log at path.
func PartPath(path string, n int) string {
	if n == 1 {
		return path
	}
	stem, ok := strings.CutSuffix(path, ".jsonl")
	if !ok {
		return path + "." + strconv.Itoa(n)
	}
	return stem + "." + strconv.Itoa(n) + ".jsonl"
}

// CutPart takes the name of a file apart: that of the log's first part, and its number.
func CutPart(name string) (first string, number int) {
	stem, ok := strings.CutSuffix(name, ".jsonl")
	if !ok {
		return name, 1
	}
	i := strings.LastIndexByte(stem, '.')
	n, err := strconv.Atoi(stem[i+1:])
	if i <= 0 || err != nil || n < 2 || stem[i+1:] != strconv.Itoa(n) {
		return name, 1
	}
	return stem[:i] + ".jsonl", n
}

// Parts are the files that there are of the log at path, in their order; none is an error that
// wraps fs.ErrNotExist. The first ones may have been thrown away.
func Parts(path string) ([]Part, error) {
	if info, err := os.Stat(path); err == nil { // most logs are one file, and their folder may be large
		if _, err := os.Lstat(PartPath(path, 2)); errors.Is(err, fs.ErrNotExist) {
			return []Part{{Path: path, Number: 1, Size: info.Size(), Modified: info.ModTime()}}, nil
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	var all []Part
	for _, e := range entries {
		_, n := CutPart(e.Name())
		if !strings.HasSuffix(path, ".jsonl") {
			rest, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
			if n, err = strconv.Atoi(rest); !ok || err != nil || n < 2 {
				n = 1
			}
		}
		if PartPath(filepath.Base(path), n) != e.Name() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed since the folder was read
		}
		all = append(all, Part{Path: PartPath(path, n), Number: n, Size: info.Size(), Modified: info.ModTime()})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("log: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
	}
	slices.SortFunc(all, func(a, b Part) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// Open opens a log to be read from its beginning through all of its parts, as one stream.
func Open(path string) (io.ReadCloser, error) {
	parts, err := Parts(path)
	if err != nil {
		return nil, err
	}
	r := &partReader{parts: parts}
	return r, r.next()
}

// partReader reads one file after the other.
type partReader struct {
	parts []Part // those that come
	file  *os.File
}

func (r *partReader) next() error {
	f, err := os.Open(r.parts[0].Path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if r.file != nil {
		_ = r.file.Close() // it was read only
	}
	r.file, r.parts = f, r.parts[1:]
	return nil
}

func (r *partReader) Read(p []byte) (int, error) {
	for {
		n, err := r.file.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) || len(r.parts) == 0 {
			return n, err
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
}

func (r *partReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
