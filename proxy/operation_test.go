package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
)

// What a call asks for is in both of its events, and the server gets the body as it was.
func TestOperation(t *testing.T) {
	const mutation = `{"query":"mutation Harmless { issueDelete(id: \"1\") { success } }","operationName":"Harmless"}`
	long := `{"query":"{ a }","x":"` + strings.Repeat("y", maxKept) + `"}`
	for _, tt := range []struct {
		name, path, body string
		header           []string
		want             string
	}{
		{"GraphQL", "/graphql", mutation, []string{"Content-Type", "application/json"}, "mutation issueDelete"},
		{"AWS", "/", `{"TableName":"t"}`, []string{"X-Amz-Target", "DynamoDB_20120810.GetItem"}, "DynamoDB_20120810.GetItem"},
		{"MCP", "/mcp", `{"method":"tools/call","params":{"name":"create_issue"}}`, []string{"Content-Type", "application/json"}, "tools/call create_issue"},
		{"a body that is too long to be looked at", "/graphql", long, nil, "?"},
		{"none", "/v1/things", `{"query":"{a}"}`, nil, ""},
	} {
		for _, protocol := range []int{1, 2} {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != tt.body {
					t.Errorf("%s: the server read %d bytes of %d, %v", tt.name, len(body), len(tt.body), err)
				}
			}})
			resp, text := s.do(s.client(protocol), "POST", "https://"+s.host+tt.path, strings.NewReader(tt.body), tt.header...)
			if resp.StatusCode != 200 {
				t.Fatalf("%s: %s %s", tt.name, resp.Status, text)
			}
			if e := s.last(); e.Operation != tt.want || e.Phase != event.End || e.Sent != int64(len(tt.body)) {
				t.Errorf("%s: %q, want %q; %d bytes sent", tt.name, e.Operation, tt.want, e.Sent)
			}
			for _, e := range s.seen() {
				if e.Operation != tt.want {
					t.Errorf("%s: %s says %q", tt.name, e.Phase, e.Operation)
				}
			}
		}
	}
}

// A name is a place where a secret could be written to: it is searched like a path, and a
// body that holds one stops as ever.
func TestOperationHoldsNoSecret(t *testing.T) {
	const own = "ownKeyOfTheChild0123456789abcdef"
	s := start(t, options{})
	s.Hide([]keyring.Secret{keyring.NewSecret([]byte(own))})
	s.do(s.client(1), "POST", "https://"+s.host+"/", strings.NewReader("{}"), "X-Amz-Target", own)
	if e := s.last(); e.Operation != "‹key›" {
		t.Errorf("got %q", e.Operation)
	}
	s.get("/") // from here on the proxy knows its own
	resp, _ := s.do(s.client(1), "POST", "https://"+s.host+"/mcp", strings.NewReader(`{"method":"`+sentinel+`"}`))
	if e := s.last(); resp.StatusCode != http.StatusForbidden || e.Code != CodeLeak || strings.Contains(e.Operation, sentinel) {
		t.Errorf("status %d, %s, operation %q", resp.StatusCode, e.Code, e.Operation)
	}
}
