package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/scrub"
)

// Know teaches the proxy a secret before its first use, so that it is found where it
// must not be from the first request on. Values that are shorter than 8 bytes cannot be
// searched (see package scrub). It may be called at any time.
func (p *Proxy) Know(service string, item keyring.Item) {
	p.guard.learn(service, p.rules.Load().mask(service), item.Value)
}

// mask is what the child sees in place of a service's secret.
func (r *Rules) mask(service string) string {
	if m, ok := r.masks[service]; ok {
		return m
	}
	return "‹" + service + "›"
}

// leakInHead looks for a real secret in what the child wrote into the head of its
// request. The path is the escaped one.
func (g *guard) leakInHead(r *http.Request, path string) (where string, found bool) {
	s := g.leaks()
	if s == nil {
		return "", false
	}
	if holds(s, path) {
		return "the path", true
	}
	if holds(s, r.URL.RawQuery) {
		return "the query", true
	}
	for name, values := range r.Header {
		for _, v := range values {
			if holds(s, v) {
				return "header " + name, true
			}
		}
	}
	return "", false
}

func holds(s *scrub.Scrubber, text string) bool {
	_, found := s.String(text)
	return found
}

// leaks searches requests for all known secrets that cannot be guessed; nil while there
// is none.
func (g *guard) leaks() *scrub.Scrubber {
	if k := g.known.Load(); k != nil {
		return k.leaks
	}
	return nil
}

// leakedTrailer is the error of a body whose trailer holds a secret.
func (g *guard) leakedTrailer(h http.Header) error {
	s := g.leaks()
	for _, values := range h {
		for _, v := range values {
			if s != nil && holds(s, v) {
				return scrub.ErrFound
			}
		}
	}
	return nil
}

func leakAnswer(where string) Answer {
	return Answer{Status: http.StatusForbidden, Code: CodeLeak,
		Message: fmt.Sprintf("%s of the request holds the value of a real secret of this session, and it was stopped", where),
		Help:    "the value did not come from the session's environment, which holds placeholders only: use the placeholder, and tell the human where the value was found"}
}

// refuseLeak ends a call whose head holds a secret. What the log keeps is masked like
// everything else.
func (c *call) refuseLeak(w http.ResponseWriter, r *http.Request, where string) {
	c.refuse(w, r, leakAnswer(c.proxy.guard.mask(strings.TrimSpace(where))), event.Denied)
}
