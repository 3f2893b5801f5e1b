package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/event"
)

const (
	rotationClients = 50
	// In the default run the keys rotate as often as this, as soon as every client had an
	// answer since the last time; with AGENTVAULT_TEST_ROTATION=1m once a second for a minute.
	shortRotation, shortRotations = 50 * time.Millisecond, 6
)

// rotator is a backend and an upstream whose key changes under the clients.
type rotator struct {
	mu    sync.RWMutex
	n     int             // of the backend's value
	takes map[string]bool // what the upstream takes

	began [rotationClients]atomic.Int64 // events that had happened when the last answered request began
	now   atomic.Int64                  // events so far

	reads, hits, refusals atomic.Int64
}

func key(n int) string { return fmt.Sprintf("s3cret-rotating-%06d-0123456789", n) }

// Get implements keyring.Backend.
func (r *rotator) Get(context.Context, keyring.Ref) (keyring.Item, error) {
	r.reads.Add(1)
	time.Sleep(2 * time.Millisecond)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return keyring.Item{Value: keyring.NewSecret([]byte(key(r.n)))}, nil
}

// ServeHTTP is the upstream. It says what it got.
func (r *rotator) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.hits.Add(1)
	r.mu.RLock()
	good := r.takes[strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")]
	r.mu.RUnlock()
	if !good {
		r.refusals.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}
	fmt.Fprintf(w, "%s %s", q.URL.Path, body)
}

// happens makes an event and waits until every client had an answer to a request that
// began after it, so that a request meets one event and not several, however slow the
// machine is.
func (r *rotator) happens(t *testing.T, change func()) {
	r.mu.Lock()
	change()
	r.mu.Unlock()
	event := r.now.Add(1)
	deadline := time.Now().Add(time.Minute)
	for i := range r.began {
		for r.began[i].Load() < event {
			if t.Failed() || time.Now().After(deadline) {
				t.Fatal("a client has no good answer, after a minute at most")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// How the provider and the place where the key is kept learn of a new key.
func rotations(r *rotator, resolver *keyring.Resolver, ref keyring.Ref, period time.Duration) map[string]func(*testing.T) {
	backend := func() { r.n++ }
	only := func() { r.takes = map[string]bool{key(r.n): true} }
	both := func() { r.takes = map[string]bool{key(r.n): true, key(r.n - 1): true} }
	return map[string]func(*testing.T){
		"both at once": func(t *testing.T) {
			r.happens(t, func() { backend(); only() })
		},
		"the old key ends later": func(t *testing.T) {
			r.happens(t, func() { backend(); both() })
			time.Sleep(period / 2)
			r.happens(t, only)
		},
		"the new key works later": func(t *testing.T) {
			r.happens(t, backend)
			// As after its TTL: nobody has been refused, and the new key is there.
			if _, _, err := resolver.Refresh(t.Context(), ref); err != nil {
				t.Error(err)
			}
			r.happens(t, func() {})
			time.Sleep(period / 2)
			r.happens(t, only)
		},
	}
}

// An upstream whose keys rotate under fifty clients: no request of the child fails, over
// HTTP/1.1 and HTTP/2, with a body and without.
func TestRotationUnderLoad(t *testing.T) {
	for _, name := range []string{"both at once", "the old key ends later", "the new key works later"} {
		t.Run(name, func(t *testing.T) { rotate(t, name) })
	}
}

func rotate(t *testing.T, name string) {
	period, end, think := shortRotation, time.Time{}, time.Millisecond
	if d, err := time.ParseDuration(os.Getenv("AGENTVAULT_TEST_ROTATION")); err == nil {
		t.Parallel()
		period, end = time.Second, time.Now().Add(d)
		think *= 20 // six hundred requests a second: the machine has other things to do
	}
	r := &rotator{takes: map[string]bool{key(0): true}}
	resolver := keyring.NewResolver(keyring.ResolverConfig{TTL: func(string) time.Duration { return 700 * time.Millisecond },
		Backends: map[string]func() (keyring.Backend, error){"env": func() (keyring.Backend, error) { return r, nil }}})
	defer resolver.Close()
	ref, _ := keyring.ParseRef("env:API")
	s := start(t, options{handler: r.ServeHTTP, config: func(c *Config) { c.Secrets = resolver }})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var answered atomic.Int64
	for i := range rotationClients {
		clients.Go(func() { r.client(ctx, t, s, i, think, &answered) })
	}
	r.happens(t, func() {}) // all have had an answer with the first key
	turn, turns := rotations(r, resolver, ref, period)[name], 0
	for ; end.IsZero() && turns < shortRotations || time.Now().Before(end); turns++ {
		next := time.Now().Add(period)
		turn(t)
		time.Sleep(time.Until(next))
	}
	stop()
	clients.Wait()
	states := make(map[event.State]int)
	for _, e := range s.seen() {
		if e.Phase == event.End {
			states[e.State]++
		}
	}
	t.Logf("%d rotations, %d answers, %d hits of the upstream, %d refused, %d reads of the backend, states %v",
		turns, answered.Load(), r.hits.Load(), r.refusals.Load(), r.reads.Load(), states)
	if name == "the new key works later" && states[event.Previous] == 0 {
		t.Error("the old key never served")
	}
	if r.refusals.Load() == 0 && name != "the old key ends later" {
		t.Error("nothing was ever refused: the test shows nothing")
	}
}

// client is one of the child's, of which every other speaks HTTP/2. Every other request has
// a body.
func (r *rotator) client(ctx context.Context, t *testing.T, s *session, i int, think time.Duration, answered *atomic.Int64) {
	c := s.client(1 + i%2)
	for n := 0; ctx.Err() == nil; n++ {
		began := r.now.Load()
		method, body, path := "GET", "", fmt.Sprintf("/%d/%d", i, n)
		if n%2 == 1 {
			method, body = "POST", "body of "+path
		}
		q, err := http.NewRequest(method, s.upstream.URL+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := c.Do(q)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := path + " " + body; err != nil || resp.StatusCode != 200 || string(got) != want {
			t.Errorf("%s %s: %s %q %v, want 200 %q", method, path, resp.Status, got, err, want)
			return
		}
		answered.Add(1)
		r.began[i].Store(began)
		time.Sleep(think * time.Duration(1+i%7)) // as agents do
	}
}
