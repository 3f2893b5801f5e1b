package prove

import (
	"context"
	"sync"
	"time"

	"agentvault/proxy/event"
)

// Recorder keeps the last event of every call. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	ends    []event.Event
	arrived chan struct{} // closed at the next event, once somebody waits
}

// Add takes an event; it never waits.
func (r *Recorder) Add(e event.Event) {
	if e.Phase != event.End {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, e)
	if r.arrived != nil {
		close(r.arrived)
		r.arrived = nil
	}
}

func (r *Recorder) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ends)
}

// since waits until a call has ended after mark, and returns all that have. The proxy
// tells the client first and the log second.
func (r *Recorder) since(ctx context.Context, mark int) []event.Event {
	timer := time.NewTimer(eventTime)
	defer timer.Stop()
	for {
		r.mu.Lock()
		ends := r.ends[mark:]
		if len(ends) == 0 && r.arrived == nil {
			r.arrived = make(chan struct{})
		}
		arrived := r.arrived
		r.mu.Unlock()
		if len(ends) > 0 {
			return ends
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		}
	}
}
