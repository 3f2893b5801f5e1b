package tui

import (
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// What calls ask for at one path makes them different endpoints, and is seen in every view.
func TestOperationsAreEndpoints(t *testing.T) {
	s := NewStore(nil)
	for i, operation := range []string{"GetItem", "DeleteTable", "GetItem"} {
		e := event.Event{Call: uint64(i + 1), Phase: event.Start, Time: time.Unix(int64(i), 0), Method: "POST", Scheme: "https", Host: "dynamodb.us-east-1.amazonaws.com", Port: 443, Path: "/", Operation: operation}
		s.Apply(e)
		e.Phase, e.Verdict, e.Status = event.End, event.Uncovered, 400
		s.Apply(e)
	}
	var got []string
	for _, p := range s.Endpoints() {
		got = append(got, p.Template)
	}
	if strings.Join(got, ", ") != "/ GetItem, / DeleteTable" || s.Endpoints()[0].Calls != 2 {
		t.Errorf("endpoints are %q", got)
	}
	f, err := parseFilter(`endpoint:"/ GetItem"`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Last(3) {
		if want := c.Operation == "GetItem"; matches(f, c) != want {
			t.Errorf("%s: the filter says %t", c.Operation, !want)
		}
		st := new(Styles)
		shown := strings.Join(detailLines(st, c, about{}, c.Time, 100), "\n")
		if !strings.Contains(shown, "asks for "+c.Operation) {
			t.Errorf("the detail of %s is\n%s", c.Operation, shown)
		}
		if row := columnsFor(120).call(st, c, c.Time, false); !strings.Contains(row, c.Operation) {
			t.Errorf("the row of %s is %q", c.Operation, row)
		}
	}
}
