package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrNoHead says that a log's lines belong together but that nothing tells which was the
// last: its session runs, or was killed before it could close the log.
var ErrNoHead = errors.New("no head: the session runs or was killed, so lines missing at the end would not show")

// VerifyLog checks the chain of the log at path. A *LineError names the first line that
// is not what was written, or behind which a line is missing.
// A file that ends too early or goes on behind its head is an error too. Without a head
// the lines that are there are checked all the same, and the error is ErrNoHead.
func VerifyLog(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	head, lines, headErr := readHead(headPath(path))
	if headErr != nil && !errors.Is(headErr, fs.ErrNotExist) {
		return headErr
	}
	prev, count := firstPrev, uint64(0)
	for line, err := range Lines(f, path) {
		if err != nil {
			return err
		}
		const before = `{"prev":"`
		text := line.Bytes
		if len(text) < len(before)+len(firstPrev) || string(text[:len(before)]) != before {
			return &LineError{Path: path, Line: line.Number, Err: errors.New("the line carries no hash of the one before it")}
		}
		if got := string(text[len(before) : len(before)+len(firstPrev)]); got != prev {
			return chainError(path, line.Number, count)
		}
		sum := sha256.Sum256(text)
		prev = hex.EncodeToString(sum[:len(firstPrev)/2])
		count++
	}
	switch {
	case headErr != nil:
		return fmt.Errorf("log: %s: %w", path, ErrNoHead)
	case count != lines:
		return fmt.Errorf("log: %s: %d lines, of which %d are left", path, lines, count)
	case prev != head:
		return &LineError{Path: path, Line: int(count), Err: errors.New("the last line was changed")}
	}
	return nil
}

// chainError names the line before the one at number, which does not fit it: an edit shows
// in the line that follows.
func chainError(path string, number int, before uint64) error {
	if before == 0 {
		return &LineError{Path: path, Line: number, Err: errors.New("lines before it were removed, or it was changed")}
	}
	return &LineError{Path: path, Line: number - 1, Err: errors.New("it was changed, or a line behind it was removed or added")}
}

// readHead reads the hash of the last line and the number of lines.
func readHead(path string) (hash string, lines uint64, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", 0, fmt.Errorf("log: %w", err)
	}
	if _, err := fmt.Fscanf(strings.NewReader(string(b)), "%16s %d\n", &hash, &lines); err != nil || len(hash) != len(firstPrev) {
		return "", 0, fmt.Errorf("log: %s: not a head", path)
	}
	return hash, lines, nil
}
