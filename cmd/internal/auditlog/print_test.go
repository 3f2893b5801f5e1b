package auditlog

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

func TestTable(t *testing.T) {
	sessions := two(t)
	for _, width := range []int{0, 80, 120} {
		var b bytes.Buffer
		if _, err := Table(&b, Query{Sessions: sessions}, Options{Width: width, Location: time.UTC}); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("table_%d.golden", width), b.Bytes())
		for _, line := range strings.Split(b.String(), "\n") {
			if width > 0 && text.Width(line) > width {
				t.Errorf("width %d: a line is %d wide: %q", width, text.Width(line), line)
			}
			if event.Escape(line) != line {
				t.Errorf("a line that a terminal would obey: %q", line)
			}
		}
	}
	var b bytes.Buffer
	if _, err := Table(&b, Query{}, Options{}); err != nil || b.String() != "no calls\n" {
		t.Errorf("no sessions: %v, %q", err, b.String())
	}
}

func TestGrouping(t *testing.T) {
	sessions := two(t)
	for _, by := range []string{"endpoint", "host", "service", "secret", "resource", "session", "status", "verdict", "secret,session"} {
		g, err := NewGrouping(by)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Query{Sessions: sessions}).Each(g.Add); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := g.Table(&b, Options{Width: 120, Location: time.UTC}); err != nil {
			t.Fatal(err)
		}
		golden(t, "by_"+strings.ReplaceAll(by, ",", "_")+".golden", b.Bytes())
		b.Reset()
		if err := g.Table(&b, Options{Width: 80, Location: time.UTC}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if text.Width(line) > 80 {
				t.Errorf("by %s: a line is %d wide: %q", by, text.Width(line), line)
			}
		}
		b.Reset()
		if err := g.JSON(&b); err != nil {
			t.Fatal(err)
		}
		calls := 0
		for line := range strings.Lines(b.String()) {
			var x Group
			if err := json.Unmarshal([]byte(line), &x); err != nil {
				t.Fatal(err)
			}
			calls += x.Calls
		}
		if calls != 12 {
			t.Errorf("by %s: %d calls in all groups, want 12", by, calls)
		}
	}
	if _, err := NewGrouping("endpoint,colour"); err == nil || !strings.Contains(err.Error(), "one of: endpoint, host") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestGroupingRetries(t *testing.T) {
	g, err := NewGrouping("service")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		session string
		status  int
	}{{"a", 500}, {"a", 500}, {"b", 500}, {"a", 200}, {"a", 200}} {
		_ = g.Add(&event.Event{Session: x.session, Phase: event.End, Method: "GET", Host: "x.test", Path: "/a", Status: x.status})
	}
	if got := g.Groups()[0]; got.Retry != 2 || got.Errors != 3 {
		t.Errorf("%d retries, %d errors, want 2 and 3", got.Retry, got.Errors)
	}
}

func TestJSON(t *testing.T) {
	sessions := two(t)
	var whole []byte
	for _, s := range sessions {
		b, err := os.ReadFile(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, b...)
	}
	var b bytes.Buffer
	if _, err := JSON(&b, Query{Sessions: sessions}); err != nil || !bytes.Equal(b.Bytes(), whole) {
		t.Errorf("without a filter: %v, %d bytes, want the %d of the logs", err, b.Len(), len(whole))
	}
	f, _ := ParseFilter([]string{"host:github.com"})
	b.Reset()
	stats, err := JSON(&b, Query{Sessions: sessions, Filter: f})
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if err != nil || stats.Calls != 4 || len(lines) != 4 {
		t.Fatalf("%v, %+v, %d lines, want 4", err, stats, len(lines))
	}
	var d event.Decoder
	for i, line := range lines {
		var e event.Event
		if err := d.Decode([]byte(line), &e); err != nil {
			t.Error(err)
		}
		if inLog := strings.Contains(string(whole), line+"\n"); inLog != (e.Phase == event.End) {
			t.Errorf("line %d: in the log %v, phase %s", i, inLog, e.Phase)
		}
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if _, err := CSV(&b, Query{Sessions: two(t)}); err != nil {
		t.Fatal(err)
	}
	golden(t, "calls.csv.golden", b.Bytes())
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 13 {
		t.Errorf("%v, %d rows, want 13", err, len(rows))
	}
	for in, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "-": "'-", "/": "/", "": ""} {
		if got := harmless(in); got != want {
			t.Errorf("harmless(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHAR(t *testing.T) {
	var b bytes.Buffer
	if _, err := HAR(&b, Query{Sessions: two(t)}, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	golden(t, "calls.har.golden", b.Bytes())
	var har struct {
		Log struct {
			Version string
			Creator struct{ Name, Version string }
			Entries []struct {
				StartedDateTime time.Time
				Time            float64
				Request         struct {
					URL                           string
					Headers, Cookies, QueryString []any
					HeadersSize                   *int
				}
				Response struct {
					Content  struct{ Size *int }
					BodySize int
					Transfer *int `json:"_transferSize"`
				}
				Timings map[string]float64
				Type    string `json:"_resourceType"`
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &har); err != nil {
		t.Fatal(err)
	}
	if har.Log.Version != "1.2" || har.Log.Creator.Version != "1.2.3" || len(har.Log.Entries) != 10 {
		t.Fatalf("%+v, want 10 entries", har.Log)
	}
	for _, e := range har.Log.Entries {
		sum := 0.0
		for _, name := range []string{"blocked", "dns", "connect", "send", "wait", "receive"} {
			v, ok := e.Timings[name]
			if !ok {
				t.Errorf("%s: no timing %s", e.Request.URL, name)
			}
			sum += max(v, 0)
		}
		// The specification: time is the sum of the timings that are not -1, without ssl.
		if sum != e.Time || e.Request.Headers == nil || e.Request.Cookies == nil || e.Request.QueryString == nil || e.Response.Content.Size == nil {
			t.Errorf("%s: sum %v, time %v, or a member that HAR wants is missing", e.Request.URL, sum, e.Time)
		}
	}
	// Chromium's tools show no type where there is none, and take the unknown size of a head off that of the body.
	if e := harEntry(&event.Event{Scheme: "wss", Host: "h.test", Port: 443, Path: "/"}); e.Type != "websocket" {
		t.Errorf("a WebSocket is of type %q", e.Type)
	}
	for _, e := range har.Log.Entries {
		if e.Type != "fetch" || e.Response.Transfer == nil || *e.Response.Transfer != e.Response.BodySize {
			t.Errorf("%s: type %q, transferred %v of %d", e.Request.URL, e.Type, e.Response.Transfer, e.Response.BodySize)
		}
	}
	b.Reset()
	if _, err := HAR(&b, Query{}, ""); err != nil || !json.Valid(b.Bytes()) {
		t.Errorf("an empty archive: %v, %s", err, b.String())
	}
}
