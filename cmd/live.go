package cmd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agentvault/cmd/internal/adopt"
	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/session"
	"agentvault/cmd/internal/summary"
	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/ca"
	"agentvault/proxy/event"
)

// live is one session: proxy, authority, files, log, and the secrets that it resolves.
// open makes it, close takes every part of it away again.
type live struct {
	env      Env
	id       string
	started  time.Time
	argv     []string
	compiled *config.Compiled
	resolver *keyring.Resolver
	files    *session.Files
	proxy    *proxy.Proxy
	address  *url.URL
	owner    atomic.Pointer[session.Owner]
	log      *event.Log
	bus      event.Bus
	feed     *feed
	asker    *asker
	book     *rulebook

	mu       sync.Mutex
	summary  *summary.Summary
	onEvent  func(event.Event) // for warnings where nothing is drawn
	own      *adopt.Collector  // see sessionOptions
	logError error
	drawn    bool     // a view has the terminal
	untold   []string // notices that wait for its end

	stores   *stores             // nil where the session has secrets of its own
	logins   *logins             // likewise
	standIns map[string]*standIn // by service
	wayOut   *http.Client        // for token endpoints: the proxy's own way out
	closers  []func()
	released bool // what was leased was given back, or told of

	leased map[string]bool // guarded by mu: what was issued for this session
	early  []event.Event   // guarded by mu: notes from before there was a log
	logged bool            // guarded by mu: there is one

	child  atomic.Pointer[session.Child]
	broken atomic.Pointer[panicError] // of one of the session's own goroutines
}

// sessionOptions are the flags that every command with a session has.
type sessionOptions struct {
	argv         []string
	configPath   string
	unmatched    string // "" means what the file says
	logPath      string
	fleeting     bool // the log is thrown away at the end, so the ledger need not know of it
	passEnv      []string
	passphraseFD int
	lazy         bool
	alone        bool             // there will be no child
	observe      bool             // discover: everything passes, and the parent's credentials are handed on
	own          *adopt.Collector // takes what the child sends of its own; nil for nobody
	ui           string
	trusted      func(config.Source) error // asks for the approval of a project's file
	upstream     proxy.Upstream            // the demo's own; zero means the parent's
	configText   *config.Compiled          // the demo's own
	secrets      func() (*keyring.Resolver, error)
}

// open prepares a session up to, but without, the child. After an error nothing is left.
func open(ctx context.Context, env Env, o sessionOptions) (l *live, err error) {
	l = &live{env: env, started: time.Now(), argv: o.argv, summary: new(summary.Summary), own: o.own}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.id, err = newSessionID(l.started); err != nil {
		return l, err
	}
	if err = l.configure(o); err != nil {
		return l, err
	}
	l.pruneLogs()
	authority, err := ca.New(l.id, nil)
	if err != nil {
		return l, err
	}
	// Secrets, files and roots are waited for together: each takes its time elsewhere.
	if err = l.newResolver(o); err != nil {
		return l, err
	}
	secrets := make(chan error, 1)
	go func() { secrets <- l.resolve(ctx, o) }()
	files, err := session.NewFiles(session.FilesConfig{CA: authority.Certificate(), Env: env.get})
	if err == nil {
		l.files = files
		l.onClose(func() { _ = files.Close() })
	}
	if err = errors.Join(<-secrets, err); err != nil {
		return l, err
	}
	if err = l.openLog(o); err != nil {
		return l, err
	}
	collect(env, proxy.GCPercent)
	return l, l.serve(authority, o)
}

// background runs one of the session's goroutines. A panic there would end the process
// and skip every defer; it ends the child instead, and the session with it.
func (l *live) background(f func()) {
	go func() {
		err := protect(func() error { f(); return nil })
		var p *panicError
		if errors.As(err, &p) && l.broken.CompareAndSwap(nil, p) {
			if child := l.child.Load(); child != nil {
				child.End(endGrace)
			}
		}
	}()
}

func (l *live) onClose(f func()) { l.closers = append(l.closers, f) }

