package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"agentvault/proxy/event"
)

// Following says what is followed and how.
type Following struct {
	Session Session
	Filter  *Filter
	FromNow bool // what is there already is left out
	// Interval is how often it is looked for more.
	Interval time.Duration
	// Running asks whether the session is still there; nil takes it for granted.
	Running func() bool
}

// Follow reads the log of a running session and calls fn for each chosen call as it ends and
// for each note, with its line. It returns nil when the session has ended, be it in order
// (its head is there) or not, or what ended ctx.
func (o Following) Follow(ctx context.Context, fn func(call *event.Event, line []byte) error) error {
	t, err := newTail(o.Session.Path, o.FromNow)
	if err != nil {
		return err
	}
	defer t.close()
	var d event.Decoder
	var calls event.Calls
	var e event.Event
	take := func(line []byte) error {
		if d.Decode(line, &e) != nil {
			return nil // a line that is no event is verify's business
		}
		if !calls.Add(&e) || !o.Filter.Match(&e) {
			return nil
		}
		return fn(&e, line)
	}
	tick := time.NewTicker(o.Interval)
	defer tick.Stop()
	for {
		// The head is written behind the last line, so it is looked for before the lines
		// are read: what is there then is all. So it is with a session that is gone.
		_, headErr := os.Stat(o.Session.headPath())
		over := headErr == nil || o.Running != nil && !o.Running()
		if err := t.drain(take); err != nil || over {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// tail reads a log that grows, from one part to the next.
type tail struct {
	path string
	part int
	file *os.File
	rest []byte // of a line whose end is not there yet
}

func newTail(path string, fromNow bool) (*tail, error) {
	parts, err := event.Parts(path)
	if err != nil {
		return nil, err
	}
	from := parts[0]
	if fromNow {
		from = parts[len(parts)-1]
	}
	t := &tail{path: path, part: from.Number}
	if t.file, err = os.Open(from.Path); err == nil && fromNow {
		_, err = t.file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("log: %w", err)
	}
	return t, nil
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
	}
}

// drain reads what there is. Once the next part is there nothing is written to this one any
// more, so what is read of it then is all.
func (t *tail) drain(take func([]byte) error) (err error) {
	for {
		number := t.following()
		next, nextErr := os.Open(event.PartPath(t.path, number))
		if t.rest, err = drain(t.file, t.rest, take); err != nil {
			if next != nil {
				_ = next.Close()
			}
			return err
		}
		if nextErr != nil {
			return nil
		}
		_ = t.file.Close()
		t.file, t.rest = next, nil
		t.part = number
	}
}

// following is the number of the part that comes: where this one was thrown away meanwhile, the
// first that is left.
func (t *tail) following() int {
	if _, err := os.Stat(event.PartPath(t.path, t.part)); err != nil {
		if parts, err := event.Parts(t.path); err == nil && parts[0].Number > t.part {
			return parts[0].Number
		}
	}
	return t.part + 1
}

// drain reads what there is and gives whole lines to take.
func drain(f *os.File, rest []byte, take func([]byte) error) ([]byte, error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			if err := take(rest[:i]); err != nil {
				return rest, err
			}
			rest = rest[i+1:]
		}
		if errors.Is(err, io.EOF) || n == 0 && err == nil {
			return rest, nil
		}
		if err != nil {
			return rest, fmt.Errorf("log: %w", err)
		}
	}
}
