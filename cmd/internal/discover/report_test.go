package discover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

func TestReport(t *testing.T) {
	endpoints := Endpoints(agentSession())
	for _, width := range []int{0, 80, 120} {
		var b bytes.Buffer
		if err := Report(&b, endpoints, Options{Width: width, Session: "7f3a", Again: "--from 7f3a", Knowledge: known}); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("report_%d.golden", width), b.Bytes())
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
	if err := Report(&b, endpoints, Options{Width: 100, Color: true, Session: "7f3a", Again: "--from 7f3a", Knowledge: known}); err != nil {
		t.Fatal(err)
	}
	golden(t, "report_color.golden", b.Bytes())
}

func TestReportShort(t *testing.T) {
	covered := event.Event{Phase: event.End, Method: "GET", Scheme: "https", Host: "x.test", Port: 443, Path: "/", Service: "x", Verdict: event.Injected}
	for _, tt := range []struct {
		name   string
		events []event.Event
		want   string
	}{
		{"nothing", nil, "No call went through the proxy"},
		{"all covered", []event.Event{covered}, "1 endpoint, all covered (100 %)."},
		{"connections only", []event.Event{{Phase: event.Note, Host: "h.test", Port: 22, Scheme: "tcp", Verdict: event.Bypassed}}, "connections only"},
	} {
		var b bytes.Buffer
		if err := Report(&b, Endpoints(tt.events), Options{}); err != nil || !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s: %v, %q, want %q in it", tt.name, err, b.String(), tt.want)
		}
	}
}

// A host stands whole wherever there is room for it, however short its paths are.
func TestReportHost(t *testing.T) {
	const host = "billing.internal.example.test"
	call := event.Event{Phase: event.End, Method: "GET", Scheme: "https", Host: host, Port: 443, Path: "/", Verdict: event.Uncovered}
	for _, tt := range []struct {
		width int
		want  string
	}{{0, host + "  unknown\n"}, {80, host + "  unknown\n"}, {30, "billing.in…ample.test  unknown\n"}} {
		var b bytes.Buffer
		if err := Report(&b, Endpoints([]event.Event{call}), Options{Width: tt.width}); err != nil || !strings.HasPrefix(b.String(), tt.want) {
			t.Errorf("width %d: %v, %q, want %q first", tt.width, err, b.String(), tt.want)
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, Endpoints(agentSession()), Options{Session: "7f3a", Again: "--from 7f3a", Knowledge: known}); err != nil {
		t.Fatal(err)
	}
	golden(t, "report_json.golden", b.Bytes())
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Error("the JSON holds characters that a terminal would obey")
	}
	var d Document
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != 1 || len(d.Endpoints) == 0 || d.Endpoints[0].Host == "" || len(d.Suggestions) == 0 {
		t.Errorf("read back as %+v", d)
	}
	b.Reset()
	if err := JSON(&b, nil, Options{}); err != nil || strings.Contains(b.String(), "null") {
		t.Errorf("an empty report: %v, %s", err, b.String())
	}
}
