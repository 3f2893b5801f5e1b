package tui

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

func TestStoreCounts(t *testing.T) {
	s := folded(session())
	if got := s.Calls(); got != 11 {
		t.Errorf("calls: got %d, want 11", got)
	}
	for v, want := range map[event.Verdict]uint64{
		event.Injected: 3, event.Passed: 2, event.Uncovered: 3, event.Denied: 1, event.Failed: 1, event.Tunnelled: 1, event.Bypassed: 1, event.Held: 0,
	} {
		if got := s.Count(v); got != want {
			t.Errorf("%s: got %d, want %d", v, got, want)
		}
	}
	// Nine endpoints (hooks/9 and hooks/10 are one, /v1/messages was called twice), the tunnel does not count: four of eight are covered.
	if got := len(s.Endpoints()); got != 9 {
		t.Errorf("endpoints: got %d, want 9", got)
	}
	if percent, ok := s.Coverage(); !ok || percent != 50 {
		t.Errorf("coverage: got %d %v, want 50", percent, ok)
	}
	if first, last := s.Span(); !first.Equal(noon) || !last.Equal(noon.Add(19*time.Second)) {
		t.Errorf("span: got %v to %v", first, last)
	}
}

// What is applied twice, as where a backlog overlaps with what follows, counts once.
func TestStoreTakesEachEventOnce(t *testing.T) {
	var calls []event.Event
	for _, e := range session() {
		if e.Phase != event.Note {
			calls = append(calls, e)
		}
	}
	once, twice := folded(calls), folded(append(calls, calls...))
	if once.Calls() != twice.Calls() || once.Next() != twice.Next() || once.verdicts != twice.verdicts {
		t.Errorf("twice: got %d calls %v, want %d %v", twice.Calls(), twice.verdicts, once.Calls(), once.verdicts)
	}
}

func TestStoreMergesStartAndEnd(t *testing.T) {
	s := NewStore(template)
	s.Apply(event.Event{Call: 1, Phase: event.Start, Time: noon, Method: "GET", Scheme: "https", Host: "a.test", Path: "/x", Service: "a", Verdict: event.Injected})
	c := s.Newest()
	if c.Done || s.Count(event.Injected) != 1 {
		t.Errorf("after the start: done %v, injected %d", c.Done, s.Count(event.Injected))
	}
	s.Apply(event.Event{Call: 1, Phase: event.End, Time: noon.Add(time.Second), Verdict: event.Failed, Status: 502, Duration: time.Second})
	if c != s.Newest() {
		t.Fatal("the end of a call made another row")
	}
	if !c.Done || c.Method != "GET" || c.Host != "a.test" || c.Service != "a" || c.Status != 502 || !c.Time.Equal(noon) {
		t.Errorf("merged: got %+v", c)
	}
	if s.Count(event.Injected) != 0 || s.Count(event.Failed) != 1 {
		t.Errorf("the verdict changed: injected %d, failed %d", s.Count(event.Injected), s.Count(event.Failed))
	}
	// An end whose start was dropped is a row of its own, at the time it began.
	s.Apply(event.Event{Call: 2, Phase: event.End, Time: noon.Add(3 * time.Second), Duration: time.Second, Method: "GET", Host: "b.test", Verdict: event.Passed})
	if got := s.Newest(); s.Calls() != 2 || got.Call != 2 || !got.Done || !got.Time.Equal(noon.Add(2*time.Second)) {
		t.Errorf("an end without a start: calls %d, %+v", s.Calls(), got)
	}
}

