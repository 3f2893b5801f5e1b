package inject

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOperation(t *testing.T) {
	const signed = "AWS4-HMAC-SHA256 Credential=AKIAX/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
	const form, jsonType = "application/x-www-form-urlencoded; charset=utf-8", "application/json"
	for _, tt := range []struct {
		name, method, url, header, body, want string
	}{
		{"JSON protocol", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: DynamoDB_20120810.GetItem", "", "GetItem"},
		{"JSON protocol elsewhere", "POST", "http://localhost:4566/", "X-Amz-Target: DynamoDBStreams_20120810.DescribeStream", "", "DynamoDBStreams_20120810.DescribeStream"},
		{"two targets", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D.PutItem\nX-Amz-Target: D.GetItem", "", "GetItem+PutItem"},
		{"free text", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D.read all of it", "", "?"},
		{"too long", "POST", "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target: D." + strings.Repeat("a", maxName+1), "", "?"},
		{"Tencent", "POST", "https://cvm.tencentcloudapi.com/", "X-Tc-Action: DescribeInstances", "", "DescribeInstances"},
		{"query protocol", "POST", "https://ec2.eu-west-1.amazonaws.com/", "Content-Type: " + form, "Action=DescribeInstances&Version=2016-11-15", "DescribeInstances"},
		{"query protocol in the URL", "GET", "https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers", "", "", "ListUsers"},
		{"in both", "POST", "https://iam.amazonaws.com/?Action=ListUsers", "Content-Type: " + form, "Action=DeleteUser", "DeleteUser+ListUsers"},
		{"form that cannot be read", "POST", "https://iam.amazonaws.com/", "Content-Type: " + form, "Action=%zz", "?"},
		{"form of somebody else", "POST", "https://api.example.test/", "Content-Type: " + form, "Action=Delete", ""},
		{"form that is signed for AWS", "POST", "https://aws.example.test/", "Content-Type: " + form + "\nAuthorization: " + strings.Replace(signed, "/s3/", "/sns/", 1), "Action=Publish", "Publish"},
		{"REST of AWS", "GET", "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions", "", "", ""},
		{"object", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?x-id=PutObject", "", "", ""},
		{"access control", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?acl", "", "", "acl"},
		{"access control, encoded", "PUT", "https://b.s3.eu-west-1.amazonaws.com/k?%61cl=", "", "", "acl"},
		{"part", "PUT", "https://s3.amazonaws.com/b/k?partNumber=1&uploadId=abc", "", "", "uploadId"},
		{"copy", "PUT", "https://b.s3-eu-west-1.amazonaws.com/k", "X-Amz-Copy-Source: /b/other", "", "copy"},
		{"S3 of somebody else", "DELETE", "https://minio.example.test/b?policy", "Authorization: " + signed, "", "policy"},

		{"mutation", "POST", "https://api.linear.app/graphql", "Content-Type: " + jsonType, `{"query":"mutation Harmless($i: In = {a: \"}\"}) @x(y: {z: 1}) { made: issueCreate(input: $i) { issue { id } } }","operationName":"Harmless"}`, "mutation issueCreate"},
		{"short form", "POST", "https://api.github.com/graphql", "Content-Type: " + jsonType, `{"query":"{ viewer { login } rateLimit { cost } }"}`, "query viewer+rateLimit"},
		{"the chosen one of two", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a } mutation B { b }","operationName":"B"}`, "mutation b"},
		{"none chosen of two", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a } mutation B { b }"}`, "?"},
		{"one that is not there", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"query A { a }","operationName":"B"}`, "?"},
		{"fragments", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"fragment F on Query { secret } query { ...F ... on Query { b } ... @include(if: true) { c } d }"}`, "query ...+d"},
		{"comments and blocks", "POST", "https://x.test/api/graphql/", "Content-Type: " + jsonType, `{"query":"# mutation { a }\nquery { f(text: \"\"\"} mutation { x\"\"\") @skip(if: false) }"}`, "query f"},
		{"many fields", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"{a b c d e}"}`, "query a+b+c+…"},
		{"another spelling of the key", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"query":"mutation { b }","QUERY":"{ a }"}`, "mutation b"},
		{"in the URL", "GET", "https://x.test/graphql?query=%7Ba%7D", "", "", "query a"},
		{"the URL and the body", "POST", "https://x.test/graphql?query=%7Ba%7D", "Content-Type: " + jsonType, `{"query":"mutation{b}"}`, "query a+mutation b"},
		{"batch", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `[{"query":"{a}"},{"query":"mutation{b}"}]`, "query a+mutation b"},
		{"persisted", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `{"operationName":"Viewer","extensions":{"persistedQuery":{"version":1}}}`, "persisted Viewer"},
		{"text", "POST", "https://x.test/graphql", "Content-Type: application/graphql", `mutation { b }`, "mutation b"},
		{"Shopify", "POST", "https://a.myshopify.com/admin/api/2026-01/graphql.json", "Content-Type: " + jsonType, `{"query":"{shop{id}}"}`, "query shop"},
		{"no GraphQL at all", "POST", "https://x.test/graphql", "Content-Type: " + jsonType, `nothing`, "?"},
		{"not a path of GraphQL", "POST", "https://x.test/search", "Content-Type: " + jsonType, `{"query":"{a}"}`, ""},

		{"tool", "POST", "https://mcp.linear.app/mcp", "Content-Type: " + jsonType, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_issue","arguments":{"name":"x"}}}`, "tools/call create_issue"},
		{"tool with a text for a name", "POST", "https://mcp.linear.app/mcp", "Content-Type: " + jsonType, `{"method":"tools/call","params":{"name":"a b"}}`, "tools/call ?"},
		{"MCP by its header", "POST", "https://x.test/api/v1", "Mcp-Protocol-Version: 2025-06-18", `{"method":"initialize","params":{}}`, "initialize"},
		{"answer", "POST", "https://x.test/mcp", "Content-Type: " + jsonType, `{"jsonrpc":"2.0","id":1,"result":{}}`, ""},
		{"stream of MCP", "GET", "https://x.test/mcp", "", "", ""},
		{"JSON-RPC with a list", "POST", "https://x.test/rpc", "Content-Type: " + jsonType, `{"method":"eth_call","params":["0x1"]}`, "eth_call"},
		{"batch of JSON-RPC", "POST", "https://x.test/rpc", "Content-Type: " + jsonType, `[{"method":"a"},{"method":"a"},{"method":"b"}]`, "a+b"},
	} {
		req := httptest.NewRequest(tt.method, tt.url, nil)
		for line := range strings.SplitSeq(tt.header, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				req.Header.Add(name, value)
			}
		}
		before := strings.Join(req.Header["X-Amz-Target"], ",")
		got := Operation(req, strings.ToLower(req.URL.Hostname()), func() []byte { return []byte(tt.body) })
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
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
		if strings.Contains(url, "s3") || strings.Contains(url, "example") {
			req.Header.Del("X-Amz-Target")
		}
		Operation(req, req.URL.Hostname(), func() []byte {
			t.Errorf("%s: the body was asked for", url)
			return nil
		})
	}
}

// What an agent sends names an operation in short words, or not at all.
func FuzzOperation(f *testing.F) {
	f.Add("/graphql", `{"query":"query A($b: C = {d: \"e\"}) { f: g(h: [1]) @i { j } ...k }"}`)
	f.Add("/mcp", `{"method":"tools/call","params":{"name":"x"}}`)
	f.Add("/graphql", `[{"query":"\"\"\" \\"}]`)
	f.Fuzz(func(t *testing.T, path, body string) {
		req := httptest.NewRequest(http.MethodPost, "https://x.test/", nil)
		req.URL.Path = path
		got := Operation(req, "x.test", func() []byte { return []byte(body) })
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
