package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/keyring"
	"agentvault/proxy/event"
)

const (
	// refreshEvery bounds what the backends have to bear: the socket is this user's, and so is
	// the child.
	refreshEvery = 5 * time.Second
	// refreshTime is longer than one call of a slow backend with a second one behind it.
	refreshTime = 30 * time.Second

	refreshSuffix = ".refresh"
)

func newRefreshCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "refresh",
		Usage:     "have a running session read its secrets again",
		ArgsUsage: "[SESSION]",
		Description: `Drops what the session has cached and asks the backends at once, so that a value which
you have just changed is used by the next call. Calls under way keep theirs. What is read
once a session, from variables and commands, stays. SESSION is as in watch.`,
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("agentvault refresh SESSION", "refresh: too many arguments")
			}
			return refresh(c.Context, env, c.Args().First())
		},
	}
}

// refreshed is the answer of a session.
type refreshed struct {
	Session string          `json:"session"`
	Refs    []refreshedRef  `json:"refs,omitempty"`
	Again   json.RawMessage `json:"again,omitempty"` // seconds until it may be asked again
}

type refreshedRef struct {
	Ref   string `json:"ref"`
	State string `json:"state"`
	Bad   bool   `json:"bad,omitempty"`
}

// refresh asks a session for it and shows the answer.
func refresh(ctx context.Context, env Env, id string) error {
	if id := env.get("AGENTVAULT_SESSION"); id != "" {
		return withHint(fmt.Errorf("this is inside session %s, which nothing in it may change", shortID(id)), "run it from a terminal outside the session")
	}
	socket, err := findFeed(env, "refresh", id)
	if err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", strings.TrimSuffix(socket, feedSuffix)+refreshSuffix)
	if err != nil {
		return fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(refreshTime + time.Second))
	var answer refreshed
	if err := json.NewDecoder(c).Decode(&answer); err != nil {
		return fmt.Errorf("session %s: %w", feedName(socket), err)
	}
	if answer.Again != nil {
		return withHint(fmt.Errorf("session %s has just read its secrets again", feedName(socket)), "once more in %s s", answer.Again)
	}
	if len(answer.Refs) == 0 {
		fmt.Fprintf(env.Stderr, "agentvault: session %s has read no secret so far\n", feedName(socket))
		return nil
	}
	bad := false
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range answer.Refs {
		fmt.Fprintf(w, "%s\t%s\n", printable(r.Ref), printable(r.State))
		bad = bad || r.Bad
	}
	if err := w.Flush(); err != nil || !bad {
		return err
	}
	return status(1)
}

// refresher lets the human's other terminals drop what a session has cached. A connection to
// its socket is the request, and nothing is read from it: whoever can connect can make the
// session ask its backends again, every few seconds, and nothing else.
type refresher struct {
	live     *live
	listener net.Listener

	mu   sync.Mutex
	last time.Time
}

func newRefresher(l *live, path string) (*refresher, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, err
	}
	r := &refresher{live: l, listener: listener}
	l.background(r.accept)
	return r, nil
}

func (r *refresher) close() { _ = r.listener.Close() } // removes the socket as well

// accept serves one after the other.
func (r *refresher) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(refreshTime + time.Second))
		_ = json.NewEncoder(c).Encode(r.answer(time.Now())) // who went away wants no answer
		_ = c.Close()
	}
}

func (r *refresher) answer(now time.Time) refreshed {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.last.Add(refreshEvery).Sub(now); !r.last.IsZero() && wait > 0 {
		return refreshed{Session: r.live.id, Again: fmt.Appendf(nil, "%d", int(wait/time.Second)+1)}
	}
	r.last = now
	return refreshed{Session: r.live.id, Refs: r.live.refresh()}
}

// refresh reads the session's secrets again, and has tokens made of them anew.
func (l *live) refresh() []refreshedRef {
	ctx, cancel := context.WithTimeout(context.Background(), refreshTime)
	defer cancel()
	var refs []refreshedRef
	changed := 0
	for _, n := range l.resolver.Renew(ctx) {
		r := refreshedRef{Ref: n.Ref.String(), State: "unchanged"}
		switch {
		case n.Err != nil:
			r.State, r.Bad = refreshError(n), true
		case n.Kept:
			r.State = "is read once a session: start it again for another value"
		case n.Stale:
			r.State, r.Bad = n.Note, true
		case n.Changed:
			r.State = "has a new value"
			changed++
		}
		refs = append(refs, r)
	}
	for _, c := range l.tokenCaches() {
		c.Drop()
	}
	l.sink(event.Event{Session: l.id, Phase: event.Note, Time: time.Now(), State: event.Refreshed,
		Reason: fmt.Sprintf("the secrets were read again (agentvault refresh): %d of %d have a new value", changed, len(refs))})
	return refs
}

// refreshError is an error without the ref that stands beside it.
func refreshError(n keyring.Renewal) string {
	if errors.Is(n.Err, context.DeadlineExceeded) {
		return "no answer"
	}
	return strings.TrimPrefix(n.Err.Error(), n.Ref.String()+": ")
}
