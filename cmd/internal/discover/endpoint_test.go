package discover

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"agentvault/proxy/event"
)

func TestEndpoints(t *testing.T) {
	found := Endpoints(agentSession())
	by := make(map[string]Endpoint)
	for _, e := range found {
		by[string(e.Kind)+" "+e.Method+" "+e.Host+e.Path] = e
	}
	pulls := by["call GET api.github.com/repos/*/*/pulls/*"]
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	if pulls.Calls != 14 || !pulls.Covered || pulls.Grade != "" || pulls.Statuses[200] != 14 || pulls.Received != 14*2048 ||
		pulls.Service != "github" || pulls.Median != 10*time.Millisecond || !pulls.First.Equal(at.Add(time.Second)) || !pulls.Last.Equal(at.Add(14*time.Second)) {
		t.Errorf("pulls: %+v", pulls)
	}
	hooks := by["call DELETE api.github.com/repos/*/*/hooks/*"]
	if hooks.Covered || hooks.Missed != 3 || hooks.Grade != Refused || hooks.Reason != "rule github allows GET only" || hooks.Median != 20*time.Millisecond {
		t.Errorf("hooks: %+v", hooks)
	}
	if e := by["call POST api.github.com/repos/*/*/issues"]; !e.Covered || e.Verdict != event.Denied {
		t.Errorf("what a rule forbids is decided, hence covered: %+v", e)
	}
	if e := by["call POST api.linear.app/graphql"]; e.Grade != Credential || !reflect.DeepEqual(e.Auth, []string{"authorization"}) {
		t.Errorf("linear: %+v", e)
	}
	if e := by["call POST telemetry.example.com/v1/events"]; e.Grade != Writes || e.Label != "telemetry" {
		t.Errorf("telemetry: %+v", e)
	}
	if e := by["call POST billing.acme.test/v2/customers/*/invoices"]; e.Calls != 3 || e.LastStatus != 500 {
		t.Errorf("billing: %+v", e)
	}
	if e := by["call GET api.linear.app/sse"]; e.Open != 1 || e.Calls != 1 || e.Grade != Reads {
		t.Errorf("the open one: %+v", e)
	}
	if e := by["tunnel  vpn.corp.example"]; e.Calls != 2 {
		t.Errorf("the tunnel: %+v", e)
	}
	if e := by["direct  10.0.0.5"]; e.Client != "psql" || e.Port != 5432 {
		t.Errorf("the bypass: %+v", e)
	}
	if c := CoverageOf(found); c != (Coverage{Endpoints: 8, Covered: 2, Percent: 25}) {
		t.Errorf("coverage %+v", c)
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		name string
		e    event.Event
		want bool
	}{
		{"injected", event.Event{Service: "s", Verdict: event.Injected}, true},
		{"passed by a service", event.Event{Service: "s", Verdict: event.Passed}, true},
		{"passed because everything is", event.Event{Verdict: event.Passed}, false},
		{"uncovered", event.Event{Verdict: event.Uncovered}, false},
		{"not in allow", event.Event{Service: "s", Verdict: event.Uncovered}, false},
		{"denied by its rule", event.Event{Service: "s", Verdict: event.Denied, Code: "denied_by_rule"}, true},
		{"denied for want of a rule", event.Event{Service: "s", Verdict: event.Denied, Code: "no_service"}, false},
		{"its placeholder where it wants none", event.Event{Service: "s", Verdict: event.Denied, Code: "placeholder_misdirected"}, false},
		{"denied without a service", event.Event{Verdict: event.Denied}, false},
		{"failed", event.Event{Service: "s", Verdict: event.Failed}, true},
		{"went around", event.Event{Service: "s", Verdict: event.Bypassed}, false},
	} {
		if got := Covers(&tt.e); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A snapshot counts what is open without disturbing the Folder.
func TestFolderSnapshots(t *testing.T) {
	var f Folder
	e := event.Event{Session: "s", Call: 1, Phase: event.Start, Method: "GET", Host: "x.test", Port: 443, Path: "/a/1"}
	first := e
	f.Add(&first)
	for range 2 {
		if got := f.Endpoints(); len(got) != 1 || got[0].Calls != 1 || got[0].Open != 1 {
			t.Errorf("while it is open: %+v", got)
		}
	}
	e.Phase, e.Status = event.End, 200
	if !f.Add(&e) || e.Status != 200 {
		t.Errorf("the end: %+v", e)
	}
	if got := f.Endpoints(); len(got) != 1 || got[0].Calls != 1 || got[0].Open != 0 || got[0].Statuses[200] != 1 {
		t.Errorf("when it has ended: %+v", got)
	}
}

func TestFolderIsBounded(t *testing.T) {
	var f Folder
	for i := range maxEndpoints + 10 {
		f.Add(&event.Event{Phase: event.End, Call: uint64(i), Method: "GET", Host: fmt.Sprintf("h%d.test", i), Path: "/"})
	}
	if len(f.found) != maxEndpoints || f.Over() != 10 || len(f.templates.templates) > maxTemplates {
		t.Errorf("%d endpoints, %d over, %d templates", len(f.found), f.Over(), len(f.templates.templates))
	}
}

func TestMedianOfMany(t *testing.T) {
	var f Folder
	for i := range 10_001 {
		f.Add(&event.Event{Phase: event.End, Call: uint64(i), Method: "GET", Host: "x.test", Path: "/", Duration: time.Duration(i) * time.Millisecond})
	}
	got := f.Endpoints()[0].Median
	if got < 4*time.Second || got > 6*time.Second || len(f.found[endpointKey{Call, "GET", "x.test", 0, "/", ""}].samples) != maxSamples {
		t.Errorf("median %v of 0 to 10 s, want about 5 s", got)
	}
}
