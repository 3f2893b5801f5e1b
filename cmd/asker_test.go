package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/cmd/internal/discover"
	"agentvault/proxy"
	"agentvault/proxy/event"
)

// asking is an asker with a view, and calls that wait.
type asking struct {
	*asker
	t       *testing.T
	changes int
}

func newAsking(t *testing.T) *asking {
	a := &asking{asker: newAsker(discover.Template), t: t}
	a.attach(func() { a.changes++ })
	return a
}

func heldCall(method, path string) event.Event {
	return event.Event{Phase: event.Start, Verdict: event.Held, Method: method, Scheme: "https", Host: "api.example.test", Port: 443, Path: path, Reason: "rule example asks"}
}

// call asks on a goroutine of its own and waits until the question is open.
func (a *asking) call(ctx context.Context, method, path string) <-chan proxy.Leave {
	out := make(chan proxy.Leave, 1)
	go func() { out <- a.ask(ctx, heldCall(method, path), func() {}) }()
	synctest.Wait()
	return out
}

// press shows the question, lets it settle, and answers it.
func (a *asking) press(key string) string {
	a.front()
	time.Sleep(a.settle)
	return a.answer(key)
}

func (a *asking) want(got <-chan proxy.Leave, ok bool, reason string) {
	a.t.Helper()
	synctest.Wait()
	select {
	case l := <-got:
		if l.OK != ok || !strings.Contains(l.Reason, reason) {
			a.t.Errorf("got %v, want %t %q", l, ok, reason)
		}
	default:
		a.t.Errorf("no answer, want %t %q", ok, reason)
	}
}

func (a *asking) waits(got <-chan proxy.Leave) {
	a.t.Helper()
	synctest.Wait()
	select {
	case l := <-got:
		a.t.Errorf("answered: %v", l)
	default:
	}
}

// One answer serves all that wait at an endpoint, and nobody else.
func TestAskerJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		ctx := t.Context()
		first, again := a.call(ctx, "POST", "/users/1/keys"), a.call(ctx, "POST", "/users/1/keys")
		if q := a.front(); q.Path != "/users/1/keys" || q.Endpoint != "/users/*/keys" || q.Calls != 2 || q.Waiting != 0 || q.Host != "api.example.test" || q.Left != askTimeout {
			t.Errorf("two calls: %+v", q)
		}
		second, other := a.call(ctx, "POST", "/users/2/keys"), a.call(ctx, "GET", "/users/2/keys")
		if q := a.front(); q.Path != "/users/*/keys" || q.Endpoint != "" || q.Calls != 3 || q.Waiting != 1 {
			t.Errorf("three calls of one endpoint, one of another: %+v", q)
		}
		a.press("o")
		for _, c := range []<-chan proxy.Leave{first, again, second} {
			a.want(c, true, "allowed once")
		}
		a.waits(other)
		a.press("d")
		a.want(other, false, "the human refused")
		// Once is once, and no is for this time.
		for _, method := range []string{"POST", "GET"} {
			c := a.call(ctx, method, "/users/1/keys")
			a.waits(c)
			a.press("d")
			a.want(c, false, "the human refused")
		}
		if a.front() != nil || a.asking() {
			t.Error("something still asks")
		}
	})
}

func TestAskerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		c := a.call(t.Context(), "POST", "/users/1")
		if said := a.press("s"); said == "" || a.news() != said {
			t.Errorf("said %q, shows %q", said, a.news())
		}
		a.want(c, true, "allowed for the session")
		a.want(a.call(t.Context(), "POST", "/users/2"), true, "allowed for the session")
		for _, other := range []event.Event{heldCall("PUT", "/users/2"), heldCall("POST", "/users/2/keys")} {
			c := a.call(t.Context(), other.Method, other.Path)
			a.waits(c)
			a.press("d")
			a.want(c, false, "refused")
		}
		time.Sleep(noteTime + 1)
		if a.news() != "" {
			t.Error("the note stays for ever")
		}
	})
}

func TestAskerAlways(t *testing.T) {
	for _, tt := range []struct {
		name       string
		said       string
		err        error
		wantSaid   string
		sameForAll bool
	}{
		{"written", "service example covers it", nil, "service example covers it", true},
		{"not written", "", withHint(errors.New("keychain:example: secret not found"), "agentvault secret set example"), "POST api.example.test/x is allowed for this session; keychain:example: secret not found; agentvault secret set example", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAsking(t)
				written := 0
				a.always = func(e event.Event) (string, error) {
					written++
					if e.Path != "/x" {
						t.Errorf("writes %s", e.Path)
					}
					time.Sleep(2 * askTimeout) // the time of the question goes by meanwhile
					return tt.said, tt.err
				}
				c, joined := a.call(t.Context(), "POST", "/x"), a.call(t.Context(), "POST", "/x")
				if got := a.press("w"); got != tt.wantSaid {
					t.Errorf("said %q, want %q", got, tt.wantSaid)
				}
				a.want(c, true, "allowed for good")
				a.want(joined, true, "allowed for good")
				a.want(a.call(t.Context(), "POST", "/x"), true, "allowed for the session")
				if written != 1 || len(a.farewell()) != 1 || a.farewell()[0] != tt.wantSaid {
					t.Errorf("written %d times, says at the end %q", written, a.farewell())
				}
			})
		})
	}
}

