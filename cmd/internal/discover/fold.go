package discover

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

const (
	// maxEndpoints bounds a Folder. An agent that makes up hosts or paths fills no memory;
	// no real session comes near.
	maxEndpoints = 20_000
	// maxSamples durations of an endpoint are kept for the median; of more calls it is the
	// median of as many drawn at random.
	maxSamples = 255
)

// Folder folds the events of one session, or of several, into endpoints as they come. The
// zero Folder is ready for use; it is not safe for concurrent use.
type Folder struct {
	calls     event.Calls
	found     map[endpointKey]*entry
	templates Templates
	over      int
	random    *rand.Rand
}

type endpointKey struct {
	kind         Kind
	method, host string
	port         int
	path         string
	operation    string
}

type entry struct {
	Endpoint
	rule    string // Allow without its method
	beyond  int    // of Missed, the calls that no configuration would let through
	samples []time.Duration
	auth    map[string]bool
}

// Endpoints folds events into endpoints, in the order of the report: by host, port, path
// and method. A call whose end is not among the events is counted as open.
func Endpoints(events []event.Event) []Endpoint {
	var f Folder
	for _, e := range events {
		f.Add(&e)
	}
	return f.Endpoints()
}

// Add takes the next event and reports whether it completed a call; e is then the whole
// call, see event.Calls.
func (f *Folder) Add(e *event.Event) (whole bool) {
	if !f.calls.Add(e) {
		return false
	}
	if e.Host == "" {
		return true
	}
	if p := f.entry(f.found, e); p != nil {
		p.add(e, f.draw)
	}
	return true
}

// Over is how many calls went to endpoints for which there was no room.
func (f *Folder) Over() int { return f.over }

// Endpoints returns what was found so far; the calls that are open are among it. The
// Folder can be used on.
func (f *Folder) Endpoints() []Endpoint {
	open := f.calls.Open()
	found := f.found
	if len(open) > 0 {
		found = make(map[endpointKey]*entry, len(f.found))
		for key, p := range f.found {
			found[key] = p.clone()
		}
	}
	over := f.over
	for i := range open {
		if open[i].Host == "" {
			continue
		}
		if p := f.entry(found, &open[i]); p != nil {
			p.Open++
			p.add(&open[i], f.draw)
		}
	}
	f.over = over
	list := make([]Endpoint, 0, len(found))
	for _, p := range found {
		list = append(list, p.finish())
	}
	slices.SortFunc(list, compareEndpoints)
	return list
}

// entry finds the place of a call, or makes it; nil when there is no room.
func (f *Folder) entry(found map[endpointKey]*entry, e *event.Event) *entry {
	kind := kindOf(e)
	key := endpointKey{kind: kind, host: e.Host, port: e.Port}
	if kind == Call {
		key.method, key.path, key.operation = e.Method, f.templates.Of(e.Host, e.Path), e.Operation
	}
	if p := found[key]; p != nil {
		return p
	}
	if len(found) >= maxEndpoints {
		f.over++
		return nil
	}
	if found == nil {
		f.found = make(map[endpointKey]*entry)
		found = f.found
	}
	p := &entry{Endpoint: Endpoint{
		Kind: kind, Method: key.method, Scheme: e.Scheme, Host: e.Host, Port: e.Port, Path: key.path, Operation: key.operation,
		First: e.Time, Covered: true, Label: labelOf(e.Host, e.Path),
	}}
	found[key] = p
	return p
}

// draw gives a number below n. The seed is fixed: a report of one log is always the same.
func (f *Folder) draw(n int) int {
	if f.random == nil {
		f.random = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a sample, not a secret
	}
	return f.random.IntN(n)
}

