package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"agentvault/proxy/event"
)

// answerTime is how long a watcher waits for an answer of the session: it runs on this
// machine, or it hangs.
const answerTime = 2 * time.Second

// watched is a session of another process, through its feed.
type watched struct {
	hello
	conn    net.Conn
	events  chan event.Event // closed when the session ends
	dropped atomic.Uint64

	mu       sync.Mutex // one question at a time
	heads    chan event.Head
	services chan []event.Service
}

// openFeed connects to a session: by the beginning of its id, or to the only one.
func openFeed(env Env, id string) (*watched, error) {
	socket, err := findFeed(env, "watch", id)
	if err != nil {
		return nil, err
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	w := &watched{conn: c, events: make(chan event.Event, feedBuffer), heads: make(chan event.Head, 1), services: make(chan []event.Service, 1)}
	r := bufio.NewReader(c)
	line, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &w.hello)
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	go w.read(json.NewDecoder(r))
	return w, nil
}

func (w *watched) close() { _ = w.conn.Close() }

// read sorts what comes until the session ends.
func (w *watched) read(d *json.Decoder) {
	defer close(w.events)
	for {
		var line feedLine
		if d.Decode(&line) != nil {
			return
		}
		if line.Dropped > 0 {
			w.dropped.Store(line.Dropped)
		}
		switch {
		case line.Event != nil:
			w.events <- *line.Event
		case line.Head != nil:
			offer(w.heads, *line.Head)
		case line.Services != nil:
			offer(w.services, line.Services)
		}
	}
}

// offer puts an answer where an older one that nobody took may still be.
func offer[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	select {
	case c <- v:
	default:
	}
}

// head asks for the headers of a call.
func (w *watched) head(call uint64) (event.Head, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := time.NewTimer(answerTime)
	defer late.Stop()
	if _, err := fmt.Fprintf(w.conn, "head %d\n", call); err != nil {
		return event.Head{}, false
	}
	for {
		select {
		case h := <-w.heads:
			if h.Call == call {
				return h, h.Request != nil || h.Response != nil
			}
		case <-late.C:
			return event.Head{}, false
		}
	}
}

// standing asks how the session stands with its services.
func (w *watched) standing() []event.Service {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := time.NewTimer(answerTime)
	defer late.Stop()
	if _, err := fmt.Fprintln(w.conn, "services"); err != nil {
		return nil
	}
	select {
	case s := <-w.services:
		return s
	case <-late.C:
		return nil
	}
}

func feedName(socket string) string { return strings.TrimSuffix(filepath.Base(socket), feedSuffix) }

// A socket this young that nobody listens at may be one whose session is about to.
const feedSettle = time.Second

// livingFeeds are the sockets of living sessions. Those of dead ones are removed: only kill -9
// leaves them.
func livingFeeds(env Env) (living []string) {
	dir := feedDir(env)
	entries, _ := os.ReadDir(dir) // without the folder there is none
	for _, e := range entries {
		s := filepath.Join(dir, e.Name())
		if !strings.HasSuffix(s, feedSuffix) {
			continue
		}
		c, err := net.Dial("unix", s)
		switch {
		case err == nil:
			_ = c.Close()
		case errors.Is(err, syscall.EAGAIN): // more knock than its queue takes
		default:
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > feedSettle {
				_ = os.Remove(s)
				_ = os.Remove(strings.TrimSuffix(s, feedSuffix) + refreshSuffix)
			}
			continue
		}
		living = append(living, s)
	}
	return living
}

// findFeed looks for a living session. command is what the human gave, for the hint.
func findFeed(env Env, command, id string) (string, error) {
	var found []string
	for _, s := range livingFeeds(env) {
		if id == "" || strings.HasPrefix(feedName(s), shortID(id)) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, newestFirst)
	switch {
	case len(found) == 0 && id != "":
		return "", usagef("what ended sessions did: agentvault log "+shellWord(id), "no session %q is running", id)
	case len(found) == 0:
		return "", withHint(errors.New("no session is running"), "start one: agentvault run -- claude")
	case len(found) > 1 && id == "":
		var names []string
		for _, s := range found {
			names = append(names, feedName(s))
		}
		return "", usagef("agentvault "+command+" "+names[0], "several sessions are running (%s)", strings.Join(names, ", "))
	}
	return found[0], nil
}

// isRunning says whether a session can be watched.
func isRunning(env Env, id string) bool {
	c, err := net.Dial("unix", filepath.Join(feedDir(env), shortID(id)+feedSuffix))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func newestFirst(a, b string) int {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	if err1 != nil || err2 != nil {
		return strings.Compare(a, b)
	}
	return y.ModTime().Compare(x.ModTime())
}