// Time, the client and the session end a question, each with a no.
func TestAskerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		a.timeout = 20 * time.Second
		c := a.call(t.Context(), "POST", "/x")
		time.Sleep(19 * time.Second)
		late := a.call(t.Context(), "POST", "/x")
		a.waits(c)
		if q := a.front(); q.Left != time.Second {
			t.Errorf("%s left, want 1s", q.Left)
		}
		time.Sleep(time.Second)
		a.want(c, false, "nobody answered within 20s")
		a.want(late, false, "nobody answered within 20s")

		ctx, cancel := context.WithCancel(t.Context())
		gone, stays := a.call(ctx, "POST", "/x"), a.call(t.Context(), "POST", "/x")
		cancel()
		a.want(gone, false, "client went away")
		a.waits(stays)
		if q := a.front(); q == nil || q.Calls != 1 {
			t.Errorf("one of two went away: %+v", q)
		}
		a.press("o")
		a.want(stays, true, "once")

		ctx, cancel = context.WithCancel(t.Context())
		gone = a.call(ctx, "POST", "/x")
		cancel()
		a.want(gone, false, "client went away")
		if a.front() != nil {
			t.Error("nobody waits, and it is asked all the same")
		}

		c = a.call(t.Context(), "POST", "/x")
		a.detach()
		a.want(c, false, "the session ended")
		a.want(a.call(t.Context(), "POST", "/x"), false, "nobody to ask")
	})
}

// A key that was meant for another question, or for none, answers nothing.
func TestAskerWantsToBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		if a.answer("o"); a.asking() {
			t.Error("asks")
		}
		c := a.call(t.Context(), "POST", "/users/1")
		time.Sleep(time.Minute / 2)
		a.answer("o") // it was never shown
		a.front()
		a.answer("o") // only just
		a.waits(c)
		time.Sleep(a.settle)
		// Another call joins, and what is asked for is more than what was seen.
		joined := a.call(t.Context(), "POST", "/users/2")
		a.answer("s")
		a.front()
		a.answer("s")
		a.waits(c)
		a.waits(joined)
		for _, key := range []string{"", "x", "a", "y", "O"} {
			a.press(key)
		}
		a.waits(c)
		// The question behind it comes to the front as the human answers the first.
		next := a.call(t.Context(), "DELETE", "/users/2")
		a.press("d")
		a.want(c, false, "refused")
		a.want(joined, false, "refused")
		a.front()
		a.answer("o")
		a.waits(next)
		a.press("o")
		a.want(next, true, "once")
	})
}

func TestAskerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range askMost {
			a.call(ctx, "GET", fmt.Sprintf("/%c%c", 'a'+i%26, 'a'+i/26))
		}
		a.want(a.call(ctx, "GET", "/one-more"), false, "64 other calls wait")
		cancel()
		synctest.Wait()
		if a.asking() {
			t.Error("questions stay open")
		}
		if a.changes == 0 {
			t.Error("the view was told nothing")
		}
	})
}

// What is asked for is a part of the question: leave to read is none to delete.
func TestAskerTellsOperationsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t)
		ask := func(operation string) <-chan proxy.Leave {
			e := heldCall("POST", "/")
			e.Operation = operation
			out := make(chan proxy.Leave, 1)
			go func() { out <- a.ask(t.Context(), e, func() {}) }()
			synctest.Wait()
			return out
		}
		get, drop := ask("GetItem"), ask("DeleteTable")
		if q := a.front(); q.Path != "/ GetItem" || q.Waiting != 1 || !strings.HasPrefix(q.Reason, "w allows every operation at this path; ") {
			t.Errorf("asked is %+v", q)
		}
		if said := a.press("s"); said != "POST api.example.test/ GetItem is allowed for this session" {
			t.Errorf("said %q", said)
		}
		a.want(get, true, "for the session")
		a.waits(drop)
		a.want(ask("GetItem"), true, "for the session")
		a.press("d")
		a.want(drop, false, "refused")
		a.waits(ask("DeleteTable"))
		a.detach()
		synctest.Wait()
	})
}
