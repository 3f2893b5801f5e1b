package discover

import (
	"strings"
	"testing"

	"agentvault/proxy/event"
)

// operations are calls to one path that ask for different things.
func operations() []event.Event {
	var all []event.Event
	for i, operation := range []string{"GetItem", "DeleteTable", "GetItem", "Query"} {
		all = append(all, event.Event{Phase: event.End, Call: uint64(i + 1), Method: "POST", Scheme: "https", Host: "dynamodb.us-east-1.amazonaws.com", Port: 443,
			Path: "/", Operation: operation, Verdict: event.Uncovered, Status: 400})
	}
	return all
}

func TestOperationsAreEndpoints(t *testing.T) {
	endpoints := Endpoints(operations())
	var got []string
	for _, e := range endpoints {
		got = append(got, e.Method+" "+e.HostPort()+e.Target()+" "+string(e.Grade))
	}
	want := "POST dynamodb.us-east-1.amazonaws.com/ DeleteTable writes, POST dynamodb.us-east-1.amazonaws.com/ GetItem reads, POST dynamodb.us-east-1.amazonaws.com/ Query reads"
	if all := strings.Join(got, ", "); all != want || endpoints[1].Calls != 2 {
		t.Errorf("got %s, want %s", all, want)
	}
	if c := CoverageOf(endpoints); c.Endpoints != 3 {
		t.Errorf("%d endpoints count", c.Endpoints)
	}
	suggestions := Suggest(endpoints, Knowledge{})
	if len(suggestions) != 1 || strings.Join(suggestions[0].Allow, ", ") != "POST / DeleteTable, POST / GetItem, POST / Query" {
		t.Fatalf("%+v, want one service with a rule for each", suggestions)
	}
	if text := suggestions[0].TOML(); strings.Contains(text, "every operation") {
		t.Errorf("the rules are as narrow as what was seen, and the text says otherwise:\n%s", text)
	}
}
