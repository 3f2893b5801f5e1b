package tui

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

// frame is the least time between two drawings: 30 a second.
const (
	framesPerSecond = 30
	frame           = time.Second / framesPerSecond
)

// batchMost bounds what one Update folds, so that keys are answered in between.
const batchMost = 8192

// feed takes events off a channel and hands them over a frame at a time. Where nothing
// happens it waits, and costs nothing.
type feed struct {
	events <-chan event.Event
	drops  func() uint64
	last   time.Time // when the last batch was handed over
}

// batchMsg is what came within a frame.
type batchMsg struct {
	events  []event.Event
	dropped uint64
	ended   bool // the channel was closed: this is the last one
}

// next waits for an event and gathers what comes until the frame is over.
func (f *feed) next(ctx context.Context) tea.Msg {
	var b batchMsg
	rest := time.NewTimer(time.Until(f.last.Add(frame)))
	defer rest.Stop()
	var over <-chan time.Time // of the frame, which lasts until there is an event
	for len(b.events) < batchMost {
		select {
		case e, ok := <-f.events:
			if !ok {
				b.ended = true
				return f.hand(b)
			}
			b.events = append(b.events, e)
			over = rest.C
		case <-over:
			return f.hand(b)
		case <-ctx.Done():
			return nil
		}
	}
	select { // full before the frame was over
	case <-rest.C:
	case <-ctx.Done():
	}
	return f.hand(b)
}

func (f *feed) hand(b batchMsg) tea.Msg {
	f.last = time.Now()
	if f.drops != nil {
		b.dropped = f.drops()
	}
	return b
}
