package cmd

import (
	"errors"
	"strings"

	"agentvault/tui"
	"agentvault/tui/margin"
)

// viewFailed tells of a view that has failed: at once where there is a bar, and at the end of the
// session with all that is needed to mend it.
func (l *live) viewFailed(err error) {
	value, stack := panicked(err)
	if stack == nil {
		l.notice("view: %v", err)
		return
	}
	l.notice("internal error in the view: %v", value)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untold = append(l.untold, "hint: this is a mistake in agentvault; please report it with these lines")
	for line := range strings.SplitSeq(strings.TrimSpace(string(stack)), "\n") {
		l.untold = append(l.untold, printable(strings.ReplaceAll(line, "\t", "    ")))
	}
}

// panicked is what a panic of ours said, and where; stack is nil for an error that is none.
func panicked(err error) (value any, stack []byte) {
	var inTUI *tui.PanicError
	var inMargin *margin.PanicError
	var here *panicError
	switch {
	case errors.As(err, &inTUI):
		return inTUI.Value, inTUI.Stack
	case errors.As(err, &inMargin):
		return inMargin.Value, inMargin.Stack
	case errors.As(err, &here):
		return here.value, here.stack
	}
	return nil, nil
}
