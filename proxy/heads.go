package proxy

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

const (
	// KeepHeads is how many calls' headers are kept while somebody looks: what a human can
	// have seen on the screen, in at most KeepHeads * 2 * headBytes = 8 MB.
	KeepHeads = 500
	// What is kept of each direction of a call, and of one value. A real request has 10 to
	// 25 lines of 5 to 150 bytes; an agent may send a megabyte.
	headLines = 64
	headBytes = 8 << 10
	headValue = 400
)

// heads remembers the headers of the newest calls while somebody looks, and costs one
// atomic load a call while nobody does. What stands in a credential slot is not kept at
// all: it is masked as it comes. The zero heads is ready; it is safe for concurrent use.
type heads struct {
	watchers atomic.Int32

	mu   sync.Mutex
	ring []kept // call n is at n % KeepHeads; nil while nobody looks

	masks atomic.Pointer[headMasks]
}

// kept is one call's headers. Its lists are used again by the call that takes its place.
type kept struct {
	call              uint64
	rule              string
	request, response []event.Field
	more              int
	size              int // of the list that is being filled
}

// headMasks finds whatever must not be shown, wherever it stands. It belongs to what was
// known when it was made.
type headMasks struct {
	known *known
	rules *Rules
	all   *scrub.Scrubber
}

// Watch keeps the headers of calls, for Head, from now on until stop is called. Without a
// watcher none are kept. Both may be called at any time, stop more than once.
func (p *Proxy) Watch() (stop func()) {
	h := &p.heads
	h.watchers.Add(1)
	return sync.OnceFunc(func() {
		if h.watchers.Add(-1) > 0 {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.watchers.Load() == 0 {
			h.ring = nil
		}
	})
}

// Head returns the headers of a call, where they were kept and have not been replaced by
// those of later calls. No secret of the session, no placeholder and nothing that stood in
// a credential slot is in them.
func (p *Proxy) Head(call uint64) (event.Head, bool) {
	h := &p.heads
	h.mu.Lock()
	k := h.of(call)
	if k == nil {
		h.mu.Unlock()
		return event.Head{}, false
	}
	head := event.Head{Call: call, Rule: k.rule, Request: slices.Clone(k.request), Response: slices.Clone(k.response), More: k.more}
	h.mu.Unlock()
	s := p.headScrubber()
	for _, fields := range [][]event.Field{head.Request, head.Response} {
		for i := range fields {
			f := &fields[i]
			f.Name, _ = s.String(f.Name)
			f.Value, _ = s.String(f.Value)
			f.Value = harmless(f.Name, f.Value)
		}
		slices.SortStableFunc(fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return head, true
}

// of wants mu held.
func (h *heads) of(call uint64) *kept {
	if h.ring == nil {
		return nil
	}
	if k := &h.ring[call%KeepHeads]; k.call == call && call != 0 {
		return k
	}
	return nil
}

// keepRequest keeps what leaves. What the child sent is compared line by line with what is
// sent: a line that differs was written by an injector and is the service's, whatever it
// holds.
func (x *exchange) keepRequest(out *http.Request) {
	h := &x.proxy.heads
	if h.watchers.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.take(x.call.event.Call)
	k.rule = x.call.rule
	service := ""
	if x.injected {
		service = x.service.Name
	}
	slot, _ := strings.CutPrefix(x.call.event.Where, "header ")
	for name, values := range out.Header {
		ours := service != "" && (!same(values, x.in.Header[name]) || slot == name)
		for _, v := range values {
			k.request = k.add(k.request, name, x.shown(name, v, service, ours))
		}
	}
}

// keepRefused keeps what the child sent with a call that waits, or went nowhere. What
// holds a real secret is not kept.
func (c *call) keepRefused(a Answer) {
	h := &c.proxy.heads
	if h.watchers.Load() == 0 || c.in == nil || a.Code == CodeLeak {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of(c.event.Call) != nil {
		return // it had left before
	}
	k := h.take(c.event.Call)
	for name, values := range c.in.Header {
		for _, v := range values {
			k.request = k.add(k.request, name, ownValue(name, v))
		}
	}
}

// keepResponse keeps what came back: its head, and later its trailer.
func (x *exchange) keepResponse(from http.Header) {
	h := &x.proxy.heads
	if h.watchers.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.of(x.call.event.Call)
	if k == nil {
		return
	}
	for name, values := range from {
		if x.g.named(name) {
			continue
		}
		for _, v := range x.g.clean(values) {
			k.response = k.add(k.response, name, theirValue(name, v))
		}
	}
}

// take is the place of a call. It wants mu held.
func (h *heads) take(call uint64) *kept {
	if h.ring == nil {
		h.ring = make([]kept, KeepHeads)
	}
	k := &h.ring[call%KeepHeads]
	clear(k.request)
	clear(k.response)
	*k = kept{call: call, request: k.request[:0], response: k.response[:0]}
	return k
}

// add keeps a line, or counts it where there is no room. Headers that belong to one
// connection are left out: one of them is the session's own token.
func (k *kept) add(fields []event.Field, name, value string) []event.Field {
	switch name { // as hops has them; net/http gives names in this form
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return fields
	}
	name, value = shorten(name, 64), shorten(value, headValue)
	if len(fields) == 0 {
		k.size = 0
	}
	size := k.size + len(name) + len(value)
	if len(fields) == headLines || size > headBytes {
		k.more++
		return fields
	}
	k.size = size
	return append(fields, event.Field{Name: name, Value: value})
}

// shorten lets go of what it cuts off.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.Clone(strings.ToValidUTF8(s[:most], "")) + "…"
}

// same says that nobody has changed the lines of a header: who does makes new ones.
func same(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// headScrubber finds every secret that the session has sent and every placeholder. It is
// made anew when either has changed.
func (p *Proxy) headScrubber() *scrub.Scrubber {
	known, rules := p.guard.known.Load(), p.rules.Load()
	if m := p.heads.masks.Load(); m != nil && m.known == known && m.rules == rules {
		return m.all
	}
	var secrets []scrub.Secret
	if known != nil {
		for name, m := range known.services {
			for _, v := range m.values {
				secrets = append(secrets, scrub.Secret{Value: v.Reveal(), Mask: "‹" + strings.TrimSuffix(name, tokenSuffix) + "›"})
			}
		}
	}
	for _, s := range rules.Services {
		if s.Placeholder != "" {
			secrets = append(secrets, scrub.Secret{Value: s.Placeholder, Mask: "‹" + s.Name + "›"})
		}
	}
	m := &headMasks{known, rules, scrub.New(secrets)}
	p.heads.masks.Store(m)
	return m.all
}
