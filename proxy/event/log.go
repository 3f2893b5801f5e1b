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

// Log is the audit log of one session: one JSON object a line, in the order in which Append
// was called, in one file or, where that gets too large, in several (see Part). It is safe
// for concurrent use.
//
// Every event is one write(2) in append mode, so a reader sees whole lines and a killed
// session loses nothing that Append returned for. The file is not synced: a machine that
// loses its power may lose the last seconds.
//
// The lines are a chain. Each begins with "prev", the first 16 hexadecimal digits of the
// SHA-256 of the line before it (without its newline; zeros for the first, and the last of
// the part before for the first of a part), and Close keeps the hash of the last line, and how
// many there are, in a file beside the log.
// VerifyLog checks it. This shows a line that was edited, removed, added or moved; it does
// not stop somebody who may write both files from making up a whole new chain.
type Log struct {
	path    string
	buffers sync.Pool // of *[]byte, for one line each

	mu    sync.Mutex
	file  *os.File
	part  int
	limit int64  // of size, from where on the next part is begun
	full  func() // called when it was
	prev  [16]byte
	lines uint64
	size  int64  // bytes of whole lines in the file
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
// file must not, nor a further part of it.
func CreateLog(path string) (*Log, error) {
	if _, err := os.Lstat(PartPath(path, 2)); err == nil {
		return nil, fmt.Errorf("log: %w", &fs.PathError{Op: "open", Path: PartPath(path, 2), Err: fs.ErrExist})
	}
	f, err := createPart(path)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &Log{file: f, path: path, part: 1, limit: PartSize}
	copy(l.prev[:], firstPrev)
	return l, nil
}

func createPart(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// SetPart says how large a part grows, at least 1 byte, and whom to tell when another was
// begun; full may be nil and must not wait. It is called before the first Append.
func (l *Log) SetPart(bytes int64, full func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.full = max(bytes, 1), full
}

// Path is the log's first file.
func (l *Log) Path() string { return l.path }

// Head is the hash of the last line and how many there are.
func (l *Log) Head() (hash string, lines uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.prev[:]), l.lines
}

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
	if l.size >= l.limit && !l.torn {
		l.next()
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

// next begins the next part. Where that cannot be, because the disk is full for instance, this
// one goes on, and it is tried again when it has grown by a tenth.
func (l *Log) next() {
	f, err := createPart(PartPath(l.path, l.part+1))
	if err != nil {
		l.limit = l.size + l.size/10 + 1
		return
	}
	_ = l.file.Close() // every line of it was written by a call of its own
	l.file, l.size = f, 0
	l.part++
	if l.full != nil {
		l.full()
	}
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
