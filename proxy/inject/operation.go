package inject

import (
	"net/http"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

const (
	// maxName is the most bytes that the name of an operation has; AWS's longest has 58.
	maxName = 64
	// A request may ask for several things at once; this many are named in the log.
	maxNames = 6
)

// notTold is why nothing is known in most places.
const notTold = "no protocol is known that would say it at this place"

// unread stands for what is no name, and for what cannot be told.
const unread = "?"

// protocol is how a server is told of an operation outside the path.
type protocol int

const (
	elsewhere protocol = iota // not known to be told so
	s3API                     // a sub-resource in the query
	awsAPI                    // X-Amz-Target, or Action in the query or the form
	graphQL
	jsonRPC // MCP is one
)

// protocolAt is by host and path alone: what a client says of itself must not choose how its
// words are read.
func protocolAt(host, path string) protocol {
	if p := awsProtocol(host, path); p != elsewhere {
		return p
	}
	if strings.Contains(path, "//") || strings.ContainsAny(path, ";%") {
		return elsewhere // servers differ in what they take for the last name in it
	}
	last := strings.TrimSuffix(path, "/")
	last = strings.ToLower(last[strings.LastIndexByte(last, '/')+1:])
	switch strings.TrimSuffix(last, ".json") {
	case "graphql", "gql":
		return graphQL
	case "mcp", "rpc", "jsonrpc", "json-rpc":
		return jsonRPC
	}
	if strings.HasPrefix(host, "mcp.") {
		return jsonRPC
	}
	return elsewhere
}

// TellsOperations reports whether what a request asks for can be told at a place, so that a
// rule may name an operation there. The path is escaped.
func TellsOperations(host, path string) bool { return protocolAt(host, path) != elsewhere }

// Operation tells what a request asks for where its method and its path do not say it: AWS
// takes all calls of DynamoDB at POST /, a GraphQL server all of its at POST /graphql.
//
//   - AWS, at /: the last word of X-Amz-Target, "GetItem", or Action in the query or the form,
//     "DescribeInstances";
//   - S3: its sub-resources, "acl" for PUT /bucket/key?acl, and "copy" for an object made of
//     another;
//   - GraphQL, at paths that end in graphql: the kind and the fields of the operation that
//     runs, "mutation issueCreate". The name that a client gives it is its own choice and
//     not taken;
//   - JSON-RPC, at paths that end in mcp or rpc and on hosts that begin with mcp: the method,
//     and of a tool or a prompt its name, "tools/call create_issue".
//
// It is known only where every server that follows the protocol acts on the names and on
// nothing else. Where it might not the names hold a "?". In other places names are told
// for the log, and nothing is known: those of requests that are signed for AWS or carry
// X-Amz-Target, of Tencent's and Alibaba's clouds, and where a client says that it speaks MCP.
//
// Every part of a name is a short word of letters, digits and a few signs: a name of another
// shape is a "?". The host is the one that the request goes to, bare and in small letters.
//
// body gives the body, or says why it cannot be looked at; it is asked for only where the name
// may stand there.
func Operation(req *http.Request, host string, body func() (content []byte, why string)) rule.Asked {
	if req.URL == nil {
		return rule.Asked{}
	}
	r := request{req, body}
	var a rule.Asked
	switch protocolAt(host, req.URL.EscapedPath()) {
	case s3API:
		a = r.s3()
	case awsAPI:
		a = r.aws(host)
	case graphQL:
		a = r.graphQL()
	case jsonRPC:
		a = r.jsonRPC()
	default:
		a = r.hinted()
		a.Known, a.Why = false, notTold
		return a
	}
	if len(req.Header["Upgrade"]) > 0 {
		a.Known, a.Why = false, "it opens a connection for further messages"
	}
	if a.Known {
		a.Why = ""
		return a
	}
	if !slices.ContainsFunc(a.Names, uncertain) {
		a.Names = append(a.Names, unread)
	}
	return a
}

// request is one of which the operation is looked for.
type request struct {
	*http.Request
	body func() (content []byte, why string)
}

// hinted is what a client says of itself at a place of which no protocol is known.
func (r request) hinted() rule.Asked {
	if targets := r.Header["X-Amz-Target"]; len(targets) > 0 {
		return rule.Asked{Names: named(targets)}
	}
	for _, name := range [...]string{"X-Tc-Action", "X-Acs-Action"} { // Tencent's and Alibaba's clouds
		if lines := r.Header[name]; len(lines) > 0 {
			return rule.Asked{Names: named(lines)}
		}
	}
	if lines := r.Header["Authorization"]; len(lines) > 0 && authScheme(lines[0]) == "sigv4" {
		if strings.Contains(lines[0], "/s3/aws4_request") || strings.Contains(lines[0], "/s3express/aws4_request") { // MinIO, R2
			return r.s3()
		}
		names, _ := r.actions()
		return rule.Asked{Names: named(names)}
	}
	if r.Header["Mcp-Protocol-Version"] != nil || r.Header["Mcp-Session-Id"] != nil {
		return r.jsonRPC()
	}
	return rule.Asked{}
}

// untold is an operation that cannot be told.
func untold(why string) rule.Asked { return rule.Asked{Why: why} }

// typed is the body, where it can be looked at, and its type. doubt says why a server may read
// it as something else than one of the types that are wanted.
func (r request) typed(types ...string) (content []byte, kind, doubt string) {
	content, doubt = r.body()
	if doubt != "" {
		return nil, "", doubt
	}
	kind, doubt = r.contentType()
	if doubt == "" && !slices.Contains(types, kind) {
		doubt = "its content type is not " + strings.Join(types, " or ")
	}
	return content, kind, doubt
}

// doubted is what was told, if there is no doubt.
func doubted(a rule.Asked, doubt string) rule.Asked {
	if doubt != "" {
		a.Known, a.Why = false, doubt
	}
	return a
}

// contentType is the one media type of the body, in small letters; "" where none is said.
func (r request) contentType() (kind, why string) {
	const several = "its content type can be read in several ways"
	for name := range r.Header { // CGI reads Content_Type as the same
		if strings.ContainsRune(name, '_') && sameSlot(name, "Content-Type") {
			return "", several
		}
	}
	lines := r.Header["Content-Type"]
	if len(lines) == 0 {
		return "", ""
	}
	if len(lines) > 1 || strings.Contains(lines[0], ",") {
		return "", several
	}
	kind, parameters, _ := strings.Cut(lines[0], ";")
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(parameter)), "=")
		if name != "" && (name != "charset" || strings.Trim(value, `"`) != "utf-8") {
			return "", several
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), ""
}

// named writes the names that the client chose in one order, each once.
func named(given []string) []string {
	var names []string
	for _, name := range given {
		names = append(names, nameOrNot(strings.TrimSpace(name)))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nameOrNot is a name that can be shown, "?" for a text that is none.
func nameOrNot(s string) string {
	if s == "" || len(s) > maxName || s[0] != '_' && !letter(s[0]) {
		return unread
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && (c < '0' || c > '9') && strings.IndexByte("_-./:", c) < 0 {
			return unread
		}
	}
	return s
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
