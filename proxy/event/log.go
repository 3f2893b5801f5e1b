package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// firstPrev is what the first line of a log says about the line before it.
const firstPrev = "0000000000000000"

// Log is the audit log of one session: a file of one JSON object a line, in the order in
// which Append was called. It is safe for concurrent use.
//
// Every event is one write(2) in append mode, so a reader sees whole lines and a killed
// session loses nothing that Append returned for. The file is not synced: a machine that
// loses its power may lose the last seconds.
//
// The lines are a chain. Each begins with "prev", the first 16 hexadecimal digits of the
// SHA-256 of the line before it (without its newline; zeros for the first), and Close
// keeps the hash of the last line, and how many there are, in a file beside the log.
// VerifyLog checks it. This shows a line that was edited, removed, added or moved; it does
// not stop somebody who may write both files from making up a whole new chain.
type Log struct {
	path    string
	buffers sync.Pool // of *[]byte, for one line each

	mu    sync.Mutex
	file  *os.File
	prev  [16]byte
	lines uint64
	size  int64  // bytes of whole lines
	lost  uint64 // events that could not be written, in all
	owed  uint64 // those that no line tells of yet
	torn  bool   // the file ends inside a line
}

// OpenLog creates the log of a session, <session>.jsonl in dir. The folder is made if
// need be and is closed to other users (0700), the file is new and 0600: a session that
// has a log already is an error that wraps fs.ErrExist.
func OpenLog(dir, session string) (*Log, error) {
	if session == "" || strings.HasPrefix(session, ".") || session != filepath.Base(session) || strings.ContainsAny(session, `/\`) {
		return nil, fmt.Errorf("log: %q is no session id", session)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	return CreateLog(filepath.Join(dir, session+".jsonl"))
}

// CreateLog creates a log at a path of the caller's choice. The folder must exist and the
// file must not.
func CreateLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &Log{file: f, path: path}
	copy(l.prev[:], firstPrev)
	return l, nil
}

// Path is the log's file.
func (l *Log) Path() string { return l.path }

// Lost counts the events that could not be written so far.
func (l *Log) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Append writes one event and returns when the kernel has it. An error, of a full disk
// for instance, is counted and returned; it does not end the log: what was half written
// is taken back, the next event is tried again, and the first that succeeds carries in
// "lost" how many are missing before it. The caller decides whether the session goes on.
func (l *Log) Append(e Event) error {
	buffer, ok := l.buffers.Get().(*[]byte)
	if !ok {
		first := make([]byte, 0, 1024)
		buffer = &first
	}
	e.Lost = 0 // write knows
	b := appendFields(append((*buffer)[:0], lineHead...), &e)
	b, err := l.write(b)
	*buffer = b
	l.buffers.Put(buffer)
	return err
}

// lineHead is how a line begins, behind the newline that a torn one before it lacks.
const lineHead = "\n" + `{"prev":"` + firstPrev + `",`

// write completes a line that was prepared without the lock, and writes it.
func (l *Log) write(b []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		l.lost++
		return b, fmt.Errorf("log: %s: %w", l.path, fs.ErrClosed)
	}
	copy(b[len(lineHead)-len(firstPrev)-2:], l.prev[:])
	b = append(appendInt(b, `,"lost":`, int64(l.owed)), "}\n"...)
	sum := sha256.Sum256(b[1 : len(b)-1])
	out := b[1:]
	if l.torn {
		out = b
	}
	if n, err := l.file.Write(out); err != nil {
		l.fail(n)
		return b, fmt.Errorf("log: %w", err)
	}
	hex.Encode(l.prev[:], sum[:len(l.prev)/2])
	l.size += int64(len(out))
	l.lines++
	l.owed, l.torn = 0, false
	return b, nil
}

// fail counts a lost event and takes back the n bytes of it that were written.
func (l *Log) fail(n int) {
	l.lost++
	l.owed++
	if n > 0 && l.file.Truncate(l.size) != nil {
		// What is there stays there, on a line of its own.
		l.torn = true
		l.size += int64(n)
	}
}

// Close ends the log and writes its head, <session>.head, beside it. Closing twice is
// no error.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	h := fmt.Sprintf("%s %d\n", l.prev[:], l.lines)
	if werr := writeNew(headPath(l.path), h); werr != nil {
		err = errors.Join(err, fmt.Errorf("log: %w", werr))
	}
	return err
}

// headPath is where the head of the log at path is kept.
func headPath(path string) string { return strings.TrimSuffix(path, ".jsonl") + ".head" }

// writeNew writes a file that must not exist yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
