package cmd

import (
	"testing"

	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
	"agentvault/tui"
)

// The view and discover agree on what is covered, whatever becomes of a call.
func TestCoveredAsDiscoverSays(t *testing.T) {
	for _, service := range []string{"", "github"} {
		for _, v := range []event.Verdict{event.Injected, event.Passed, event.Uncovered, event.Denied, event.Failed} {
			for _, code := range []string{"", "no_service", "held_and_refused", "placeholder_misdirected", "denied_by_rule"} {
				for _, notAllowed := range []bool{false, true} {
					e := event.Event{Phase: event.End, Method: "GET", Scheme: "https", Host: "x.test", Path: "/", Service: service, Verdict: v, Code: code, NotAllowed: notAllowed}
					if got, want := (&tui.Call{Event: e}).Covered(), discover.Covers(&e); got != want {
						t.Errorf("service %q, %s, code %q, not allowed %t: %t here, %t in discover", service, v, code, notAllowed, got, want)
					}
					if notAllowed && discover.Covers(&e) {
						t.Errorf("%s, code %q: covered by a service that does not allow it", v, code)
					}
				}
			}
		}
	}
}
