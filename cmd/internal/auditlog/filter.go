package auditlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
)

// Filter chooses calls. The zero Filter chooses all. It belongs to one goroutine.
type Filter struct {
	some map[string][]test // by key: one of them must hold
	none []test            // none of them may hold
	host string            // a literal that stands in every line that fits, or empty
}

type test func(e *event.Event) bool

// keys are the keys that a term may have.
func keys() []string {
	return []string{"host", "path", "endpoint", "method", "status", "verdict", "service", "client", "auth", "asked", "secret", "label", "state", "session", "code", "scheme", "call"}
}

func verdicts() []string {
	return []string{string(event.Injected), string(event.Passed), string(event.Uncovered), string(event.Denied),
		string(event.Held), string(event.Tunnelled), string(event.Bypassed), string(event.Failed)}
}

// ParseFilter reads terms: KEY:VALUE, or a text that must occur somewhere in the call. They
// are those of the inspector, with the same meanings: a value is looked for within its
// field, in any case. Terms of one key are alternatives, different keys must all hold, and
// a "!" or "-" before a term turns it around.
//
//	host:github          within the host and port
//	status:4xx           also 404, >=400, <300, none (no answer)
//	verdict:uncovered    one of the verdicts
//	endpoint:/repos/*/*  the whole template of the path, as reports show it
//	path: service: secret: method: label: session: auth: client: code: scheme: state: asked: call:
//
// In a value other than an endpoint's, * stands for anything and ties the rest to its
// place: path:/repos/*/pulls from the start, secret:*github to the end. none is no value.
func ParseFilter(terms []string) (*Filter, error) {
	f := &Filter{some: make(map[string][]test)}
	var hosts []string
	for _, term := range terms {
		body, not := strings.CutPrefix(term, "!")
		if !not && len(term) > 1 {
			body, not = strings.CutPrefix(term, "-")
		}
		key, value, ok := strings.Cut(body, ":")
		key = strings.ToLower(key)
		if !ok || strings.ContainsAny(key, "/. ") {
			key, value = "text", body
		}
		if value == "" {
			return nil, fmt.Errorf("filter %q: no value", term)
		}
		t, err := parseTest(key, value)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", term, err)
		}
		if not {
			f.none = append(f.none, t)
			continue
		}
		if key == "text" { // texts are not alternatives: each narrows the search
			key += strconv.Itoa(len(f.some))
		}
		f.some[key] = append(f.some[key], t)
		if key == "host" {
			hosts = append(hosts, value)
		}
	}
	if len(hosts) == 1 && !strings.ContainsAny(hosts[0], "*:") && hosts[0] != "none" {
		f.host = strings.ToLower(hosts[0])
	}
	return f, nil
}

func parseTest(key, value string) (test, error) {
	value = strings.ToLower(value)
	text := func(get func(e *event.Event) string) test {
		match := matcher(value, false)
		return func(e *event.Event) bool { return match(strings.ToLower(get(e))) }
	}
	switch key {
	case "text":
		return func(e *event.Event) bool { return contains(e, value) }, nil
	case "host":
		return text(place), nil
	case "path":
		match, templates := matcher(value, true), new(discover.Templates)
		return func(e *event.Event) bool {
			return match(strings.ToLower(e.Path)) || match(strings.ToLower(templates.Of(e.Host, e.Path)))
		}, nil
	case "endpoint":
		templates := new(discover.Templates)
		return func(e *event.Event) bool { return strings.EqualFold(templates.Of(e.Host, e.Path), value) }, nil
	case "status":
		return parseStatus(value)
	case "verdict":
		if !slices.ContainsFunc(verdicts(), func(v string) bool { return strings.Contains(v, value) }) {
			return nil, fmt.Errorf("unknown verdict (one of: %s)", strings.Join(verdicts(), ", "))
		}
		return text(func(e *event.Event) string { return string(e.Verdict) }), nil
	case "label":
		return text(func(e *event.Event) string { return e.Label }), nil
	case "asked":
		return text(func(e *event.Event) string { return e.Asked }), nil
	case "state":
		return text(func(e *event.Event) string { return string(e.State) }), nil
	case "method":
		return text(func(e *event.Event) string { return e.Method }), nil
	case "service":
		return text(func(e *event.Event) string { return e.Service }), nil
	case "secret":
		return text(func(e *event.Event) string { return e.Secret }), nil
	case "session":
		return text(func(e *event.Event) string { return e.Session }), nil
	case "auth":
		return text(func(e *event.Event) string { return e.Auth }), nil
	case "client":
		return text(func(e *event.Event) string { return e.Client }), nil
	case "code":
		return text(func(e *event.Event) string { return e.Code }), nil
	case "scheme":
		return text(func(e *event.Event) string { return e.Scheme }), nil
	case "call":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", value)
		}
		return func(e *event.Event) bool { return e.Call == n }, nil
	}
	return nil, fmt.Errorf("unknown key %q (one of: %s, or a text without a colon)", key, strings.Join(keys(), ", "))
}

