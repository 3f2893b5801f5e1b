package event

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
)

// ErrTorn says that a log ends inside a line: its session runs, or was killed, or the
// disk was full.
var ErrTorn = errors.New("the last line is not complete")

// LineError is a line of a log that could not be read. Reading goes on behind it.
type LineError struct {
	Path string
	Line int // counts from 1
	Err  error
}

// Error names the file and the line.
func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err) }

// Unwrap gives the cause: ErrTorn, or what the decoder said.
func (e *LineError) Unwrap() error { return e.Err }

// ReadLog reads a log, through all of its parts, one event at a time, in their order. A line that is no
// event is yielded as a *LineError, and the reading goes on; so is a torn last line
// (errors.Is ErrTorn), which is nothing to worry about while the session runs. A file
// that cannot be opened or read yields one error and ends.
func ReadLog(path string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := Open(path)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		var d Decoder
		for line, err := range Lines(f, path) {
			var e Event
			if err == nil {
				err = line.Decode(&d, &e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Line is one line of a log, without its newline.
type Line struct {
	Bytes  []byte // valid until the next line is asked for
	Number int    // counts from 1
	path   string
}

// Decode decodes the line with d. The error is a *LineError.
func (l Line) Decode(d *Decoder, e *Event) error {
	if err := d.Decode(l.Bytes, e); err != nil {
		return &LineError{Path: l.path, Line: l.Number, Err: err}
	}
	return nil
}

// Lines splits a log into its lines; empty ones are left out. path stands in the errors.
// A last line without a newline is yielded with a *LineError that wraps ErrTorn.
func Lines(r io.Reader, path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		// 256 KiB: fewer reads than the default of 4, and still in the second-level cache.
		br := bufio.NewReaderSize(r, 256<<10)
		var long []byte // a line that is longer than the buffer
		number := 1
		for {
			b, err := br.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				long = append(long, b...)
				continue
			}
			if len(long) > 0 {
				long = append(long, b...)
				b = long
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(Line{}, fmt.Errorf("log: %w", err))
				} else if len(b) > 0 {
					yield(Line{Bytes: b, Number: number, path: path}, &LineError{Path: path, Line: number, Err: ErrTorn})
				}
				return
			}
			b = b[:len(b)-1]
			if len(b) > 0 && !yield(Line{Bytes: b, Number: number, path: path}, nil) {
				return
			}
			long = long[:0]
			number++
		}
	}
}
