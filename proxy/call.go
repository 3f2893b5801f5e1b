package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// call is one exchange on its way through the proxy, and what the log will say of it.
// It belongs to the goroutine that handles the request; clock alone is shared.
type call struct {
	proxy     *Proxy
	event     event.Event
	begun     time.Time
	in        *http.Request // the child's, once it is known to hold no real secret; nil before
	rule      string        // that let it through, for the view
	asked     rule.Asked    // what it asks for, for the rules
	announced bool
	body      *childBody // read while the call is held; may be nil
	over      bool
	clock     clock
}

func (p *Proxy) begin(t *tunnel, method, scheme, path string) *call {
	c := new(call)
	c.begin(p, t, method, scheme, path)
	return c
}

// begin wants a zero call, which may be a part of something larger.
func (c *call) begin(p *Proxy, t *tunnel, method, scheme, path string) {
	c.proxy, c.begun = p, p.now()
	e := &c.event
	e.Session, e.Call, e.Time = p.config.Session, p.calls.Add(1), c.begun
	e.Method, e.Scheme, e.Host, e.Port, e.Path, e.Client = method, scheme, t.host, t.port, clipped(path), t.client
}

// started tells the log that the call goes out. A call that is refused is told twice
// all the same: every call in the log has a start and an end.
func (c *call) started() {
	if c.announced {
		return
	}
	c.announced = true
	c.event.Phase = event.Start
	c.proxy.config.Sink(c.event)
}

// ended tells the log how it went. The event is complete by then.
func (c *call) ended() {
	if c.over {
		return
	}
	c.over = true
	c.started()
	now := c.proxy.now()
	c.event.Phase, c.event.Time, c.event.Duration = event.End, now, now.Sub(c.begun)
	c.event.Timing = c.clock.timing(now)
	c.proxy.config.Sink(c.event)
}

// answered ends the call with an answer of ours.
func (c *call) answered(a Answer, v event.Verdict) {
	c.event.Verdict, c.event.Code, c.event.Reason, c.event.Status = v, a.Code, a.Message, a.Status
	c.ended()
}

// survive ends the call where a mistake of ours ended its handler. net/http would swallow
// the panic, and the log would show a call that never ends.
func (c *call) survive() {
	err := recover()
	if err == nil {
		return
	}
	if err != http.ErrAbortHandler {
		c.event.Verdict, c.event.Code, c.event.Reason = event.Failed, CodeUpstream, "agentvault failed on this call; this is a mistake in agentvault"
		c.ended()
	}
	panic(http.ErrAbortHandler) // and nothing of it reaches a terminal
}

// note is a call that never became a request.
func (p *Proxy) note(t *tunnel, method string, a Answer) {
	v := event.Failed
	if a.Code == CodeForbidden || a.Code == CodeLeak {
		v = event.Denied
	}
	p.begin(t, method, "tcp", "").answered(a, v)
}

// refuse answers the child and ends the call. A WebSocket client takes a status of ours
// for the server's last word (Codex gives up on any 4xx), where a closed connection
// makes it fall back to plain requests, whose answer says why.
func (c *call) refuse(w http.ResponseWriter, r *http.Request, a Answer, v event.Verdict) {
	c.keepRefused(a)
	c.answered(a, v)
	if isUpgrade(r.Header) {
		panic(http.ErrAbortHandler)
	}
	if isGRPC(r) {
		a.writeGRPC(w)
		return
	}
	a.write(w)
}

// clock collects the times of one exchange. The transport calls its hooks from other
// goroutines, and may go on dialling after the request took another connection.
type clock struct {
	mu                                     sync.Mutex
	name, nameDone, dial, dialDone         time.Time
	handshake, handshakeDone, got, byte1st time.Time
	kept, ahead                            bool
}

// set keeps the first of several times: the addresses of a name are tried side by side.
func (k *clock) set(t *time.Time, now time.Time) {
	k.mu.Lock()
	if t.IsZero() {
		*t = now
	}
	k.mu.Unlock()
}

func (k *clock) gotConn(i httptrace.GotConnInfo) {
	k.set(&k.got, time.Now())
	k.mu.Lock()
	k.kept = i.Reused
	k.mu.Unlock()
}

// made takes over the times of a connection that was made ahead. It wants them complete.
func (k *clock) made(ahead *clock) {
	ahead.mu.Lock()
	defer ahead.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.name, k.nameDone, k.dial, k.dialDone = ahead.name, ahead.nameDone, ahead.dial, ahead.dialDone
	k.handshake, k.handshakeDone, k.ahead = ahead.handshake, ahead.handshakeDone, true
}

func (k *clock) gotFirstByte() { k.set(&k.byte1st, time.Now()) }

// clockContext carries a clock to the dialer.
type clockContext struct {
	context.Context
	clock *clock
}

type clockKey struct{}

// Value implements context.Context.
func (c *clockContext) Value(key any) any {
	if _, ok := key.(clockKey); ok {
		return c.clock
	}
	return c.Context.Value(key)
}

func clockOf(ctx context.Context) *clock {
	k, _ := ctx.Value(clockKey{}).(*clock)
	return k
}

func (k *clock) timing(end time.Time) *event.Timing {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.got.IsZero() {
		return nil
	}
	t := &event.Timing{Kept: k.kept}
	if !k.kept {
		t.Ahead = k.ahead
		t.Name, t.Connect, t.TLS = span(k.name, k.nameDone), span(k.dial, k.dialDone), span(k.handshake, k.handshakeDone)
	}
	t.Wait, t.Body = span(k.got, k.byte1st), span(k.byte1st, end)
	return t
}

func span(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from)
}

// What the log and the screen keep of a path. An agent chooses its paths, and net/http
// lets them be as long as the whole head.
const maxPath = 2 << 10

func clipped(path string) string {
	if len(path) <= maxPath {
		return path
	}
	return path[:maxPath] + "…"
}
