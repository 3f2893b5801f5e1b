package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"agentvault/proxy"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/tui"
)

const (
	// askTimeout is how long a call waits for the human before the answer is no: what most
	// HTTP clients wait for an answer at least.
	askTimeout = 60 * time.Second
	// askSettle is how long a question must have been shown before an answer to it counts.
	// The agent chooses when it calls: without this it could put another question under a
	// finger that is on its way down.
	askSettle = 500 * time.Millisecond
	// askMost bounds the questions that wait. What comes beyond is refused.
	askMost = 64
	// noteTime is how long the bar says what an answer did.
	noteTime = 15 * time.Second
)

// asker holds calls until the human has answered. Calls to one endpoint share a question,
// and one answer serves all that wait. It is safe for concurrent use. Nothing but answer
// answers, and nothing calls that but a key of the real terminal.
type asker struct {
	timeout, settle time.Duration
	template        func(host, path string) string
	// always makes the answer last: it writes the rule and has the session use it, and says
	// what it did or what the human has to do. Called without a lock.
	always func(event.Event) (string, error)

	mu      sync.Mutex
	changed func() // a view that asks was attached, and wants to hear of changes
	open    []*question
	allowed map[askKey]bool // for the session
	note    string
	noted   time.Time
	notes   []string // what is to be said again when the session has ended
}

// askKey is an endpoint.
type askKey struct {
	method, scheme, host string
	port                 int
	path                 string // folded, with the operation
}

type question struct {
	key     askKey
	event   event.Event // of the first call
	mixed   bool        // the calls that wait differ in their paths
	waiting int
	expires time.Time
	shown   time.Time     // since when it has been in front as it is; zero for not yet
	done    chan struct{} // closed once leave is set
	leave   proxy.Leave
}

func newAsker(template func(host, path string) string) *asker {
	return &asker{timeout: askTimeout, settle: askSettle, template: template, allowed: make(map[askKey]bool)}
}

// attach tells that somebody can be asked now; detach that nobody can any more, which
// answers what is open with no.
func (a *asker) attach(changed func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = changed
}

func (a *asker) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = nil
	for len(a.open) > 0 {
		a.close(a.open[0], proxy.Leave{Reason: "the session ended before anybody answered"})
	}
}

// ask holds a call, see proxy.Config.Ask. It returns when the question is answered, when
// its time is over, or when ctx ends; held is called before it waits.
func (a *asker) ask(ctx context.Context, e event.Event, held func()) proxy.Leave {
	q, leave := a.join(e)
	if q == nil {
		return leave
	}
	held()
	late := time.NewTimer(time.Until(q.expires))
	defer late.Stop()
	select {
	case <-q.done:
		if ctx.Err() == nil {
			return q.leave
		}
	case <-late.C:
		a.mu.Lock()
		a.close(q, proxy.Leave{Reason: fmt.Sprintf("nobody answered within %s", a.timeout)})
		a.mu.Unlock()
		<-q.done // it may be that a yes is being written down
		return q.leave
	case <-ctx.Done():
		a.mu.Lock()
		defer a.mu.Unlock()
		if q.waiting--; q.waiting == 0 {
			a.close(q, proxy.Leave{Reason: "the client went away before anybody answered"})
		}
		a.touch()
	}
	return proxy.Leave{Reason: "the client went away before anybody answered"}
}

// join finds the endpoint's question, or opens one. Where it returns none, leave decides.
func (a *asker) join(e event.Event) (*question, proxy.Leave) {
	key := askKey{e.Method, e.Scheme, e.Host, e.Port, e.WithOperation(a.template(e.Host, e.Path))}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.changed == nil:
		return nil, proxy.Leave{Reason: "there is nobody to ask"}
	case a.allowed[key]:
		return nil, proxy.Leave{OK: true, Reason: "allowed for the session"}
	}
	defer a.touch()
	if i := slices.IndexFunc(a.open, func(q *question) bool { return q.key == key }); i >= 0 {
		q := a.open[i]
		q.waiting++
		if !q.mixed && q.event.Path != e.Path {
			q.mixed, q.shown = true, time.Time{} // another question from here on
		}
		return q, proxy.Leave{}
	}
	if len(a.open) >= askMost {
		return nil, proxy.Leave{Reason: fmt.Sprintf("%d other calls wait for an answer already", askMost)}
	}
	q := &question{key: key, event: e, waiting: 1, expires: time.Now().Add(a.timeout), done: make(chan struct{})}
	a.open = append(a.open, q)
	return q, proxy.Leave{}
}

