package tui

import "agentvault/proxy/event"

// tone is a way to paint; the styles say how each looks.
type tone int

const (
	plain   tone = iota
	accent       // what agentvault did
	quietly      // fine, and not worth a look
	warning      // worth a look
	strong       // what the eye should find
)

// mark is how a verdict is shown. The sign alone must do where there is no colour, the
// word where a screen reader reads.
type mark struct {
	verdict event.Verdict
	sign    string
	word    string
	tone    tone
}

// marks is the one table of verdicts and signs; the help screen prints it.
var marks = [...]mark{
	{event.Injected, "●", "injected", accent},
	{event.Passed, "○", "passed", quietly},
	{event.Uncovered, "⚠", "uncovered", warning},
	{event.Denied, "✕", "denied", warning},
	{event.Failed, "✕", "failed", warning},
	{event.Bypassed, "✕", "bypassed", warning},
	{event.Tunnelled, "≡", "tunnelled", quietly},
	{event.Held, "?", "held", warning},
	{"", "·", "under way", quietly},
}

// markOf is the mark of v; one that is not in the table looks like a call under way.
func markOf(v event.Verdict) mark { return marks[markIndex(v)] }

func markIndex(v event.Verdict) int {
	for i, m := range marks {
		if m.verdict == v {
			return i
		}
	}
	return len(marks) - 1
}

// The codes of answers that refuse a call which nothing covers, or whose placeholder does
// not belong there.
const (
	noService        = "no_service"
	strayPlaceholder = "placeholder_misdirected"
)

// covered says whether a service covers a call: the same as discover says at the end.
func covered(e *event.Event) bool {
	switch {
	case e.Service == "", e.NotAllowed, e.Verdict == event.Uncovered, e.Verdict == event.Bypassed:
		return false
	case e.Verdict == event.Denied:
		return e.Code != noService && e.Code != strayPlaceholder
	}
	return true
}

// uncovered says whether a call wanted to be covered: one that is merely let through, and
// carries no credential, does not.
func uncovered(e *event.Event) bool {
	return e.Verdict == event.Uncovered || e.Verdict == event.Denied && !covered(e)
}

// alerting says whether a call with this verdict makes its endpoint ask for a look.
func alerting(v event.Verdict) bool { return v == event.Uncovered || v == event.Denied }
