package tui

import (
	"cmp"
	"slices"
	"strings"
)

// callOrder is the order of the calls. Ties keep the order in which they came.
type callOrder int

const (
	byTime callOrder = iota
	byTook
	bySize
	byStatus
	byAddress
	orderCount
)

var orderNames = [orderCount]string{"time", "duration", "size", "status", "host"}

// sorted brings rows, which came in the order of time, into the order. Of durations, sizes
// and statuses the highest come first: who sorts by them looks for those.
func (o callOrder) sorted(rows []*Call) []*Call {
	if o != byTime {
		slices.SortStableFunc(rows, o.compare)
	}
	return rows
}

func (o callOrder) compare(a, b *Call) int {
	switch o {
	case byTook:
		return cmp.Compare(b.Duration, a.Duration)
	case bySize:
		return cmp.Compare(b.Received, a.Received)
	case byStatus:
		return cmp.Compare(b.Status, a.Status)
	}
	return cmp.Or(strings.Compare(a.place(), b.place()), strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
}
