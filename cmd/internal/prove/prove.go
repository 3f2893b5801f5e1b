// Package prove sends real requests through the proxy of a session and decides, from
// both of its sides, whether the right credential was used: from the child's side by
// the answer, from ours by the events and by what a server of our own was sent.
//
// For each test of a service it makes these checks: the answer is the expected one;
// one credential was added, the configured one, in the configured place; nothing that
// the child could see holds it; a host that no service covers does not get it; and the
// placeholder is refused there. A check that cannot be made is skipped and says why: it
// never passes.
//
// Nothing that the package returns holds a secret, even where a check finds one out.
package prove

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/rule"
	"agentvault/proxy/scrub"
)

const (
	// requestTime is for one request. The slowest identity requests take some seconds.
	requestTime = 30 * time.Second
	// eventTime is how long an event may come behind the answer that the client has seen.
	eventTime = 5 * time.Second
	// maxBody is how much of an answer is looked at, in bytes.
	maxBody = 4 << 20
)

// Result is what became of a check.
type Result string

// The results.
const (
	Passed  Result = "passed"
	Failed  Result = "failed"
	Skipped Result = "skipped"
)

// Check is one line of the report.
type Check struct {
	Service string
	Test    string // the request: "GET /user"; "" where there is none
	Name    string // what holds when it passes: "GET /user answers 200"
	Result  Result
	Detail  string // what was seen, or why it was skipped
	Hint    string // what to do about a failure
	Took    time.Duration
}

// Prover makes the checks, one after the other: it belongs to one goroutine. All fields
// but Exchanged and Tunnel are required.
type Prover struct {
	// Client speaks through the session's proxy, trusts its authority, and follows no
	// redirect. It must not keep connections, over which net/http sends a request twice.
	Client *http.Client
	Events *Recorder
	Decoy  *Decoy
	// Resolve gets a secret as the session does, with its binding.
	Resolve func(context.Context, keyring.Ref) (keyring.Item, error)
	// Exchanged is the token that goes out in a secret's stead; the zero Secret where the
	// secret itself does.
	Exchanged func(ctx context.Context, s config.CompiledService, secret keyring.Secret) keyring.Secret
	// Placeholder is what the session's child holds for a service; "" is nothing.
	Placeholder func(config.CompiledService) string
	Rules       *rule.Set
	Tunnel      []rule.Host
}

// Service makes every check of one service and hands each to report as it is made.
func (p *Prover) Service(ctx context.Context, s config.CompiledService, report func(Check)) {
	if len(s.Tests) == 0 {
		report(Check{Service: s.Name, Name: "has a test", Result: Skipped, Detail: "no test and no identity request in the catalogue",
			Hint: `add to the service: test = [{ request = "GET /path", status = 200 }]`})
		return
	}
	away := false
	for _, t := range s.Tests {
		if ctx.Err() != nil {
			return
		}
		x := &trial{p: p, s: s, t: t, report: report}
		at, sent := x.run(ctx)
		if sent && !away && !s.Secret.IsZero() { // once a service: the host decides, not the request
			away = true
			x.checkElsewhere(ctx, at)
			x.checkPlaceholder(ctx, at)
		}
	}
}

// trial is one test on its way.
type trial struct {
	p      *Prover
	s      config.CompiledService
	t      config.Test
	report func(Check)

	endpoint *config.Endpoint // nil where no rule covers the request
	held     string           // the placeholder that the child has; "" for none
	secret   keyring.Item
	search   *scrub.Scrubber
}

// answer is what the child's side saw.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
	events []event.Event // ends alone
	took   time.Duration
}

// run sends the request and checks what came of it. sent is false where it could not be.
func (x *trial) run(ctx context.Context) (at target, sent bool) {
	at, err := x.target()
	if err != nil {
		x.add(x.label()+" can be sent", Failed, err.Error(), `write the host into the request: "GET https://host/path"`, 0)
		return at, false
	}
	x.held = x.p.Placeholder(x.s)
	if m := x.p.Rules.MatchAsked(at.host, at.port, x.t.Method, at.url.EscapedPath(), x.asked(at)); m.Kind == rule.Covered && m.Service == x.s.Name {
		x.endpoint = &x.s.Endpoints[m.Endpoint]
	}
	r, err := x.request(ctx, at, x.presents())
	if err != nil {
		x.add(x.label()+" can be sent", Failed, err.Error(), "", 0)
		return at, false
	}
	a := x.send(r)
	x.learn(ctx)
	x.checkAnswer(a, at)
	x.checkInjection(a, at)
	x.checkClean(a)
	return at, true
}

// learn gets the secret that was sent, to look for it. It comes after the request: the
// proxy may have had it refreshed.
func (x *trial) learn(ctx context.Context) {
	var secrets []scrub.Secret
	add := func(s keyring.Secret) {
		secrets = append(secrets, scrub.Secret{Value: s.Reveal(), Mask: "‹" + x.s.Name + "›"}) // to be searched for
	}
	refs := []keyring.Ref{x.s.Secret}
	if x.endpoint != nil {
		refs = append(refs, x.endpoint.SessionToken)
	}
	for _, ref := range refs {
		if ref.IsZero() {
			continue
		}
		item, err := x.p.Resolve(ctx, ref)
		if err != nil {
			continue // the proxy has said so in its answer
		}
		if ref.String() == x.s.Secret.String() {
			x.secret = item
			if x.p.Exchanged != nil {
				add(x.p.Exchanged(ctx, x.s, item.Value))
			}
		}
		add(item.Value)
	}
	x.search = scrub.New(secrets)
}

func (x *trial) label() string {
	path, _, _ := strings.Cut(x.t.Path, "?")
	return x.t.Method + " " + path
}

// add reports a check, with every secret taken out of what it says.
func (x *trial) add(name string, r Result, detail, hint string, took time.Duration) {
	clean := func(s string) string {
		s, _ = x.search.String(s)
		return s
	}
	x.report(Check{Service: x.s.Name, Test: x.label(), Name: clean(name), Result: r, Detail: clean(detail), Hint: clean(hint), Took: took})
}

// send makes one call and waits for its events.
func (x *trial) send(r *http.Request) answer {
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	mark, begun := x.p.Events.mark(), time.Now()
	a := answer{}
	resp, err := x.p.Client.Do(r.WithContext(ctx))
	if err == nil {
		a.status, a.header = resp.StatusCode, resp.Header
		a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
		_ = resp.Body.Close()
	}
	a.err, a.took = err, time.Since(begun)
	a.events = x.p.Events.since(r.Context(), mark)
	return a
}

// end is the event of the call; the zero Event where none came.
func (a answer) end() event.Event {
	if len(a.events) == 0 {
		return event.Event{}
	}
	return a.events[len(a.events)-1]
}

// refusal is why a call did not get an answer of the server's, in the proxy's words.
func (a answer) refusal() string {
	e := a.end()
	switch {
	case e.Reason != "":
		return e.Reason
	case a.err != nil:
		return a.err.Error()
	case len(a.events) == 0:
		return "no event came from the proxy"
	}
	return fmt.Sprintf("verdict %q", e.Verdict)
}