// close ends everything, the newest first. It may be called more than once.
func (l *live) close() {
	if l.proxy != nil {
		_ = l.proxy.Close() // no call needs a secret any more
	}
	l.release(false)
	for _, f := range slices.Backward(l.closers) {
		f()
	}
	l.closers = nil
}

// newSessionID sorts by time, to the millisecond so that of two sessions of a script the later
// one is the last, and ends in random digits, by which people name a session.
func newSessionID(now time.Time) (string, error) {
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("session id: %w", err)
	}
	stamp := strings.Replace(now.UTC().Format("20060102T150405.000"), ".", "", 1)
	return stamp + "-" + hex.EncodeToString(b), nil
}

// shortID is what people type.
func shortID(id string) string { return id[strings.LastIndexByte(id, '-')+1:] }

func (l *live) configure(o sessionOptions) (err error) {
	if l.compiled = o.configText; l.compiled == nil {
		if err := checkGone(l.env, o.configPath); err != nil {
			return err
		}
		if l.compiled, err = loadConfig(l.env, o.configPath, o.trusted); err != nil {
			return err
		}
	}
	c := *l.compiled
	if o.unmatched != "" {
		c.Unmatched = o.unmatched
	}
	if o.observe {
		c.Unmatched = string(proxy.Warn)
	}
	l.compiled = &c
	return checkAsks(l.env, &c, o.ui)
}

// checkAsks refuses what would wait for an answer that nobody can give: a call that is
// held for a minute and then refused says less than this does.
func checkAsks(env Env, c *config.Compiled, ui string) error {
	why := canAsk(env, ui)
	if why == "" {
		return nil
	}
	const hint = "run it on a terminal with --ui bar or dock, or use %s"
	if c.Unmatched == string(proxy.Ask) {
		return &configError{withHint(fmt.Errorf(`unmatched = "ask": %s`, why), hint, `"warn" or "deny"`)}
	}
	for _, s := range c.Services {
		if len(s.Ask) > 0 {
			return &configError{withHint(fmt.Errorf("%s: service %q: ask: %s", s.Pos, s.Name, why), hint, "deny, or leave the operation out of allow")}
		}
	}
	return nil
}

// serve starts the proxy.
func (l *live) serve(authority *ca.Authority, o sessionOptions) error {
	token := make([]byte, 24)
	if _, err := rand.Read(token); err != nil {
		return fmt.Errorf("session token: %w", err)
	}
	password := base64.RawURLEncoding.EncodeToString(token)
	upstream, err := o.upstream, error(nil)
	if upstream.Roots == nil {
		if upstream, err = l.upstream(); err != nil {
			return err
		}
	}
	l.wayOut = proxy.NewClient(upstream)
	rules, err := l.rules(l.compiled)
	if err != nil {
		return err
	}
	l.asker = newAsker(discover.Template)
	l.book = &rulebook{live: l, path: o.configPath, noFile: o.configText != nil, compiled: l.compiled}
	l.asker.always = func(e event.Event) (string, error) { return l.book.cover(e, "") }
	c := proxy.Config{
		Session: l.id, Token: password, Authority: authority, Rules: rules,
		Secrets: l.resolver, Sink: l.sink, Owns: l.owns, Upstream: upstream, Ask: l.asker.ask,
	}
	if l.own != nil {
		c.Own = l.own.Own
	}
	l.proxy, err = proxy.New(c)
	if err != nil {
		return err
	}
	l.know()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	l.address = &url.URL{Scheme: "http", Host: listener.Addr().String(), User: url.UserPassword("agentvault", password)}
	l.onClose(func() { l.bus.Close() })
	l.onClose(func() { _ = l.proxy.Close() })
	l.background(func() { _ = l.proxy.Serve(listener) })
	l.feed, err = newFeed(l)
	if err != nil {
		l.notice("watch: %v; this session cannot be watched from another terminal", err)
		return nil
	}
	l.onClose(l.feed.close)
	return nil
}

