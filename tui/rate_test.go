package tui

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/proxy/event"
)

// frames counts what the renderer writes at once.
type frames struct {
	count int
	text  bytes.Buffer
}

func (f *frames) Write(p []byte) (int, error) {
	f.count++
	return f.text.Write(p)
}

// Two thousand calls a second are drawn at most 30 times a second, and the last one is. The
// clock is the test's own.
func TestInspectorRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, events := new(frames), make(chan event.Event, 64)
		c := Config{Events: events, Out: out, Title: "claude", Template: template, Env: noColor}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- RunInspector(ctx, c) }()
		time.Sleep(time.Second)
		synctest.Wait()
		before := out.count
		const calls, seconds = 2000, 3
		for i := range calls * seconds {
			for _, e := range call(uint64(i+1), 0, event.Event{Method: "GET", Host: "api.example.test", Path: fmt.Sprintf("/call-%d-", i), Verdict: event.Injected, Service: "example", Status: 200}) {
				e.Time = time.Now()
				events <- e
			}
			time.Sleep(time.Second / calls)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		n := out.count - before
		if most := framesPerSecond * (seconds + 1); n > most || n < most/3 {
			t.Errorf("%d drawings in %d seconds, want at most %d and not much fewer", n, seconds+1, most)
		}
		if last := fmt.Sprintf("/call-%d-", calls*seconds-1); !bytes.Contains(out.text.Bytes(), []byte(last)) {
			t.Errorf("the last call, %s, was not drawn", last)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second) // Bubble Tea leaves the clock's goroutine behind
	})
}
