package auditlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentvault/proxy/event"
)

// Filter chooses calls. The zero Filter chooses all.
type Filter struct {
	some map[string][]test // by key: one of them must hold
	none []test            // none of them may hold
	host string            // a literal that stands in every line that fits, or empty
}

type test func(e *event.Event) bool

// keys are the keys that a term may have.
func keys() []string {
	return []string{"host", "status", "verdict", "method", "service", "secret", "path", "session", "auth", "client", "code", "scheme", "call"}
}

func verdicts() []string {
	return []string{string(event.Injected), string(event.Passed), string(event.Uncovered), string(event.Denied),
		string(event.Held), string(event.Tunnelled), string(event.Bypassed), string(event.Failed)}
}

// ParseFilter reads terms: KEY:VALUE, or a text that must occur somewhere in the call.
// Terms of one key are alternatives, different keys must all hold, and a "!" before a term
// turns it around.
//
//	host:github.com     the host and those below it; * stands for anything
//	status:4xx          also 404, >=400, <300, none (no answer)
//	verdict:uncovered   one of the verdicts
//	path:/repos/*       from its start; * stands for anything
//	service: secret: method: session: auth: client: code: scheme: call:
//	                    the value itself; * stands for anything; none for no value
func ParseFilter(terms []string) (*Filter, error) {
	f := &Filter{some: make(map[string][]test)}
	var hosts []string
	for _, term := range terms {
		body, not := strings.CutPrefix(term, "!")
		key, value, ok := strings.Cut(body, ":")
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
	if len(hosts) == 1 && !strings.Contains(hosts[0], "*") && hosts[0] != "none" {
		f.host = strings.ToLower(hosts[0])
	}
	return f, nil
}

func parseTest(key, value string) (test, error) {
	text := func(get func(e *event.Event) string) test {
		match := matcher(value, false)
		return func(e *event.Event) bool { return match(get(e)) }
	}
	switch key {
	case "text":
		value = strings.ToLower(value)
		return func(e *event.Event) bool { return contains(e, value) }, nil
	case "host":
		value = strings.ToLower(value)
		match := matcher(value, false)
		return func(e *event.Event) bool {
			below, ok := strings.CutSuffix(e.Host, value)
			return match(e.Host) || ok && strings.HasSuffix(below, ".")
		}, nil
	case "path":
		match := matcher(value, true)
		return func(e *event.Event) bool { return match(e.Path) }, nil
	case "status":
		return parseStatus(value)
	case "verdict":
		if !slices.Contains(verdicts(), value) {
			return nil, fmt.Errorf("unknown verdict (one of: %s)", strings.Join(verdicts(), ", "))
		}
		return func(e *event.Event) bool { return string(e.Verdict) == value }, nil
	case "method":
		value = strings.ToUpper(value)
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

// matcher compares with a value in which * stands for anything; "none" is no value.
// prefix says that the value may be the start alone.
func matcher(value string, prefix bool) func(string) bool {
	if value == "none" {
		return func(s string) bool { return s == "" }
	}
	parts := strings.Split(value, "*")
	return func(s string) bool {
		if len(parts) == 1 {
			return s == value || prefix && strings.HasPrefix(s, value)
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
	if len(value) == 3 && strings.EqualFold(value[1:], "xx") && value[0] >= '1' && value[0] <= '5' {
		class := int(value[0] - '0')
		return func(e *event.Event) bool { return e.Status/100 == class }, nil
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

// contains looks for a text in small letters.
func contains(e *event.Event, text string) bool {
	for _, s := range []string{e.Method, e.Host, e.Path, e.Service, e.Secret, string(e.Verdict), e.Reason, e.Code, e.Auth, e.Client} {
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
