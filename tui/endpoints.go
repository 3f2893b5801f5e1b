package tui

import (
	"strings"
	"time"

	"agentvault/proxy/event"
)

// keepEndpoints bounds the table: no real session comes near, and an agent that makes up
// host names fills no memory.
const keepEndpoints = 2_000

// Endpoint is a method, a host and a path template with the operation behind it, and what became of the calls to it.
type Endpoint struct {
	Method, Scheme, Host string
	Port                 int
	Template             string

	Calls   uint64
	Alerts  uint64 // calls that were uncovered or denied
	Verdict event.Verdict
	Service string
	Alert   event.Verdict // the last of them: uncovered, denied, or neither yet
	Reason  string        // of the last alert, or of the last call where there is none
	Auth    string        // the kind of credential that the child sent last
	Status  int           // of the last call that ended with one
	First   time.Time
	Last    time.Time
	Path    string // of the last call that was not covered, or of the last call
	// Unread says that Alert is set and that nobody has said "read" since.
	Unread bool

	missed bool // a call was not covered
	opaque bool // nothing is known of its paths: a tunnel, a failed handshake
}

// Covered says whether a service covered every call to the endpoint.
func (p *Endpoint) Covered() bool { return !p.missed }

// uncovered says whether a call to it wanted to be covered.
func (p *Endpoint) uncovered() bool {
	return p.Alert == event.Uncovered || p.Alert == event.Denied && p.missed
}

// counts says whether the endpoint counts for coverage.
func (p *Endpoint) counts() bool { return p.Verdict != "" && !p.opaque }

// HostPort is the host, with the port where that is not the scheme's own.
func (p *Endpoint) HostPort() string { return event.HostPort(p.Scheme, p.Host, p.Port) }

type endpointKey struct {
	method, host string
	port         int
	template     string
}

// endpoints is the table, in the order of first sight, so that nothing in it jumps.
type endpoints struct {
	list []*Endpoint
	byID map[endpointKey]*Endpoint
	over uint64 // calls to endpoints for which there was no room
}

func (t *endpoints) find(e event.Event, folded string) *Endpoint {
	key := endpointKey{e.Method, e.Host, e.Port, folded}
	if p, ok := t.byID[key]; ok {
		return p
	}
	if len(t.list) >= keepEndpoints {
		return nil
	}
	if t.byID == nil {
		t.byID = make(map[endpointKey]*Endpoint)
	}
	p := &Endpoint{Method: e.Method, Scheme: e.Scheme, Host: e.Host, Port: e.Port, Template: folded, First: e.Time}
	t.list, t.byID[key] = append(t.list, p), p
	return p
}

// start counts a call. Its verdict may be known already.
func (t *endpoints) start(e event.Event, folded string) {
	p := t.find(e, folded)
	if p == nil {
		t.over++
		return
	}
	p.Calls++
	p.Last = e.Time
	p.judge(e, "")
}

// end takes in what the end of a call says that its start, which said before, did not.
func (t *endpoints) end(e event.Event, folded string, before event.Verdict) {
	p := t.find(e, folded)
	if p == nil {
		return
	}
	if e.Status > 0 {
		p.Status = e.Status
	}
	p.judge(e, before)
}

// judge takes in a verdict that is known before the call ends.
func (t *endpoints) judge(e event.Event, folded string, before event.Verdict) {
	if p := t.find(e, folded); p != nil {
		p.judge(e, before)
	}
}

func (p *Endpoint) judge(e event.Event, before event.Verdict) {
	if e.Verdict == "" {
		return
	}
	if alerting(e.Verdict) && !alerting(before) {
		p.Alerts++
	}
	// One that was read stays read, unless it is refused in another way than before. A
	// call that is fine does not make another one unseen.
	if alerting(e.Verdict) && e.Verdict != p.Alert {
		p.Alert = e.Verdict
		// Whoever let a held call go out, or refused it, has seen it.
		p.Unread = before != event.Held || e.Verdict == event.Denied && !strings.HasSuffix(e.Reason, event.Refused)
	}
	if e.Verdict != event.Held && !covered(&e) {
		p.missed = true
	}
	p.opaque = e.Verdict == event.Tunnelled || e.Method == "CONNECT" && e.Path == "" || e.Scheme == "tcp"
	p.Verdict, p.Service, p.Auth = e.Verdict, e.Service, e.Auth
	if p.Path == "" || !covered(&e) || !p.missed {
		p.Path = e.Path
	}
	if e.Reason != "" && (alerting(e.Verdict) || p.Alert == "") {
		p.Reason = e.Reason
	}
}

func (t *endpoints) copy() endpoints {
	d := endpoints{byID: make(map[endpointKey]*Endpoint, len(t.byID)), over: t.over}
	for key, p := range t.byID {
		own := *p
		d.byID[key] = &own
	}
	for _, p := range t.list {
		d.list = append(d.list, d.byID[endpointKey{p.Method, p.Host, p.Port, p.Template}])
	}
	return d
}

// Endpoints is the table in the order of first sight. It is the Store's own.
func (s *Store) Endpoints() []*Endpoint { return s.endpoints.list }

// Uncounted is how many calls went to endpoints that the table had no room for.
func (s *Store) Uncounted() uint64 { return s.endpoints.over }

// Unread appends the endpoints that ask for a look, in the order of first sight.
func (s *Store) Unread(dst []*Endpoint) []*Endpoint {
	for _, p := range s.endpoints.list {
		if p.Unread {
			dst = append(dst, p)
		}
	}
	return dst
}

// EndpointsWith is how many endpoints had verdict v when they were last called. One that was
// uncovered or denied before a call to it failed is that still.
func (s *Store) EndpointsWith(v event.Verdict) uint64 {
	var n uint64
	for _, p := range s.endpoints.list {
		if p.Verdict == v || p.Verdict == event.Failed && p.Alert == v {
			n++
		}
	}
	return n
}

// Acknowledge marks every endpoint as read.
func (s *Store) Acknowledge() {
	for _, p := range s.endpoints.list {
		p.Unread = false
	}
}

// Coverage is the share of the endpoints that a service covers, in per cent, rounded
// down so that 100 means all of them. It says no while there is no endpoint.
func (s *Store) Coverage() (percent int, ok bool) {
	total, good := 0, 0
	for _, p := range s.endpoints.list {
		if p.counts() {
			total++
			if p.Covered() {
				good++
			}
		}
	}
	if total == 0 {
		return 0, false
	}
	return good * 100 / total, true
}
