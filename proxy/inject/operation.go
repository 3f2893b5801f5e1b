package inject

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxName is the most bytes that the name of an operation has; AWS's longest has 58.
	maxName = 64
	// A request may ask for several things at once; this many are named.
	maxNames = 3
)

// Operation names what a request asks for where its method and its path do not say it: AWS
// takes all calls of DynamoDB at POST /, a GraphQL server all of its at POST /graphql. It
// is what the server will go by, as far as the protocol has it outside the path:
//
//   - X-Amz-Target of AWS's JSON protocols: "GetItem"; with its prefix on other hosts, which
//     may stand for several of AWS's services. Tencent's and Alibaba's clouds have such a
//     header as well;
//   - Action, in the query or the form, on hosts of AWS or signed for it: "DescribeInstances";
//   - S3's sub-resources: "acl" for PUT /bucket/key?acl, "copy" for an object made of another;
//   - GraphQL, at paths that end in graphql: the kind and the fields of the operation that
//     runs, "mutation issueCreate". The name that a client gives it is its own choice and
//     not taken;
//   - JSON-RPC, at paths that end in mcp or rpc and where the client says that it speaks MCP:
//     the method, and of a tool or a prompt its name, "tools/call create_issue".
//
// Every part is a short word of letters, digits and a few signs: a name of another shape,
// and a request that can be read in two ways, has "?" in that place. It is "" where
// nothing is to be told. The host is the one that the request goes to, bare and in small
// letters.
//
// body gives the body, nil for one that cannot be looked at; it is asked for only where the
// name may stand there.
func Operation(req *http.Request, host string, body func() []byte) string {
	if req.URL == nil {
		return ""
	}
	if targets := req.Header["X-Amz-Target"]; len(targets) > 0 {
		return targetName(targets, host)
	}
	for _, name := range [...]string{"X-Tc-Action", "X-Acs-Action"} { // Tencent's and Alibaba's clouds
		if lines := req.Header[name]; len(lines) > 0 {
			return named(lines)
		}
	}
	if amazon(req, host) {
		if s3(req, host) {
			return subresource(req)
		}
		return actionName(req, body)
	}
	last := strings.TrimSuffix(req.URL.Path, "/")
	last = strings.ToLower(last[strings.LastIndexByte(last, '/')+1:])
	switch strings.TrimSuffix(last, ".json") {
	case "graphql", "gql":
		return graphqlName(req, body)
	case "mcp", "rpc", "jsonrpc", "json-rpc":
		return rpcName(req, body)
	}
	if req.Header["Mcp-Protocol-Version"] != nil || req.Header["Mcp-Session-Id"] != nil {
		return rpcName(req, body)
	}
	return ""
}

// targetName is the last word of X-Amz-Target, DynamoDB_20120810.GetItem. What stands
// before it is the service, which a host of AWS's own says as well.
func targetName(lines []string, host string) string {
	own := awsHost(host)
	names := make([]string, len(lines))
	for i, line := range lines {
		names[i] = strings.TrimSpace(line)
		if own {
			names[i] = lastWord(line)
		}
	}
	return named(names)
}

// lastWord is what stands behind the last dot.
func lastWord(line string) string {
	return strings.TrimSpace(line[strings.LastIndexByte(line, '.')+1:])
}

func awsHost(host string) bool {
	for _, end := range [...]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"} {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

// amazon reports a request to AWS, or one to a server of another name that is signed for it.
func amazon(req *http.Request, host string) bool {
	if awsHost(host) {
		return true
	}
	lines := req.Header["Authorization"]
	return len(lines) > 0 && authScheme(lines[0]) == "sigv4"
}

// s3 goes by the labels of the host, and by what the request is signed for: MinIO and R2
// have hosts of their own.
func s3(req *http.Request, host string) bool {
	if awsHost(host) {
		for label := range strings.SplitSeq(host, ".") {
			if label == "s3" || strings.HasPrefix(label, "s3-") || strings.HasPrefix(label, "s3express-") {
				return true
			}
		}
		return false
	}
	for _, line := range req.Header["Authorization"] {
		if strings.Contains(line, "/s3/aws4_request") || strings.Contains(line, "/s3express/aws4_request") {
			return true
		}
	}
	return false
}

// The parameters of S3's API that make another operation of a method on a bucket or an
// object (Amazon S3 API Reference, "Actions").
var subresources = [...]string{"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
	"inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention",
	"select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website"}

func subresource(req *http.Request) string {
	var names []string
	if len(req.Header["X-Amz-Copy-Source"]) > 0 {
		names = append(names, "copy")
	}
	for piece := range strings.SplitSeq(req.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(piece, "=")
		if name, err := url.QueryUnescape(name); err == nil && slices.Contains(subresources[:], name) {
			names = append(names, name)
		}
	}
	return named(names)
}

// actionName is the Action of AWS's query protocol.
func actionName(req *http.Request, body func() []byte) string {
	names := actions(req.URL.Query())
	if isForm(req) {
		text := body()
		form, err := url.ParseQuery(string(text))
		if err != nil || text == nil {
			names = append(names, "?")
		}
		names = append(names, actions(form)...)
	}
	return named(names)
}

func isForm(req *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(req.Header.Get("Content-Type")), "application/x-www-form-urlencoded")
}

// named writes the names that the client chose in one order, each once.
func named(given []string) string {
	names := make([]string, len(given)) // those of a header must stay as they are
	for i, name := range given {
		names[i] = nameOrNot(name)
	}
	slices.Sort(names)
	return joined(names)
}

// joined writes some names that are fit to be shown.
func joined(names []string) string {
	names = slices.Compact(names)
	if len(names) > maxNames {
		names = append(names[:maxNames:maxNames], "…")
	}
	return strings.Join(names, "+")
}

// nameOrNot is a name that can be shown, "?" for a text that is none.
func nameOrNot(s string) string {
	if s == "" || len(s) > maxName || s[0] != '_' && !letter(s[0]) {
		return "?"
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && (c < '0' || c > '9') && strings.IndexByte("_-./:", c) < 0 {
			return "?"
		}
	}
	return s
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
