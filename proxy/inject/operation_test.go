package inject

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestOperation(t *testing.T) {
	const signed = "AWS4-HMAC-SHA256 Credential=AKIAX/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
	const form, jsonType, amazon = "application/x-www-form-urlencoded; charset=utf-8", "application/json", "Content-Type: application/x-amz-json-1.0\n"
	// What is wanted begins with ! where it is known for certain.
	for _, tt := range []struct {
		name, method, url, header, body, want string
	}{
		{"JSON protocol", "POST", "https://dynamodb.us-east-1.amazonaws.com/", amazon + "X-Amz-Target: DynamoDB_20120810.GetItem", "", "!GetItem"},
		{"JSON protocol elsewhere", "POST", "http://localhost:4566/", "X-Amz-Target: DynamoDBStreams_20120810.DescribeStream", "", "DynamoDBStreams_20120810.DescribeStream"},
		{"two targets", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D.PutItem\nX-Amz-Target: D.GetItem", "", "GetItem+PutItem+?"},
		{"free text", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D.read all of it", "", "?"},
		{"too long", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D." + strings.Repeat("a", maxName+1), "", "?"},
		{"Tencent", "POST", "https://cvm.tencentcloudapi.com/", "X-Tc-Action: DescribeInstances", "", "DescribeInstances"},
		{"query protocol", "POST", "https://ec2.eu-west-1.amazonaws.com/", "Content-Type: " + form, "Action=DescribeInstances&Version=2016-11-15", "!DescribeInstances"},
		{"query protocol in the URL", "GET", "https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers", "", "", "!ListUsers"},
		{"in both", "POST", "https://iam.amazonaws.com/?Action=ListUsers", "Content-Type: " + form, "Action=DeleteUser", "DeleteUser+ListUsers+?"},
		{"form that cannot be read", "POST", "https://iam.amazonaws.com/", "Content-Type: " + form, "Action=%zz", "?"},
		{"form of somebody else", "POST", "https://api.example.test/", "Content-Type: " + form, "Action=Delete", ""},
		{"form that is signed for AWS", "POST", "https://aws.example.test/", "Content-Type: " + form + "\nAuthorization: " + strings.Replace(signed, "/s3/", "/sns/", 1), "Action=Publish", "Publish"},
		{"REST of AWS", "GET", "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions", "", "", ""},
		{"object", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?x-id=PutObject", "", "", "!"},
		{"access control", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?acl", "", "", "!acl"},
		{"access control, encoded", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?%61cl=", "", "", "!acl"},
		{"part", "PUT", "https://s3.amazonaws.com/b/k?partNumber=1&uploadId=abc", "", "", "!uploadId"},
		{"copy", "PUT", "https://b.s3-eu-west-1.amazonaws.com/k", "X-Amz-Copy-Source: /b/other", "", "!copy"},
		{"S3 of somebody else", "DELETE", "https://minio.example.test/b?policy", "Authorization: " + signed, "", "policy"},

		{"mutation", "POST", "https://api.linear.app/graphql", "Content-Type: " + jsonType, `{"query":"mutation Harmless($i: In = {a: \"}\"}) @x(y: {z: 1}) { made: issueCreate(input: $i) { issue { id } } }","operationName":"Harmless"}`, "!mutation issueCreate"},
		{"short form", "POST", "https://api.github.com/graphql", "Content-Type: " + jsonType, `{"query":"{ viewer { login } rateLimit { cost } }"}`, "!query viewer+rateLimit"},
		{"the chosen one of two", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a } mutation B { b }","operationName":"B"}`, "!mutation b"},
		{"none chosen of two", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a } mutation B { b }"}`, "?"},
		{"one that is not there", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a }","operationName":"B"}`, "?"},
		{"fragments", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"fragment F on Query { secret } query { ...F ... on Query { b } ... @include(if: true) { c } d }"}`, "query ...+d"},
		{"comments and blocks", "POST", "https://x.test/api/graphql/", "Content-Type: " + jsonType, `{"query":"# mutation { a }\nquery { f(text: \"\"\"} mutation { x\"\"\") @skip(if: false) }"}`, "!query f"},
		{"many fields", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a b c d e f g}"}`, "!query a+b+c+d+e+f+…"},
		{"another spelling of the key", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"mutation { b }","QUERY":"{ a }"}`, "mutation b+?"},
		{"in the URL", "GET", "https://x.test/graphql?query=%7Ba%7D", "", "", "!query a"},
		{"the URL and the body", "POST", "https://x.test/graphql?query=%7Ba%7D", "Content-Type: " + jsonType, `{"query":"mutation{b}"}`, "query a+mutation b+?"},
		{"batch", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `[{"query":"{a}"},{"query":"mutation{b}"}]`, "!query a+mutation b"},
		{"persisted", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"operationName":"Viewer","extensions":{"persistedQuery":{"version":1}}}`, "persisted Viewer"},
		{"text", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `mutation { b }`, "!mutation b"},
		{"Shopify", "POST", "https://a.myshopify.com/admin/api/2026-01/graphql.json", "Content-Type: " + jsonType, `{"query":"{shop{id}}"}`, "!query shop"},
		{"no GraphQL at all", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `nothing`, "?"},
		{"not a path of GraphQL", "POST", "https://x.test/search", "Content-Type: " + jsonType, `{"query":"{a}"}`, ""},

		{"tool", "POST", "https://mcp.linear.app/mcp", "Content-Type: " + jsonType, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_issue","arguments":{"name":"x"}}}`, "!tools/call create_issue"},
		{"tool with a text for a name", "POST", "https://mcp.linear.app/mcp", "Content-Type: " + jsonType, `{"method":"tools/call","params":{"name":"a b"}}`, "tools/call ?"},
		{"MCP by its header", "POST", "https://x.test/api/v1", "Content-Type: application/json\nMcp-Protocol-Version: 2025-06-18", `{"method":"initialize","params":{}}`, "initialize"},
		{"answer", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"jsonrpc":"2.0","id":1,"result":{}}`, "!"},
		{"stream of MCP", "GET", "https://x.test/mcp", "", "", "!"},
		{"JSON-RPC with a list", "POST", "https://x.test/rpc", "Content-Type: " + jsonType, `{"method":"eth_call","params":["0x1"]}`, "!eth_call"},
		{"batch of JSON-RPC", "POST", "https://x.test/rpc", "Content-Type: " + jsonType, `[{"method":"a"},{"method":"a"},{"method":"b"}]`, "!a+b"},

		// What one server reads so and another otherwise.
		{"form of a JSON service", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "Content-Type: " + form + "\nX-Amz-Target: D.GetItem", "Action=DeleteTable", "DeleteTable+GetItem+?"},
		{"form that says it is JSON", "POST", "https://ec2.us-east-1.amazonaws.com/", amazon + "X-Amz-Target: D.DescribeInstances", "Action=TerminateInstances", "DescribeInstances+TerminateInstances+?"},
		{"form within JSON", "POST", "https://ec2.us-east-1.amazonaws.com/", amazon + "X-Amz-Target: D.DescribeInstances", `{"%":"&Action=TerminateInstances&"}`, "DescribeInstances+TerminateInstances+?"},
		{"form in parts", "POST", "https://iam.amazonaws.com/?Action=ListUsers", "Content-Type: multipart/form-data; boundary=x", "", "ListUsers+?"},
		{"form in another alphabet", "POST", "https://iam.amazonaws.com/?Action=ListUsers", "Content-Type: application/x-www-form-urlencoded; charset=utf-16", "", "ListUsers+?"},
		{"two types", "POST", "https://iam.amazonaws.com/?Action=ListUsers", "Content-Type: text/plain\nContent-Type: " + form, "", "ListUsers+?"},
		{"nothing", "POST", "https://iam.amazonaws.com/", "", "", "?"},
		{"another path of AWS", "POST", "https://monitoring.us-east-1.amazonaws.com/service/X/operation/PutMetricData", "X-Amz-Target: D.ListMetrics", "", "D.ListMetrics"},
		{"a customer's server", "POST", "https://abc.execute-api.us-east-1.amazonaws.com/", "X-Amz-Target: D.GetItem", "", "D.GetItem"},
		{"a customer's machine", "POST", "https://ec2-1-2-3-4.compute-1.amazonaws.com/", "X-Amz-Target: D.GetItem", "", "D.GetItem"},
		{"a customer's machine named like S3", "PUT", "https://s3-x.us-east-1.elb.amazonaws.com/k?acl", "", "", ""},
		{"an account's own host", "POST", "https://123456789012.ddb.us-east-1.amazonaws.com/", amazon + "X-Amz-Target: D.GetItem", "", "!GetItem"},
		{"two stacks", "GET", "https://b.s3.dualstack.us-east-1.amazonaws.com/?policy", "", "", "!policy"},
		{"two sub-resources", "PUT", "https://b.s3.amazonaws.com/k?acl&policy", "", "", "acl+policy+?"},
		{"a part that is copied", "PUT", "https://b.s3.amazonaws.com/k?partNumber=1&uploadId=a", "X-Amz-Copy-Source: /b/o", "", "!copy+uploadId"},
		{"a sub-resource that is new", "PUT", "https://b.s3.amazonaws.com/k?renameObject", "", "", "?"},
		{"parameters of S3", "GET", "https://b.s3.amazonaws.com/?list-type=2&prefix=a%2Fb&X-Amz-Date=x&response-content-type=y", "", "", "!"},

		{"a target at GraphQL", "POST", "https://x.test/graphql", "Content-Type: " + jsonType + "\nX-Amz-Target: D.GetItem", `{"query":"mutation{b}"}`, "!mutation b"},
		{"a document twice", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a}","query":"mutation{b}"}`, "mutation b+?"},
		{"a member that the server may know", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a}","id":"1"}`, "query a+?"},
		{"a hash beside the document", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a}","extensions":{"persistedQuery":{"sha256Hash":"x"}}}`, "query a+?"},
		{"no extensions", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a}","operationName":null,"variables":{"query":"mutation{b}"},"extensions":{}}`, "!query a"},
		{"JSON that is a form too", "POST", "https://x.test/graphql", "Content-Type: " + form, `{"query":"{a}","variables":{"x":"&query=mutation{b}&"}}`, "query a+?"},
		{"JSON without a type", "POST", "https://x.test/graphql", "", `{"query":"{a}"}`, "query a+?"},
		{"Content_Type", "POST", "https://x.test/graphql", "Content-Type: " + jsonType + "\nContent_Type: " + form, `{"query":"{a}"}`, "query a+?"},
		{"words behind the JSON", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a}"}{"query":"mutation{b}"}`, "?"},
		{"a list with something else", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `[{"query":"{a}"},1]`, "?"},
		{"an empty list", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `[]`, "?"},
		{"a block string that old servers end", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `{ a(x: [""" " ]) b(x: [" """]) }`, "?"},
		{"a fence that is escaped", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `{ a(x: """\""" y: """) b(z: """ c """) }`, "?"},
		{"a line that some end earlier", "POST", "https://x.test/graphql", "Content-Type: application/graphql", "{ a #\u2028 b\n }", "?"},
		{"brackets that do not close", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `{ a(x: {y: 1)} b }`, "?"},
		{"two of one name", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a } mutation A { b }","operationName":"A"}`, "?"},
		{"a schema", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `type A { b: C }`, "?"},
		{"a fragment alone", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `fragment F on A { b }`, "?"},
		{"WebSocket", "GET", "https://x.test/graphql", "Upgrade: websocket", "", "?"},
		{"twice in the URL", "GET", "https://x.test/graphql?query=%7Ba%7D&query=mutation%7Bb%7D", "", "", "query a+?"},
		{"a path that can be read in two ways", "POST", "https://x.test/a%2Fgraphql", "Content-Type: " + jsonType, `{"query":"{a}"}`, ""},
		{"a path with parameters", "POST", "https://x.test/graphql;x", "Content-Type: " + jsonType, `{"query":"{a}"}`, ""},
		{"AppSync", "POST", "https://abc.appsync-api.us-east-1.amazonaws.com/graphql", "Content-Type: " + jsonType, `{"query":"{a}"}`, "!query a"},

		{"a host of MCP", "POST", "https://mcp.stripe.test/", "Content-Type: " + jsonType, `{"method":"tools/list"}`, "!tools/list"},
		{"MCP by its header alone", "POST", "https://x.test/", "Content-Type: " + jsonType + "\nMcp-Session-Id: 1", `{"method":"tools/list"}`, "tools/list"},
		{"two methods", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"method":"ping","Method":"tools/call"}`, "ping+?"},
		{"two tools", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"method":"tools/call","params":{"name":"a","Name":"b"}}`, "tools/call a+?"},
		{"a member of another protocol", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"method":"ping","query":"mutation{b}"}`, "ping+?"},
		{"neither call nor answer", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"jsonrpc":"2.0"}`, "?"},
		{"a method in the URL", "POST", "https://x.test/rpc?Method=b", "Content-Type: " + jsonType, `{"method":"a"}`, "?"},
	} {
		req := httptest.NewRequest(tt.method, tt.url, nil)
		for line := range strings.SplitSeq(tt.header, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				req.Header.Add(name, value)
			}
		}
		before := strings.Join(req.Header["X-Amz-Target"], ",")
		asked := Operation(req, strings.ToLower(req.URL.Hostname()), func() ([]byte, string) { return []byte(tt.body), "" })
		got := OperationText(asked)
		if want, known := strings.CutPrefix(tt.want, "!"); got != want || asked.Known != known {
			t.Errorf("%s: got %q, known %t (%s), want %q, %t", tt.name, got, asked.Known, asked.Why, want, known)
		}
		if asked.Known == (asked.Why != "") {
			t.Errorf("%s: known %t, why %q", tt.name, asked.Known, asked.Why)
		}
		// The log gives back what it was told, or less.
		if again := Asked(tt.method, strings.ToLower(req.URL.Hostname()), req.URL.EscapedPath(), got); again.Known && !(asked.Known && slices.Equal(again.Names, slices.Compact(asked.Names))) {
			t.Errorf("%s: the log has %q, the rules %q", tt.name, again.Names, asked.Names)
		}
		if after := strings.Join(req.Header["X-Amz-Target"], ","); after != before {
			t.Errorf("%s: the request was changed: %q", tt.name, after)
		}
	}
}

// A body is read only where the name of the operation may stand in it.
func TestOperationLeavesBodiesAlone(t *testing.T) {
	for _, url := range []string{"https://api.example.test/v1/things", "https://b.s3.amazonaws.com/k", "https://dynamodb.us-east-1.amazonaws.com/"} {
		req := httptest.NewRequest(http.MethodPut, url, nil)
		req.Header.Set("X-Amz-Target", "D.PutItem")
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		if strings.Contains(url, "s3") || strings.Contains(url, "example") {
			req.Header.Del("X-Amz-Target")
		}
		Operation(req, req.URL.Hostname(), func() ([]byte, string) {
			t.Errorf("%s: the body was asked for", url)
			return nil, ""
		})
	}
}

// What an agent sends names an operation in short words, or not at all.
func FuzzOperation(f *testing.F) {
	f.Add("/graphql", typeJSON, `{"query":"query A($b: C = {d: \"e\"}) { f: g(h: [1]) @i { j } ...k }"}`)
	f.Add("/mcp", typeJSON, `{"method":"tools/call","params":{"name":"x"}}`)
	f.Add("/graphql", typeJSON, `[{"query":"\"\"\" \\"}]`)
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		req := httptest.NewRequest(http.MethodPost, "https://x.test/", nil)
		req.URL.Path = path
		req.Header.Set("Content-Type", kind)
		asked := Operation(req, "x.test", func() ([]byte, string) { return []byte(body), "" })
		got := OperationText(asked)
		if again := Asked(http.MethodPost, "x.test", req.URL.EscapedPath(), got); again.Known && !(asked.Known && slices.Equal(again.Names, slices.Compact(asked.Names))) {
			t.Errorf("the log has %q, the rules %q", again.Names, asked.Names)
		}
		if len(got) > (maxNames+1)*(2*maxName+16) {
			t.Errorf("%d bytes", len(got))
		}
		for _, r := range got {
			if r != '…' && r != '?' && r != '+' && r != ' ' && !strings.ContainsRune("_-./:", r) && !(r < 0x80 && (letter(byte(r)) || r >= '0' && r <= '9')) {
				t.Errorf("%q in %q", r, got)
			}
		}
	})
}
