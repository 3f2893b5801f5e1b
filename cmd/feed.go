package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
)

// A watcher that does not keep up for this many events loses some; its log has them.
const feedBuffer = 4096

// feed shows a session's events to other terminals of the same user: a unix socket in a
// folder that nobody else may enter. It is for reading only: what a watcher sends is not
// looked at, so that nobody can change a session through it.
type feed struct {
	live     *live
	listener net.Listener
	path     string

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

// feedDir is where the sockets are. It is short: a socket's path may have 104 bytes on
// macOS. It is apart from the session's own folder, whose path the child knows.
func feedDir(env Env) string {
	return filepath.Join(session.DefaultParent(env.get), "avwatch-"+strconv.Itoa(os.Getuid()))
}

func newFeed(l *live) (*feed, error) {
	dir := feedDir(l.env)
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, shortID(l.id)+".sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, err
	}
	f := &feed{live: l, listener: listener, path: path, conns: make(map[net.Conn]struct{})}
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
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		f.live.background(func() { f.serve(c) })
	}
}

func (f *feed) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	sub := f.live.bus.Subscribe(feedBuffer)
	defer sub.Close()
	e := json.NewEncoder(c)
	if e.Encode(hello{f.live.id, strings.Join(f.live.argv, " "), f.live.log.Path(), os.Getpid(), f.live.started}) != nil {
		return
	}
	for event := range sub.C {
		if e.Encode(event) != nil {
			return
		}
	}
}

func (f *feed) close() {
	_ = f.listener.Close() // removes the socket as well
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

// openFeed connects to a session: by the beginning of its id, or to the only one.
func openFeed(env Env, id string) (net.Conn, *bufio.Reader, hello, error) {
	socket, err := findFeed(env, id)
	if err != nil {
		return nil, nil, hello{}, err
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, nil, hello{}, fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	r := bufio.NewReader(c)
	line, err := r.ReadBytes('\n')
	var h hello
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err != nil {
		_ = c.Close()
		return nil, nil, hello{}, fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	return c, r, h, nil
}

func feedName(socket string) string { return strings.TrimSuffix(filepath.Base(socket), ".sock") }

// findFeed looks for living sessions; sockets of dead ones are removed on the way.
func findFeed(env Env, id string) (string, error) {
	sockets, _ := filepath.Glob(filepath.Join(feedDir(env), "*.sock"))
	var found []string
	for _, s := range sockets {
		c, err := net.Dial("unix", s)
		if err != nil {
			_ = os.Remove(s)
			continue
		}
		_ = c.Close()
		if id == "" || strings.HasPrefix(feedName(s), shortID(id)) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, newestFirst)
	switch {
	case len(found) == 0 && id != "":
		return "", withHint(fmt.Errorf("no session %q is running", id), "what ended sessions did: agentvault log %s", id)
	case len(found) == 0:
		return "", withHint(errors.New("no session is running"), "start one: agentvault run -- claude")
	case len(found) > 1 && id == "":
		var names []string
		for _, s := range found {
			names = append(names, feedName(s))
		}
		return "", usagef("agentvault watch "+names[0], "several sessions are running (%s)", strings.Join(names, ", "))
	}
	return found[0], nil
}

func newestFirst(a, b string) int {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	if err1 != nil || err2 != nil {
		return strings.Compare(a, b)
	}
	return y.ModTime().Compare(x.ModTime())
}

// feedEvents decodes what follows the hello until the session ends.
func feedEvents(r *bufio.Reader) <-chan event.Event {
	out := make(chan event.Event, feedBuffer)
	go func() {
		defer close(out)
		d := json.NewDecoder(r)
		for {
			var e event.Event
			if d.Decode(&e) != nil {
				return
			}
			out <- e
		}
	}()
	return out
}
