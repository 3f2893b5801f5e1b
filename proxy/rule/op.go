package rule

import (
	"fmt"
	"slices"
	"strings"
)

// Op is what a call does: a method on a path, and where a protocol takes many operations at
// one path, which of them.
type Op struct {
	Method string // upper case; "" or "*" is any
	Path   string // `*` within a segment or one segment, `**` any number of segments
	// Operation is as the log writes it, "Describe*" or "mutation issueCreate": words in which
	// `*` is any number of characters, and of which those that are left out are any. "-" is a
	// call that names none, "" any call.
	Operation string
}

// Methods lists the methods that an Op may name, the common ones first. TRACE is not
// among them: the proxy refuses it always. LIST is Vault's, the others are WebDAV's.
func Methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "CONNECT",
		"LIST", "PROPFIND", "PROPPATCH", "REPORT", "SEARCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "PURGE"}
}

// ParseOp parses `GET /repos/*/*/issues`, `/**` (any method), `* /v1/**`,
// `POST /graphql mutation issueCreate`. Its errors quote the rule and may carry a Hint() string.
func ParseOp(s string) (Op, error) {
	bad := func(hint, format string, a ...any) (Op, error) {
		return Op{}, &syntaxError{fmt.Sprintf("rule %q: %s", s, fmt.Sprintf(format, a...)), hint}
	}
	words := append(strings.Fields(s), "", "")
	if strings.HasPrefix(words[0], "/") {
		words = append([]string{""}, words...)
	}
	method, path, operation := words[0], words[1], strings.TrimSpace(strings.Join(words[2:], " "))
	switch {
	case method == "" || method == "*" || slices.Contains(Methods(), method):
	case slices.Contains(Methods(), strings.ToUpper(method)):
		return bad(fmt.Sprintf("write %q", strings.ToUpper(method)), "method %q is not in upper case", method)
	case method == "TRACE":
		return bad("", "TRACE is always refused")
	default:
		return bad("", "invalid method %q (one of: %s)", method, strings.Join(Methods()[:8], ", "))
	}
	if path == "" {
		return bad(fmt.Sprintf("%q is every path", strings.TrimSpace(method+" /**")), "no path")
	}
	if _, err := parsePattern(path); err != nil {
		return bad(hintOf(err), "path: %s", err)
	}
	if _, err := parseOperation(operation); err != nil {
		return bad(hintOf(err), "%s", err)
	}
	return Op{method, path, operation}, nil
}

// String is the rule as ParseOp reads it.
func (o Op) String() string {
	return strings.TrimSpace(strings.TrimSpace(o.Method+" "+o.Path) + " " + o.Operation)
}

func (o Op) anyMethod() bool { return o.Method == "" || o.Method == "*" }
