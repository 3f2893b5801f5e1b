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

var (
	// ErrNoHead says that a log's lines belong together but that nothing tells which was the
	// last: its session runs, or was killed before it could close the log.
	ErrNoHead = errors.New("no head: the session runs or was killed, so lines missing at the end would not show")
	// ErrHeadGone says that a log is whole by what is known of it from elsewhere, and that the
	// head beside it was removed.
	ErrHeadGone = errors.New("its head was removed")
)

// Known is what is known of a log from elsewhere than from the files of the log itself. The
// zero Known knows nothing.
type Known struct {
	Head  string // the hash of the last line; empty where nobody saw it closed
	Lines uint64 // how many there were
	// Removed parts were thrown away, and Next is the hash that the first line behind them
	// carries.
	Removed int
	Next    string
}

// LineHash is what a line carries of the line before it, which is given without its newline.
func LineHash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:len(firstPrev)/2])
}

// VerifyLog checks the chain of the log at path. A *LineError names the first line that
// is not what was written, or behind which a line is missing.
// A log that ends too early or goes on behind its head is an error too. Without a head
// the lines that are there are checked all the same, and the error is ErrNoHead, or
// ErrHeadGone where known has one.
func VerifyLog(path string, known Known) error {
	parts, err := Parts(path)
	if err != nil {
		return err
	}
	head, lines, headErr := readHead(headPath(path))
	if headErr != nil && !errors.Is(headErr, fs.ErrNotExist) {
		return headErr
	}
	c := chain{prev: firstPrev}
	if first := parts[0].Number; first > 1 {
		switch {
		case first > known.Removed+1:
			return fmt.Errorf("log: %s: what stood before its part %d is gone, and not by log prune", path, first)
		case first == known.Removed+1:
			c.prev = known.Next
		default: // the removal was broken off
			c.prev = ""
		}
	}
	for i, p := range parts {
		if p.Number != parts[0].Number+i {
			return fmt.Errorf("log: %s: a part before it is gone", p.Path)
		}
		if err := c.part(p.Path, i == len(parts)-1); err != nil {
			return err
		}
	}
	whole := parts[0].Number == 1
	switch {
	case headErr != nil && known.Head == "":
		return fmt.Errorf("log: %s: %w", path, ErrNoHead)
	case headErr != nil:
		head, lines = known.Head, known.Lines
	case known.Head != "" && (known.Head != head || known.Lines != lines):
		return fmt.Errorf("log: %s: its head is not the one that was written when the session ended", headPath(path))
	}
	switch {
	case whole && c.count != lines:
		err = fmt.Errorf("log: %s: %d lines, of which %d are left", path, lines, c.count)
	case c.prev != head:
		err = &LineError{Path: parts[len(parts)-1].Path, Line: c.last, Err: errors.New("the last line was changed, or lines behind it were removed")}
	case headErr != nil:
		return fmt.Errorf("log: %s: %w", path, ErrHeadGone)
	}
	if err != nil && headErr != nil {
		return fmt.Errorf("%w; and %w", err, ErrHeadGone)
	}
	return err
}

// chain follows the lines of a log.
type chain struct {
	prev  string // that the next line must carry; empty takes what it carries
	count uint64
	last  int // the number of the last line in its file
}

// part follows one file. Only the last may end inside a line.
func (c *chain) part(path string, last bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	first := true
	for line, err := range Lines(f, path) {
		if errors.Is(err, ErrTorn) && !last {
			return &LineError{Path: path, Line: line.Number, Err: errors.New("the line was cut, and another part follows")}
		}
		if err != nil {
			return err
		}
		const before = `{"prev":"`
		text := line.Bytes
		if len(text) < len(before)+len(firstPrev) || string(text[:len(before)]) != before {
			return &LineError{Path: path, Line: line.Number, Err: errors.New("the line carries no hash of the one before it")}
		}
		if got := string(text[len(before) : len(before)+len(firstPrev)]); got != c.prev && c.prev != "" {
			return chainError(path, line.Number, first)
		}
		c.prev, c.last, first = LineHash(text), line.Number, false
		c.count++
	}
	return nil
}

// chainError names the line before the one at number, which does not fit it: an edit shows
// in the line that follows.
func chainError(path string, number int, first bool) error {
	if first {
		return &LineError{Path: path, Line: number, Err: errors.New("lines before it were removed, or one of the two was changed")}
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
