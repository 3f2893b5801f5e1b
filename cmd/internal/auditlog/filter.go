package auditlog

import (
	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
	"agentvault/proxy/event/query"
)

// Filter chooses calls. A nil Filter chooses all. It belongs to one goroutine.
type Filter struct {
	calls     *query.Filter
	templates discover.Templates
}

// ParseFilter reads the terms of package query, which are the inspector's as well.
func ParseFilter(terms []string) (*Filter, error) {
	f, err := query.Parse(terms)
	if err != nil {
		return nil, err
	}
	return &Filter{calls: f}, nil
}

// Match reports whether the call is chosen.
func (f *Filter) Match(e *event.Event) bool {
	if f == nil {
		return true
	}
	endpoint := ""
	if f.calls.Endpoint() {
		endpoint = e.WithOperation(f.templates.Of(e.Host, e.Path))
	}
	return f.calls.Match(e, endpoint)
}

// host is a text in small letters that stands in every line that fits, or empty.
func (f *Filter) host() string {
	if f == nil {
		return ""
	}
	return f.calls.Host()
}

// empty reports whether all calls are chosen.
func (f *Filter) empty() bool { return f == nil || f.calls.Empty() }