// close answers a question, once. It wants mu held.
func (a *asker) close(q *question, leave proxy.Leave) {
	if a.take(q) {
		q.leave = leave
		close(q.done)
	}
}

// take takes a question away from whoever else would answer it. It wants mu held.
func (a *asker) take(q *question) bool {
	i := slices.Index(a.open, q)
	if i < 0 {
		return false
	}
	a.open = slices.Delete(a.open, i, i+1)
	a.touch()
	return true
}

// touch wants mu held.
func (a *asker) touch() {
	if a.changed != nil {
		a.changed()
	}
}

// asking says whether a question is open.
func (a *asker) asking() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open) > 0
}

// front is the question to show, nil for none. What it returns counts as shown.
func (a *asker) front() *tui.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) == 0 {
		return nil
	}
	q := a.open[0]
	if q.shown.IsZero() {
		q.shown = time.Now()
	}
	call := tui.Call{Event: q.event}
	view := &tui.Question{Method: q.event.Method, Host: call.HostPort(), Path: q.event.WithOperation(q.event.Path), Reason: q.event.Reason,
		Calls: q.waiting, Waiting: len(a.open) - 1, Left: time.Until(q.expires)}
	if scheme := q.event.Scheme; scheme != "https" {
		view.Host = cmp.Or(scheme, "https") + "://" + view.Host
	}
	if op := q.event.Operation; op != "" && !inject.Asked(q.event.Method, q.event.Host, q.event.Path, op).Known {
		view.Reason = strings.TrimSuffix("w allows every operation at this path; "+view.Reason, "; ")
	}
	switch {
	case q.mixed:
		view.Path = q.key.path
	case q.key.path != view.Path:
		view.Endpoint = q.key.path
	}
	return view
}

// answer takes a key of tui.AnswerKeys for the question in front, and says what it did. A
// question that was not shown yet, or only just, is left open.
func (a *asker) answer(key string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) == 0 {
		return "nothing asks any more"
	}
	q := a.open[0]
	if q.shown.IsZero() || time.Since(q.shown) < a.settle {
		return "the question has only just come: look at it, then answer again"
	}
	what := q.key.method + " " + q.key.host + q.key.path
	said := ""
	switch key {
	case "o":
		a.close(q, proxy.Leave{OK: true, Reason: "allowed once"})
	case "s":
		said = what + " is allowed for this session"
		a.allowed[q.key] = true
		a.close(q, proxy.Leave{OK: true, Reason: "allowed for the session"})
	case "w":
		said = a.makeLast(q, what)
	case "d":
		a.close(q, proxy.Leave{Reason: event.Refused})
	default:
		return ""
	}
	a.say(said)
	return said
}

// makeLast lets the calls go once the rule is written, or, where that failed, for the
// session: the human said yes. It wants mu held, and gives it up meanwhile: nobody must
// wait for a disk.
func (a *asker) makeLast(q *question, what string) string {
	a.take(q)
	a.allowed[q.key] = true
	always, e := a.always, q.event
	a.mu.Unlock()
	said, err := always(e)
	a.mu.Lock()
	q.leave = proxy.Leave{OK: true, Reason: "allowed for good"}
	close(q.done)
	if err != nil {
		said = what + " is allowed for this session; " + withRemedy(err)
	}
	a.notes = append(a.notes, said)
	return said
}

// withRemedy is an error and what helps in one line.
func withRemedy(err error) string {
	text := err.Error()
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		text += "; " + h.Hint()
	}
	return text
}

// tell shows a note that is no answer's.
func (a *asker) tell(note string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.say(note)
}

// say shows a note for a while. It wants mu held.
func (a *asker) say(note string) {
	a.note, a.noted = note, time.Now()
	a.touch()
}

// news is the note to show, "" for none.
func (a *asker) news() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.noted) > noteTime {
		a.note = ""
	}
	return a.note
}

// farewell is what has to be said once the terminal is ours again: a note in the bar is
// easily missed.
func (a *asker) farewell() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.notes
}