// upstream is how the proxy reaches the world. macOS and Windows verify with more than a
// list of roots, so their own verifier stays.
func (l *live) upstream() (proxy.Upstream, error) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return parentUpstream(l.env)
	}
	choose, err := proxy.ParentProxy(l.env.get)
	if err != nil {
		return proxy.Upstream{}, &configError{err}
	}
	return proxy.Upstream{Roots: l.files.Roots, RootsReady: l.files.RootsReady, Proxy: choose}, nil
}

// owns asks the kernel whether a client is the child's, once there is one.
func (l *live) owns(client, server netip.AddrPort) (string, bool) {
	if o := l.owner.Load(); o != nil {
		return o.Owns(client, server)
	}
	return "", false
}

// sink takes every event: the log first, which loses nothing, then whoever looks on.
func (l *live) sink(e event.Event) {
	if err := l.log.Append(e); err != nil {
		l.mu.Lock()
		l.logError = err
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.summary.Add(e)
	f := l.onEvent
	l.mu.Unlock()
	if f != nil {
		f(e)
	}
	if l.own != nil {
		l.own.Add(&e)
	}
	l.bus.Publish(e)
}

// environ is the child's environment; what was held back is said in one line.
func (l *live) environ(o sessionOptions) []string {
	observe := o.observe || len(l.compiled.Services) == 0
	e := session.Environ(session.EnvConfig{
		Parent: l.env.Environ, Session: l.id, Proxy: l.address, Files: l.files, NoProxy: l.compiled.NoProxy, Withheld: l.envRefs(),
		Placeholders: l.variables(), IsKey: config.IsKey, Pass: append(slices.Clone(l.compiled.PassEnv), o.passEnv...), PassAll: observe,
	})
	l.hide(append(slices.Clone(e.Seen), e.Readmitted...))
	if len(e.Withheld) > 0 {
		l.notice("not handed to the agent, since secrets are read from them: %s", strings.Join(e.Withheld, ", "))
	}
	switch {
	case len(e.Held) > 0:
		l.notice("not handed to the agent: %s (readmit with --pass-env NAME)", strings.Join(e.Held, ", "))
	case len(e.Seen) > 0:
		why := "no service is configured yet"
		if o.observe {
			why = "discover watches them being used"
		}
		l.notice("handed to the agent as they are, because %s: %s", why, strings.Join(e.Seen, ", "))
	}
	for _, n := range l.files.Notes {
		l.notice("%s", n)
	}
	return e.Vars
}

// hide keeps the values of variables that the child was handed on out of the log.
func (l *live) hide(names []string) {
	var values []keyring.Secret
	for _, n := range names {
		values = append(values, keyring.NewSecret([]byte(l.env.get(n))))
	}
	l.proxy.Hide(values)
}

// notice tells the human something: on standard error, or, while a view has the terminal,
// in the bar at once and on standard error when the view has ended.
func (l *live) notice(format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	l.mu.Lock()
	drawn := l.drawn
	if drawn {
		l.untold = append(l.untold, text)
	}
	l.mu.Unlock()
	if drawn {
		l.asker.tell(text)
		return
	}
	fmt.Fprintf(l.env.Stderr, "agentvault: %s\n", text)
}

// drawing says that a view has the terminal, until done is called.
func (l *live) drawing() (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drawn = true
	return func() {
		l.mu.Lock()
		l.drawn = false
		untold := l.untold
		l.untold = nil
		l.mu.Unlock()
		for _, text := range untold {
			fmt.Fprintf(l.env.Stderr, "agentvault: %s\n", text)
		}
	}
}

// finish writes the summary and what went wrong with the log.
func (l *live) finish(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logError != nil {
		fmt.Fprintf(w, "agentvault: %s (%d events are missing)\n", printable(l.logError.Error()), l.log.Lost())
	}
	f, _ := w.(*os.File)
	o := summary.Options{Session: shortID(l.id), Duration: time.Since(l.started)}
	if f != nil && isTerminal(f) {
		o.Width, o.Color = width(f), l.env.color(f)
	}
	_ = l.summary.Write(w, o) // there is nobody left to tell
}
