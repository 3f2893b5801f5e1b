package rule

import (
	"strings"
	"testing"
)

// What names an operation is decided by what the call asks for; where that cannot be told
// nothing is allowed by it, and everything is denied and asked for.
func TestMatchAsked(t *testing.T) {
	set := mustSet(t,
		Service{Name: "aws", Hosts: hosts(t, "aws.test"), Allow: ops(t, "POST / Describe*", "POST / GetItem", "GET /plain"), Deny: ops(t, "POST / DescribeSecrets", "/ *Keys")},
		Service{Name: "linear", Hosts: hosts(t, "linear.test"), Allow: ops(t, "POST /graphql query", "POST /graphql mutation issue*"), Ask: ops(t, "POST /graphql mutation issueDelete")},
		Service{Name: "mcp", Hosts: hosts(t, "mcp.test"), Allow: ops(t, "POST /mcp initialize", "POST /mcp tools/call get_*", "POST /mcp tools/list", "POST /mcp -", "GET /mcp -")},
		Service{Name: "open", Hosts: hosts(t, "open.test"), Deny: ops(t, "/graphql mutation", "/s3/* -")},
		Service{Name: "both", Hosts: hosts(t, "both.test"), Allow: ops(t, "POST / Narrow", "POST /")},
	)
	known := func(names ...string) Asked { return Asked{Names: names, Known: true} }
	for _, tt := range []struct {
		name, host, method, path string
		asked                    Asked
		want                     Kind
		says                     string // a part of the reason or the rule
		ask                      bool
	}{
		{"named", "aws.test", "POST", "/", known("GetItem"), Covered, "POST / GetItem", false},
		{"a glob", "aws.test", "POST", "/", known("DescribeInstances"), Covered, "POST / Describe*", false},
		{"another", "aws.test", "POST", "/", known("DeleteItem"), NotAllowed, "rule aws does not allow DeleteItem here", false},
		{"another case", "aws.test", "POST", "/", known("getitem"), NotAllowed, "", false},
		{"longer", "aws.test", "POST", "/", known("GetItems"), NotAllowed, "", false},
		{"denied", "aws.test", "POST", "/", known("DescribeSecrets"), Denied, "POST / DescribeSecrets", false},
		{"denied in another case", "aws.test", "POST", "/", known("describesecrets"), Denied, "", false},
		{"denied by another method", "aws.test", "GET", "/", known("ListKeys"), Denied, "/ *Keys", false},
		{"one of two is not allowed", "aws.test", "POST", "/", known("GetItem", "DeleteItem"), NotAllowed, "DeleteItem", false},
		{"one of two is denied", "aws.test", "POST", "/", known("GetItem", "DescribeSecrets"), Denied, "", false},
		{"by two rules", "aws.test", "POST", "/", known("GetItem", "DescribeInstances"), Covered, "POST / GetItem", false},
		{"none", "aws.test", "POST", "/", known(), NotAllowed, "this call names none", false},
		{"cannot be told", "aws.test", "POST", "/", Asked{Names: []string{"GetItem"}, Why: "its body is compressed"}, Denied, "cannot be told: its body is compressed", false},
		{"nothing is known", "aws.test", "POST", "/", Asked{}, Denied, "cannot be told", false},
		{"cannot be told elsewhere", "aws.test", "GET", "/plain", Asked{}, Covered, "GET /plain", false},
		{"another path", "aws.test", "POST", "/x", known("GetItem"), NotAllowed, "not in allow", false},

		{"a kind", "linear.test", "POST", "/graphql", known("query viewer", "query teams"), Covered, "POST /graphql query", false},
		{"a kind and another", "linear.test", "POST", "/graphql", known("query viewer", "mutation teamDelete"), NotAllowed, "mutation teamDelete", false},
		{"a word", "linear.test", "POST", "/graphql", known("mutation issueCreate"), Covered, "mutation issue*", false},
		{"asks", "linear.test", "POST", "/graphql", known("mutation issueDelete"), Covered, "rule linear asks for", true},
		{"not allowed, so nothing asks", "linear.test", "POST", "/graphql", Asked{}, NotAllowed, "allows single operations here", false},

		{"a tool", "mcp.test", "POST", "/mcp", known("tools/call get_issue"), Covered, "tools/call get_*", false},
		{"another tool", "mcp.test", "POST", "/mcp", known("tools/call delete_issue"), NotAllowed, "tools/call delete_issue", false},
		{"an answer", "mcp.test", "POST", "/mcp", known(), Covered, "POST /mcp -", false},
		{"a stream", "mcp.test", "GET", "/mcp", known(), Covered, "GET /mcp -", false},
		{"not a stream", "mcp.test", "GET", "/mcp", Asked{}, NotAllowed, "", false},

		{"all mutations", "open.test", "POST", "/graphql", known("mutation a"), Denied, "", false},
		{"no mutation", "open.test", "POST", "/graphql", known("query a"), Covered, "", false},
		{"a mutation too", "open.test", "POST", "/graphql", known("query a", "mutation b"), Denied, "", false},
		{"perhaps a mutation", "open.test", "POST", "/graphql", Asked{}, Denied, "", false},
		{"nothing is denied", "open.test", "PUT", "/s3/k", known("acl"), Covered, "", false},
		{"no operation is denied", "open.test", "PUT", "/s3/k", known(), Denied, "", false},

		{"the wider rule counts", "both.test", "POST", "/", known("Wide"), Covered, "POST /", false},
		{"and needs to know nothing", "both.test", "POST", "/", Asked{}, Covered, "POST /", false},
	} {
		m := set.MatchAsked(tt.host, 443, tt.method, tt.path, tt.asked)
		if m.Kind != tt.want || m.Ask != tt.ask || !strings.Contains(m.Rule+" "+m.Reason, tt.says) {
			t.Errorf("%s: %v %q %q, ask %t; want %v %q", tt.name, m.Kind, m.Rule, m.Reason, m.Ask, tt.want, tt.says)
		}
	}
	for host, want := range map[string]bool{"aws.test": true, "linear.test": true, "open.test": true, "nowhere.test": false} {
		if got := set.NamesOperations(host, 443); got != want {
			t.Errorf("%s names operations: %t", host, got)
		}
	}
	if set.NamesOperations("aws.test", 8443) {
		t.Error("another port names operations")
	}
}