// add counts one call.
func (p *entry) add(e *event.Event, draw func(int) int) {
	p.Calls++
	if e.Time.Before(p.First) {
		p.First = e.Time
	}
	if e.Time.After(p.Last) {
		p.Last = e.Time
	}
	if e.Status != 0 {
		if p.Statuses == nil {
			p.Statuses = make(map[int]int)
		}
		p.Statuses[e.Status]++
		p.LastStatus = e.Status
	}
	p.Sent += e.Sent
	p.Received += e.Received
	if e.Duration > 0 {
		if len(p.samples) < maxSamples {
			p.samples = append(p.samples, e.Duration)
		} else if i := draw(p.Calls); i < maxSamples {
			p.samples[i] = e.Duration
		}
	}
	p.judge(e)
	if p.Kind == Call {
		p.widen(e.Path)
	}
}

// judge takes in the verdict on one call.
func (p *entry) judge(e *event.Event) {
	missed := !Covers(e)
	if missed {
		p.Missed++
		p.Covered = false
		if !mends(e) {
			p.beyond++
		}
	}
	if missed || p.Missed == 0 {
		p.Verdict, p.Reason = e.Verdict, e.Reason
	}
	switch e.Verdict {
	case event.Denied:
		p.Denied++
		p.Trouble = e.Reason
	case event.Failed:
		p.Failed++
		p.Trouble = e.Reason
	}
	if e.Service != "" {
		p.Service = e.Service
	}
	if e.Client != "" {
		p.Client = e.Client
	}
	if e.Auth != "" && !p.auth[e.Auth] && len(p.auth) < 16 {
		if p.auth == nil {
			p.auth = make(map[string]bool)
		}
		p.auth[e.Auth] = true
	}
}

// widen makes the endpoint's rule match this path too. A rule is matched against every
// way in which an origin could read a path, so a name with an encoded slash needs "**",
// for it is one segment to some and two to others. Doubled slashes are merged by the rules.
func (p *entry) widen(path string) {
	if p.rule == "" {
		p.rule = ruleOf(p.Path)
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if !strings.Contains(path, "%2F") && !strings.Contains(path, "%2f") {
		return
	}
	wide, real := strings.Split(p.Path, "/"), strings.Split(path, "/")
	old := strings.Split(p.rule, "/")
	if len(old) != len(wide) {
		old = wide
	}
	for i := range wide {
		if i < len(real) && strings.Contains(strings.ToLower(real[i]), "%2f") || old[i] == "**" {
			wide[i] = "**"
		}
		if wide[i] == "**" && strings.Contains(p.Path, "**") {
			break // what the template swallowed does not stand at the same place
		}
	}
	p.rule = ruleOf(strings.Join(wide, "/"))
}

// ruleOf makes a template a path that a rule may have: no empty segments, no stars within
// a literal that the rules would take for their own.
func ruleOf(template string) string {
	var segments []string
	for s := range strings.SplitSeq(template, "/") {
		switch {
		case s == "":
			continue
		case s != "**" && strings.Contains(s, "**"):
			s = "*"
		}
		segments = append(segments, s)
	}
	return "/" + strings.Join(segments, "/")
}

func (p *entry) clone() *entry {
	c := *p
	c.Statuses = maps.Clone(p.Statuses)
	c.samples = slices.Clone(p.samples)
	c.auth = maps.Clone(p.auth)
	return &c
}

// finish gives the endpoint with what is computed at the end.
func (p *entry) finish() Endpoint {
	e := p.Endpoint
	e.Statuses = maps.Clone(p.Statuses)
	e.Auth = slices.Sorted(maps.Keys(p.auth))
	if n := len(p.samples); n > 0 {
		sorted := slices.Sorted(slices.Values(p.samples))
		e.Median = (sorted[(n-1)/2] + sorted[n/2]) / 2
	}
	e.Grade = gradeOf(&e)
	if op := e.Method + " " + p.rule; e.Kind == Call && e.Method != "*" && (p.beyond == 0 || p.beyond < p.Missed) {
		if _, err := rule.ParseOp(op); err == nil {
			e.Allow = narrowed(op, e.Asked())
		}
	}
	return e
}
