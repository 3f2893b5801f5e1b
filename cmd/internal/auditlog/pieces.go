package auditlog

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"

	"agentvault/proxy/event"
)

const (
	// A log is read in pieces of whole lines, about 800 of them. Smaller ones cost more in
	// handing over, larger ones leave the cache.
	pieceSize = 256 << 10
	// More do not help: putting the calls together is one goroutine's work, and as much.
	maxDecoders = 4
)

// piece is a run of whole lines, and what they say.
type piece struct {
	data  []byte
	lines []line
	last  bool
	torn  bool  // the log ends inside a line, which is not among these
	err   error // of the file
	ready chan struct{}
}

// line is one line of a log. bytes belong to the piece.
type line struct {
	bytes   []byte
	event   event.Event
	skipped bool // it cannot be of a chosen call
	bad     bool // it is no event
}

// pieces reads logs, each several pieces ahead: lines are decoded side by side and given
// out in their order. It is used for one log after the other.
type pieces struct {
	skip     func([]byte) bool
	decoders []event.Decoder
	all      []*piece
}

func newPieces(q Query) *pieces {
	p := &pieces{skip: q.skip, decoders: make([]event.Decoder, min(runtime.GOMAXPROCS(0), maxDecoders))}
	for i := range p.decoders {
		p.decoders[i].Brief = !q.Timing
	}
	for range len(p.decoders) + 2 { // one is being read, one is with fn
		p.all = append(p.all, &piece{ready: make(chan struct{}, 1)})
	}
	return p
}

// each calls fn with every piece of a log, until fn has an error. The piece is fn's until
// it returns.
func (p *pieces) each(r io.Reader, fn func(*piece) error) error {
	var running sync.WaitGroup
	defer running.Wait()
	stop := make(chan struct{})
	defer close(stop)
	free, order, work := make(chan *piece, len(p.all)), make(chan *piece, len(p.all)), make(chan *piece, len(p.all))
	for _, one := range p.all {
		select { // where an earlier log was left in the middle
		case <-one.ready:
		default:
		}
		free <- one
	}
	running.Go(func() {
		defer close(work)
		cut(r, free, stop, func(one *piece) {
			order <- one // never blocks: there are no more pieces than places
			work <- one
		})
	})
	for i := range p.decoders {
		running.Go(func() {
			for one := range work {
				one.decode(&p.decoders[i], p.skip)
				one.ready <- struct{}{}
			}
		})
	}
	for {
		one := <-order
		<-one.ready
		if err := fn(one); err != nil {
			return err
		}
		if one.last {
			return one.err
		}
		free <- one
	}
}

// cut fills pieces with whole lines until r has ended.
func cut(r io.Reader, free <-chan *piece, stop <-chan struct{}, give func(*piece)) {
	var rest []byte // of a line whose end has not been read
	for {
		var one *piece
		select {
		case one = <-free:
		case <-stop:
			return
		}
		if cap(one.data) < pieceSize {
			one.data = make([]byte, 0, pieceSize)
		}
		one.data, one.last, one.torn, one.err = append(one.data[:0], rest...), false, false, nil
		end := 0
		for end == 0 && !one.last {
			if len(one.data) == cap(one.data) { // a line longer than a piece
				one.data = append(one.data, make([]byte, pieceSize)...)[:len(one.data)]
			}
			n, err := r.Read(one.data[len(one.data):cap(one.data)])
			fresh := one.data[len(one.data) : len(one.data)+n]
			if i := bytes.LastIndexByte(fresh, '\n'); i >= 0 {
				end = len(one.data) + i + 1
			}
			one.data = one.data[:len(one.data)+n]
			if one.last = err != nil; one.last && err != io.EOF {
				one.err = fmt.Errorf("log: %w", err)
			}
		}
		rest = append(rest[:0], one.data[end:]...)
		one.data = one.data[:end]
		one.torn = one.last && one.err == nil && len(rest) > 0
		last := one.last
		give(one)
		if last {
			return
		}
	}
}

func (p *piece) decode(d *event.Decoder, skip func([]byte) bool) {
	p.lines = p.lines[:0]
	for data := p.data; len(data) > 0; {
		end := bytes.IndexByte(data, '\n')
		text := data[:end]
		data = data[end+1:]
		if len(text) == 0 {
			continue
		}
		if len(p.lines) == cap(p.lines) {
			p.lines = append(p.lines, line{})
		} else {
			p.lines = p.lines[:len(p.lines)+1]
		}
		l := &p.lines[len(p.lines)-1]
		l.bytes, l.bad, l.skipped = text, false, skip(text)
		if !l.skipped {
			l.bad = d.Decode(text, &l.event) != nil
		}
	}
}
