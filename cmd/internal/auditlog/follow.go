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

// Follow reads the log of a running session from its start, or only what is added from
// now on, and calls fn for each chosen call as it ends and for each note, with its line.
// It looks for more every interval and returns nil when the session has ended in order
// (its head is there), or what ended ctx.
func Follow(ctx context.Context, s Session, filter *Filter, fromNow bool, interval time.Duration, fn func(call *event.Event, line []byte) error) error {
	f, err := os.Open(s.Path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	if fromNow {
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("log: %w", err)
		}
	}
	var d event.Decoder
	var calls event.Calls
	var e event.Event
	take := func(line []byte) error {
		if d.Decode(line, &e) != nil {
			return nil // a line that is no event is verify's business
		}
		if !calls.Add(&e) || !filter.Match(&e) {
			return nil
		}
		return fn(&e, line)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var rest []byte // of a line whose end is not there yet
	for {
		// The head is written behind the last line, so it is looked for before the lines
		// are read: what is there then is all.
		_, headErr := os.Stat(s.headPath())
		var err error
		if rest, err = drain(f, rest, take); err != nil || headErr == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
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