func TestUnread(t *testing.T) {
	s := folded(session())
	if got := len(s.Unread(nil)); got != 3 {
		t.Fatalf("unread: got %d, want 3", got)
	}
	hooks := s.Unread(nil)[0]
	if hooks.Template != "/repos/acme/app/hooks/*" || hooks.Alerts != 2 || hooks.Status != 403 || hooks.Reason != "rule github allows GET only" {
		t.Errorf("first: got %+v", hooks)
	}
	s.Acknowledge()
	again := event.Event{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app/hooks/11", Service: "github", Verdict: event.Uncovered}
	for _, e := range call(20, time.Minute, again) {
		s.Apply(e)
	}
	if len(s.Unread(nil)) != 0 || hooks.Alerts != 3 {
		t.Errorf("the same again: %d unread, %d alerts; want it read and counted", len(s.Unread(nil)), hooks.Alerts)
	}
	again.Verdict = event.Denied
	for _, e := range call(21, time.Minute, again) {
		s.Apply(e)
	}
	if !hooks.Unread {
		t.Error("denied where it was uncovered before is not unread")
	}
	// A good call to the same template does not hide it.
	again.Verdict = event.Injected
	for _, e := range call(22, time.Minute, again) {
		s.Apply(e)
	}
	if !hooks.Unread || hooks.Alert != event.Denied {
		t.Error("a covered call hid the denied one")
	}
}

// The ring forgets, the counts do not: 100,000 calls with long texts to as many
// endpoints, every seventh still under way when it is forgotten.
func TestStoreIsBounded(t *testing.T) {
	const calls = 100_000
	s := NewStore(nil)
	var under []event.Event
	long := strings.Repeat("x", 2_000)
	for n := uint64(1); n <= calls; n++ {
		es := call(n, time.Duration(n)*time.Millisecond, event.Event{
			Method: "GET", Host: fmt.Sprintf("h%d.test", n), Path: "/" + long, Reason: long, Verdict: event.Uncovered, Service: fmt.Sprint("s", n), Status: 404,
		})
		s.Apply(es[0])
		if n%7 == 0 && len(under) < keepOpen {
			under = append(under, es[1])
			continue
		}
		s.Apply(es[1])
	}
	for _, e := range under {
		e.Verdict = event.Failed
		s.Apply(e)
	}
	if s.Calls() != calls || s.Count(event.Uncovered)+s.Count(event.Failed) != calls {
		t.Errorf("counts: got %d calls, %d uncovered, %d failed", s.Calls(), s.Count(event.Uncovered), s.Count(event.Failed))
	}
	if got := s.Count(event.Failed); got != uint64(len(under)) {
		t.Errorf("calls that failed after they were forgotten: got %d, want %d", got, len(under))
	}
	if len(s.ring) != KeepCalls || len(s.byID) != KeepCalls || len(s.Rows(nil)) != KeepCalls {
		t.Errorf("rows: ring %d, by number %d, want %d", len(s.ring), len(s.byID), KeepCalls)
	}
	if len(s.Endpoints()) != keepEndpoints || s.Uncounted() != calls-keepEndpoints || len(s.Services()) != keepServices {
		t.Errorf("tables: %d endpoints, %d beyond, %d services", len(s.Endpoints()), s.Uncounted(), len(s.Services()))
	}
	if rows := s.Rows(nil); rows[0].Call != calls-KeepCalls+1 || rows[len(rows)-1].Call != calls {
		t.Errorf("rows run from call %d to %d", rows[0].Call, rows[len(rows)-1].Call)
	}
	for _, c := range s.Last(3) {
		if len(c.Path) > keepText+len(ellipsis) {
			t.Errorf("a path of %d bytes is kept", len(c.Path))
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	// Two clipped texts a row, a template, and the rest of a Call.
	if most := uint64(KeepCalls*4*keepText + 8<<20); m.HeapAlloc > most {
		t.Errorf("the heap holds %d bytes, want at most %d", m.HeapAlloc, most)
	}
	runtime.KeepAlive(s)
}

func TestStoreCopyGoesItsOwnWay(t *testing.T) {
	s := folded(session())
	d := s.Copy()
	for _, e := range call(11, 12*time.Second, event.Event{Method: "POST", Host: "api.anthropic.com", Path: "/v1/messages", Verdict: event.Failed}) {
		d.Apply(e)
	}
	d.Acknowledge()
	if s.Count(event.Failed) != 1 || d.Count(event.Failed) != 2 || s.Newest().Done || !d.Newest().Done {
		t.Errorf("failed: original %d, copy %d", s.Count(event.Failed), d.Count(event.Failed))
	}
	if len(s.Unread(nil)) != 3 || len(d.Unread(nil)) != 0 {
		t.Errorf("unread: original %d, copy %d", len(s.Unread(nil)), len(d.Unread(nil)))
	}
	if len(d.Endpoints()) != len(s.Endpoints()) || d.Endpoints()[0] == s.Endpoints()[0] || d.Services()[0] == s.Services()[0] {
		t.Error("the copy shares its tables")
	}
}

func BenchmarkStoreApply(b *testing.B) {
	es := session()
	s := NewStore(template)
	b.ReportAllocs()
	for i := range b.N {
		e := es[i%len(es)]
		e.Call = uint64(i/2 + 1)
		s.Apply(e)
	}
}

// A held call that goes out has a second start, and nobody is asked to look at it again.
func TestStoreReleasesHeldCalls(t *testing.T) {
	held := event.Event{Call: 1, Phase: event.Start, Time: noon, Method: "POST", Scheme: "https", Host: "a.test", Path: "/x", Verdict: event.Held, Reason: "no service for this host"}
	out := held
	out.Verdict, out.Reason = event.Uncovered, "no service for this host; allowed once"
	end := out
	end.Phase, end.Status, end.Time = event.End, 200, noon.Add(time.Second)
	s := folded([]event.Event{held})
	if s.Count(event.Held) != 1 || len(s.Unread(nil)) != 0 {
		t.Errorf("held: %d held, unread %v", s.Count(event.Held), s.Unread(nil))
	}
	s.Apply(out)
	if s.Count(event.Held) != 0 || s.Count(event.Uncovered) != 1 || s.Calls() != 1 || s.Newest().Done {
		t.Errorf("released: %d held, %d uncovered, %d calls", s.Count(event.Held), s.Count(event.Uncovered), s.Calls())
	}
	s.Apply(end)
	s.Apply(held) // a backlog may overlap
	if s.Count(event.Held) != 0 || s.Count(event.Uncovered) != 1 || len(s.Unread(nil)) != 0 || !s.Newest().Time.Equal(noon) {
		t.Errorf("ended: %d held, %d uncovered, unread %v", s.Count(event.Held), s.Count(event.Uncovered), s.Unread(nil))
	}
	// The human's own no is not news to the human; one because nobody answered is.
	for i, reason := range []string{event.Refused, "nobody answered within 1m0s"} {
		held.Call, end.Call = uint64(i+2), uint64(i+2)
		held.Path, end.Path = held.Path+"/y", held.Path+"/y"
		end.Verdict, end.Code, end.Status, end.Reason = event.Denied, "held_and_refused", 403, "no service for this host; "+reason
		s.Apply(held)
		s.Apply(end)
		if s.Count(event.Denied) != uint64(i+1) || len(s.Unread(nil)) != i {
			t.Errorf("%s: %d denied, unread %v", reason, s.Count(event.Denied), s.Unread(nil))
		}
	}
	// The same endpoint without a question: now it asks for a look.
	for _, e := range call(9, time.Minute, event.Event{Method: "POST", Host: "a.test", Path: "/x", Verdict: event.Denied}) {
		s.Apply(e)
	}
	if len(s.Unread(nil)) != 2 {
		t.Error("a refused call asks for no look")
	}
}
