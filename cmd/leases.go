package cmd

import (
	"context"
	"time"

	"agentvault/cmd/internal/auditlog"
	"agentvault/keyring"
	"agentvault/proxy/event"
)

const (
	// Leases are given back in this time, and what then is left is told.
	releaseTime = 5 * time.Second
	// What a killed session leased is told for as long. A lease that is longer than that
	// is one that its provider keeps an eye on.
	leaseMemory = 7 * 24 * time.Hour
)

// changed writes into the log what became of a secret beside the calls. What is leased
// before the log is there waits for it.
func (l *live) changed(c keyring.Change) {
	e := event.Event{Session: l.id, Phase: event.Note, Time: time.Now(), Secret: c.Ref.String(), State: event.State(c.What),
		Reason: c.Ref.String() + ": " + c.Note}
	l.mu.Lock()
	if c.What == keyring.Leased {
		if l.leased[c.Note] { // another field of the same
			l.mu.Unlock()
			return
		}
		if l.leased == nil {
			l.leased = make(map[string]bool)
		}
		l.leased[c.Note] = true
	}
	wait := !l.logged
	if wait {
		l.early = append(l.early, e)
	}
	l.mu.Unlock()
	if !wait {
		l.sink(e)
	}
}

// logOpened writes what has waited for the log.
func (l *live) logOpened() {
	l.mu.Lock()
	early := l.early
	l.early, l.logged = nil, true
	l.mu.Unlock()
	for _, e := range early {
		l.sink(e)
	}
}

// release gives back what backends issued for this session, once. The log keeps what is
// left; it is said here unless the summary will (told).
func (l *live) release(told bool) {
	if l.resolver == nil || l.released {
		return
	}
	l.released = true
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	left := l.resolver.Release(ctx)
	note := func(state event.State, ref, reason string) {
		if l.log != nil {
			l.sink(event.Event{Session: l.id, Phase: event.Note, Time: time.Now(), Secret: ref, State: state, Reason: reason})
		}
	}
	for _, one := range left {
		if !told {
			report(l.env.Stderr, one)
		}
		note(event.Left, one.Ref, one.Error()+"; "+one.Hint())
	}
	l.mu.Lock()
	leased := len(l.leased) > 0
	l.mu.Unlock()
	if leased && len(left) == 0 {
		note(event.Returned, "", "everything that was issued for this session was given back")
	}
}

// unreturned are the notes about what killed sessions had leased: their logs have no end,
// and do not say that it was given back.
func unreturned(env Env) []event.Event {
	sessions, err := allSessions(env)
	if err != nil {
		return nil
	}
	var all []event.Event
	for _, s := range auditlog.Since(sessions, time.Now().Add(-leaseMemory)) {
		if s.Closed || isRunning(env, s.ID) {
			continue
		}
		var open []event.Event
		for e, err := range event.ReadLog(s.Path) {
			switch {
			case err != nil:
			case e.State == event.Leased:
				open = append(open, e)
			case e.State == event.Returned, e.State == event.Left: // told at its end
				open = nil
			}
		}
		all = append(all, open...)
	}
	return all
}

// tellUnreturned says what sessions have left behind that were killed.
func tellUnreturned(env Env, say func(format string, args ...any)) {
	for _, e := range unreturned(env) {
		say("session %s was killed, and what it was issued was not given back: %s", shortID(e.Session), e.Reason)
	}
}
