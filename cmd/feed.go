package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
)

const (
	feedSuffix = ".sock"
	// A watcher that does not keep up for this many events loses some; its log has them.
	feedBuffer = 4096
	// feedMost bounds the watchers: the agent can connect as well, and each has a buffer.
	feedMost = 16
	// A question is a word and a number.
	feedQuestion = 64
)

// feed shows a session to other terminals of the same user: a unix socket in a folder that
// nobody else may enter. A watcher gets a hello and then the events, and may ask for what
// they do not hold: "head 17" for the headers of a call, "services" for how the session
// stands with its secrets. It can ask for nothing else, and nothing that it sends changes
// the session: the agent is a process of the same user, and can connect too.
type feed struct {
	live      *live
	listener  net.Listener
	path      string
	refresher *refresher

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// hello is the first line that a watcher reads.
type hello struct {
	Session string    `json:"session"`
	Command string    `json:"command"`
	Log     string    `json:"log"`
	Pid     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// feedLine is any other line: an event, or the answer to a question.
type feedLine struct {
	*event.Event
	Head     *event.Head     `json:"head,omitempty"`
	Services []event.Service `json:"services,omitempty"`
	// Dropped is how many events this watcher has lost by now, where that has changed.
	Dropped uint64 `json:"dropped,omitempty"`
}

// socketPathMost is how long a socket's path may be everywhere: sun_path has 104 bytes on macOS
// (108 on Linux and Windows), and the last is a NUL.
const socketPathMost = 103

// feedDir is where the sockets are. It is apart from the session's own folder, whose path the
// child knows, and in /tmp, under a name made of the usual place's, where that is too long for
// a socket.
func feedDir(env Env) string {
	name := "avwatch-" + strconv.Itoa(os.Getuid())
	dir := filepath.Join(session.DefaultParent(env.get), name)
	if longest := filepath.Join(dir, "7f3a00"+refreshSuffix); len(longest) > socketPathMost && runtime.GOOS != "windows" {
		h := fnv.New32a()
		_, _ = io.WriteString(h, dir)
		return filepath.Join("/tmp", fmt.Sprintf("%s-%08x", name, h.Sum32()))
	}
	return dir
}

func newFeed(l *live) (*feed, error) {
	dir := feedDir(l.env)
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, shortID(l.id)+feedSuffix)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, err
	}
	f := &feed{live: l, listener: listener, path: path, conns: make(map[net.Conn]struct{})}
	if f.refresher, err = newRefresher(l, strings.TrimSuffix(path, feedSuffix)+refreshSuffix); err != nil {
		_ = listener.Close()
		return nil, err
	}
	l.background(f.accept)
	return f, nil
}

// privateDir makes a folder that only this user may enter, or refuses one that was
// there before and is not: in a shared /tmp somebody else may have made it.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && (!info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info)) {
		return fmt.Errorf("%s is not a private folder of this user", dir)
	}
	return nil
}

func (f *feed) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		full := len(f.conns) >= feedMost
		if !full {
			f.conns[c] = struct{}{}
		}
		f.mu.Unlock()
		if full {
			_ = c.Close()
			continue
		}
		f.live.background(func() { f.serve(c) })
	}
}

// serve writes to one watcher; another goroutine reads its questions.
func (f *feed) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	sub := f.live.bus.Subscribe(feedBuffer)
	defer sub.Close()
	defer f.live.proxy.Watch()()
	e := json.NewEncoder(c)
	if e.Encode(hello{f.live.id, strings.Join(f.live.argv, " "), f.live.log.Path(), os.Getpid(), f.live.started}) != nil {
		return
	}
	answers, over := make(chan feedLine), make(chan struct{})
	defer close(over)
	f.live.background(func() { f.questions(c, answers, over) })
	dropped := uint64(0)
	for {
		var line feedLine
		select {
		case line = <-answers:
		case e, ok := <-sub.C:
			if !ok {
				return
			}
			line.Event = &e
		}
		if n := sub.Dropped(); n != dropped {
			line.Dropped, dropped = n, n
		}
		if e.Encode(line) != nil {
			return
		}
	}
}

// questions answers a watcher until it says something that is none, or goes away.
func (f *feed) questions(c net.Conn, answers chan<- feedLine, over <-chan struct{}) {
	r := bufio.NewReaderSize(c, feedQuestion)
	for {
		text, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		line, ok := f.answer(strings.TrimSpace(string(text)))
		if !ok {
			return
		}
		select {
		case answers <- line:
		case <-over:
			return
		}
	}
}

func (f *feed) answer(question string) (feedLine, bool) {
	if question == "services" {
		return feedLine{Services: f.live.services()}, true
	}
	number, ok := strings.CutPrefix(question, "head ")
	call, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return feedLine{}, false
	}
	head, _ := f.live.proxy.Head(call)
	head.Call = call
	return feedLine{Head: &head}, true
}

func (f *feed) close() {
	f.refresher.close()
	_ = f.listener.Close() // removes the socket as well
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}
