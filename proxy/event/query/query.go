// Package query chooses calls by words: `agentvault log` and the inspector take the same ones,
// with the same meanings. It knows nothing of where the calls come from.
package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentvault/proxy/event"
)

// Filter chooses calls. The zero Filter and a nil one choose all. It is not changed by Match
// and may be used by several goroutines.
type Filter struct {
	some     []group // in each of which one test must hold
	none     []test  // none of them may hold
	host     string  // a literal that stands in the host of all that fits, or empty
	endpoint bool    // a test looks at the endpoint
}

// group is the tests of one field.
type group struct {
	field string
	tests []test
}

// test looks at a call and at its endpoint: the path with what names things folded.
type test func(e *event.Event, endpoint string) bool

// TermError says what is wrong with one term.
type TermError struct {
	Term string
	Err  error
}

// Error names the term.
func (e *TermError) Error() string { return fmt.Sprintf("filter %q: %v", e.Term, e.Err) }

// Unwrap gives what is wrong without the term, for where that is on the screen anyway.
func (e *TermError) Unwrap() error { return e.Err }

// Parse reads terms: FIELD:VALUE, or a text that must occur somewhere in the call. A value is
// looked for within its field, in any case. Terms of one field are alternatives, different
// fields must all hold, and so must each text; a "!" or "-" before a term turns it around.
//
//	host:github          within the host and port
//	status:4xx           also 404, >=400, <300, none (no answer)
//	verdict:uncovered    one of the verdicts
//	endpoint:/repos/*/*  the whole template of the path, as reports show it; with its operation or without
//	op:GetItem           what is asked for where the path does not say it
//	path: service: secret: method: label: session: auth: client: code: scheme: state: asked: call:
//
// In a value other than an endpoint's, * stands for anything and ties the rest to its
// place: path:/repos/*/pulls from the start, secret:*github to the end. none is no value.
// A term that names a host with its port is a text. The error is a *TermError.
func Parse(terms []string) (*Filter, error) {
	f := new(Filter)
	var hosts []string
	for _, term := range terms {
		field, value, not := split(term)
		t, err := parseTest(field, value)
		if err != nil {
			return nil, &TermError{term, err}
		}
		f.endpoint = f.endpoint || field == "endpoint" || field == "path"
		switch {
		case not:
			f.none = append(f.none, t)
			continue
		case field == "host":
			hosts = append(hosts, value)
		}
		f.add(field, t)
	}
	if len(hosts) == 1 && !strings.ContainsAny(hosts[0], "*:[") && hosts[0] != "none" {
		f.host = hosts[0]
	}
	return f, nil
}

// add puts a test to those of its field. Texts are not alternatives: each narrows the search.
func (f *Filter) add(field string, t test) {
	at := slices.IndexFunc(f.some, func(g group) bool { return g.field == field })
	if at < 0 || field == "" {
		f.some = append(f.some, group{field, []test{t}})
		return
	}
	f.some[at].tests = append(f.some[at].tests, t)
}

// Unfinished says that term is the beginning of one: what stands there while it is typed.
func Unfinished(term string) bool {
	_, value, _ := split(term)
	return value == ""
}

// split takes a term apart: its field, "" for a text, its value in small letters, and whether
// it is turned around.
func split(term string) (field, value string, not bool) {
	body := strings.ToLower(term)
	if body != "" && (body[0] == '!' || body[0] == '-') {
		body, not = body[1:], true
	}
	field, value, ok := strings.Cut(body, ":")
	if !ok || field == "" || strings.ContainsAny(field, "/. [") || !slices.Contains(Fields(), field) && port(value) {
		return "", body, not
	}
	return field, value, not
}

// port says that value is a number, as behind the colon of localhost:8080.
func port(value string) bool {
	_, err := strconv.ParseUint(value, 10, 16)
	return err == nil
}

// Match reports whether a call is chosen. endpoint is its path with what names things folded,
// and its operation (event.WithOperation);
// it may be left empty where Endpoint says no.
func (f *Filter) Match(e *event.Event, endpoint string) bool {
	if f == nil {
		return true
	}
	for _, t := range f.none {
		if t(e, endpoint) {
			return false
		}
	}
	for i := range f.some {
		if !slices.ContainsFunc(f.some[i].tests, func(t test) bool { return t(e, endpoint) }) {
			return false
		}
	}
	return true
}

// Empty reports whether all calls are chosen.
func (f *Filter) Empty() bool { return f == nil || len(f.some) == 0 && len(f.none) == 0 }

// Endpoint reports whether Match looks at the endpoint, which may cost something to tell.
func (f *Filter) Endpoint() bool { return f != nil && f.endpoint }

// Host is a text in small letters that stands in the host of every call that is chosen; empty
// where there is none.
func (f *Filter) Host() string {
	if f == nil {
		return ""
	}
	return f.host
}