// matcher looks for a value, both in small letters. With a * in it, which stands for
// anything, it must be all of the text, or with prefix its start. "none" is no value.
func matcher(value string, prefix bool) func(string) bool {
	if value == "none" {
		return func(s string) bool { return s == "" }
	}
	parts := strings.Split(value, "*")
	return func(s string) bool {
		if len(parts) == 1 {
			return strings.Contains(s, value)
		}
		rest, ok := strings.CutPrefix(s, parts[0])
		if !ok {
			return false
		}
		for _, p := range parts[1 : len(parts)-1] {
			i := strings.Index(rest, p)
			if i < 0 {
				return false
			}
			rest = rest[i+len(p):]
		}
		last := parts[len(parts)-1]
		return strings.HasSuffix(rest, last) || prefix && strings.Contains(rest, last)
	}
}

// parseStatus reads 404, 4xx, >=400, <300, none.
func parseStatus(value string) (test, error) {
	bad := fmt.Errorf("%q is no status (one of: 404, 4xx, >=400, <300, none)", value)
	if value == "none" {
		return func(e *event.Event) bool { return e.Status == 0 }, nil
	}
	if lo, hi, ok := statusRange(value); ok {
		return func(e *event.Event) bool { return e.Status >= lo && e.Status <= hi }, nil
	}
	op := strings.TrimRight(value, "0123456789")
	n, err := strconv.Atoi(value[len(op):])
	if err != nil {
		return nil, bad
	}
	switch op {
	case "", "=":
		return func(e *event.Event) bool { return e.Status == n }, nil
	case ">=":
		return func(e *event.Event) bool { return e.Status >= n }, nil
	case ">":
		return func(e *event.Event) bool { return e.Status > n }, nil
	case "<=":
		return func(e *event.Event) bool { return e.Status <= n && e.Status != 0 }, nil
	case "<":
		return func(e *event.Event) bool { return e.Status < n && e.Status != 0 }, nil
	}
	return nil, bad
}

// statusRange reads 404, 4xx, and what may become one of them: 4, 40, 4x.
func statusRange(s string) (lo, hi int, ok bool) {
	digits := strings.TrimRight(s, "x")
	n, err := strconv.ParseUint(digits, 10, 16)
	if len(s) > 3 || err != nil {
		return 0, 0, false
	}
	lo, hi = int(n), int(n)
	for range 3 - len(digits) {
		lo, hi = lo*10, hi*10+9
	}
	return lo, hi, true
}

// contains looks for a text in small letters.
func contains(e *event.Event, text string) bool {
	for _, s := range []string{e.Method, place(e), e.Path, e.Service, e.Secret, e.Label, string(e.Verdict), e.Reason, e.Code, e.Auth, e.Client} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// Match reports whether the call is chosen. A nil Filter chooses all.
func (f *Filter) Match(e *event.Event) bool {
	if f == nil {
		return true
	}
	for _, t := range f.none {
		if t(e) {
			return false
		}
	}
	for _, tests := range f.some {
		if !slices.ContainsFunc(tests, func(t test) bool { return t(e) }) {
			return false
		}
	}
	return true
}

// empty reports whether all calls are chosen.
func (f *Filter) empty() bool { return f == nil || len(f.some) == 0 && len(f.none) == 0 }
