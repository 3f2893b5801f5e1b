package tui

import (
	"slices"

	"agentvault/proxy/event/query"
)

// parseFilter reads a filter as it is typed: the words of package query, of which one that has
// only begun is left out.
func parseFilter(typed string) (*query.Filter, error) {
	return query.Parse(slices.DeleteFunc(query.Words(typed), query.Unfinished))
}

// matches says whether c answers the filter with yes.
func matches(f *query.Filter, c *Call) bool { return f.Match(&c.Event, c.Endpoint) }
