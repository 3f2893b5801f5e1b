package proxy

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
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

// keepResponse keeps what came back.
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

// shown is a value of a request as the view shows it.
func (x *exchange) shown(name, v, service string, ours bool) string {
	if ours {
		return authScheme(v) + "‹" + service + "›"
	}
	for _, f := range x.found {
		if where, ok := strings.CutPrefix(f.Where, "header "); ok && strings.TrimSuffix(where, " (Basic)") == name {
			return authScheme(v) + standInOf(f.Service)
		}
	}
	return ownValue(name, v)
}

// standInOf is what the view shows for a placeholder that was not replaced.
func standInOf(service string) string { return "‹placeholder of " + service + "›" }

const ownMark = "‹own›"

// ownValue is a value that the agent sent by itself.
func ownValue(name, v string) string {
	switch {
	case strings.EqualFold(name, "Cookie"):
		return maskCookies(v, ownMark)
	case secretive(name):
		return authScheme(v) + ownMark
	}
	return v
}

// theirValue is a value that the server sent.
func theirValue(name, v string) string {
	const masked = "‹masked›"
	switch {
	case strings.EqualFold(name, "Set-Cookie"):
		first, rest, more := strings.Cut(v, ";")
		first = maskCookies(first, masked)
		if more {
			first += ";" + rest
		}
		return first
	case secretive(name) && !strings.EqualFold(name, "Www-Authenticate"):
		return authScheme(v) + masked
	}
	return v
}

// maskCookies keeps the names.
func maskCookies(v, mask string) string {
	var b strings.Builder
	for piece := range strings.SplitSeq(v, ";") {
		if b.Len() > headValue {
			break // the rest is cut anyway
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		name, _, named := strings.Cut(strings.TrimSpace(piece), "=")
		if named { // a cookie without a name is all value
			b.WriteString(shorten(name, 64) + "=")
		}
		b.WriteString(mask)
	}
	return b.String()
}

// secretive says whether a header's name reads like one that carries a credential, or
// what stands for a login.
func secretive(name string) bool {
	if inject.CredentialHeader(name) {
		return true
	}
	for start, i := 0, 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' && name[i] != '_' {
			continue
		}
		for _, word := range [...]string{"session", "sessionid", "sid", "signature", "csrf", "xsrf", "assertion", "ticket", "otp", "nonce", "bearer"} {
			if len(word) == i-start && strings.EqualFold(name[start:i], word) {
				return true
			}
		}
		start = i + 1
	}
	return false
}

// authScheme is the scheme of a credential with the blank behind it, where it is one that
// everybody knows; nothing else of a value is ever shown.
func authScheme(v string) string {
	word, _, ok := strings.Cut(v, " ")
	if !ok {
		return ""
	}
	for _, known := range [...]string{"Bearer", "Basic", "token", "Token", "ApiKey", "Key", "OAuth", "Digest", "Negotiate", "DPoP",
		"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "GenieKey", "Bot", "SSWS", "Splunk"} {
		if strings.EqualFold(word, known) {
			return known + " "
		}
	}
	return ""
}

// harmless leaves out of a value what may open a door though no header's name says so: the
// query of a URL (a signed link is as good as a password), the login before its host, a
// token that can be told by its shape.
func harmless(name, v string) string {
	if !strings.ContainsAny(v, "?#@") && !strings.Contains(v, "eyJ") {
		return v
	}
	link := false
	switch http.CanonicalHeaderKey(name) {
	case "Location", "Content-Location", "Referer", "Link", "Refresh":
		link = true
	}
	var b strings.Builder
	for word := range strings.SplitAfterSeq(v, " ") {
		b.WriteString(withoutToken(withoutQuery(word, link)))
	}
	return b.String()
}

// withoutQuery wants a text without blanks but at its end. Only what has a slash is taken
// for an address, unless a link is expected.
func withoutQuery(word string, link bool) string {
	if _, rest, ok := strings.Cut(word, "://"); ok {
		host := rest
		if end := strings.IndexAny(rest, "/?#>\"', "); end >= 0 {
			host = rest[:end]
		}
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			word = word[:len(word)-len(rest)] + ownMark + rest[at:]
		}
	}
	begin := strings.IndexAny(word, "?#")
	if begin < 0 || !link && !strings.Contains(word[:begin], "/") {
		return word
	}
	rest := word[begin+1:]
	length := len(rest)
	if end := strings.IndexAny(rest, ">\"', "); end >= 0 {
		length = end
	}
	if length == 0 {
		return word
	}
	return word[:begin+1] + "…" + rest[length:]
}

// withoutToken masks a JSON Web Token: base64 of an object, and dots.
func withoutToken(word string) string {
	const shortest = 40 // of a header and a payload without a claim
	begin := strings.Index(word, "eyJ")
	if begin < 0 {
		return word
	}
	rest := strings.TrimLeftFunc(word[begin:], func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	})
	token := word[begin : len(word)-len(rest)]
	if len(token) < shortest || !strings.Contains(token, ".") {
		return word
	}
	return word[:begin] + "‹token›" + rest
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
