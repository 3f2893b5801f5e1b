package query

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentvault/proxy/event"
)

// Fields are the fields that a term may name.
func Fields() []string {
	return []string{"host", "path", "endpoint", "op", "method", "status", "verdict", "service", "client", "auth", "asked", "secret", "label", "state", "session", "code", "scheme", "call"}
}

func verdicts() []string {
	return []string{string(event.Injected), string(event.Passed), string(event.Uncovered), string(event.Denied),
		string(event.Held), string(event.Tunnelled), string(event.Bypassed), string(event.Failed)}
}

func parseTest(field, value string) (test, error) {
	if value == "" {
		return nil, errors.New("no value")
	}
	switch field {
	case "":
		return func(e *event.Event, _ string) bool { return anywhere(e, value) }, nil
	case "path":
		match := matcher(value, true)
		return func(e *event.Event, endpoint string) bool { return match(e.Path) || match(template(endpoint)) }, nil
	case "endpoint":
		return func(_ *event.Event, endpoint string) bool {
			return strings.EqualFold(endpoint, value) || strings.EqualFold(template(endpoint), value)
		}, nil
	case "status":
		return parseStatus(value)
	case "call":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", value)
		}
		return func(e *event.Event, _ string) bool { return e.Call == n }, nil
	case "verdict":
		if value != "none" && !slices.ContainsFunc(verdicts(), func(v string) bool { return matcher(value, false)(v) }) {
			return nil, fmt.Errorf("unknown verdict (one of: %s)", strings.Join(verdicts(), ", "))
		}
	}
	get := textOf(field)
	if get == nil {
		return nil, fmt.Errorf("unknown key %q (one of: %s, or a text without a colon)", field, strings.Join(Fields(), ", "))
	}
	match := matcher(value, false)
	return func(e *event.Event, _ string) bool { return match(get(e)) }, nil
}

// template is an endpoint without its operation. A path has no blank.
func template(endpoint string) string {
	path, _, _ := strings.Cut(endpoint, " ")
	return path
}

// textOf is how the text of a field is had; nil for one that is not known.
func textOf(field string) func(e *event.Event) string {
	switch field {
	case "host":
		return (*event.Event).HostPort
	case "op":
		return func(e *event.Event) string { return e.Operation }
	case "method":
		return func(e *event.Event) string { return e.Method }
	case "verdict":
		return func(e *event.Event) string { return string(e.Verdict) }
	case "service":
		return func(e *event.Event) string { return e.Service }
	case "client":
		return func(e *event.Event) string { return e.Client }
	case "auth":
		return func(e *event.Event) string { return e.Auth }
	case "asked":
		return func(e *event.Event) string { return e.Asked }
	case "secret":
		return func(e *event.Event) string { return e.Secret }
	case "label":
		return func(e *event.Event) string { return e.Label }
	case "state":
		return func(e *event.Event) string { return string(e.State) }
	case "session":
		return func(e *event.Event) string { return e.Session }
	case "code":
		return func(e *event.Event) string { return e.Code }
	case "scheme":
		return func(e *event.Event) string { return e.Scheme }
	}
	return nil
}

// anywhere looks for a text in small letters in all that is said of a call.
func anywhere(e *event.Event, text string) bool {
	return contains(e.Method, text) || contains(e.HostPort(), text) || contains(e.Path, text) || contains(e.Operation, text) || contains(e.Service, text) ||
		contains(e.Secret, text) || contains(e.Label, text) || contains(string(e.Verdict), text) || contains(e.Reason, text) ||
		contains(e.Code, text) || contains(e.Auth, text) || contains(e.Client, text)
}

// parseStatus reads 404, 4xx, what may become one of them, >=400, <300, none.
func parseStatus(value string) (test, error) {
	between := func(lo, hi int) test {
		return func(e *event.Event, _ string) bool { return e.Status >= lo && e.Status <= hi }
	}
	if value == "none" {
		return between(0, 0), nil
	}
	if lo, hi, ok := statusRange(value); ok {
		return between(lo, hi), nil
	}
	const most = 999
	op := strings.TrimRight(value, "0123456789")
	n, err := strconv.ParseUint(value[len(op):], 10, 16)
	if err == nil {
		switch n := int(n); op {
		case ">=":
			return between(n, most), nil
		case ">":
			return between(n+1, most), nil
		case "<=":
			return between(1, n), nil
		case "<":
			return between(1, n-1), nil
		}
	}
	return nil, fmt.Errorf("%q is no status (one of: 404, 4xx, >=400, <300, none)", value)
}

// statusRange reads 404, 4xx, and what may become one of them: 4, 4x, 40.
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
