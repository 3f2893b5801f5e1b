package discover

import "strings"

// readsByName reports whether an operation, or each of several, changes nothing, as far as its
// name tells: AWS's begin with a verb, GraphQL says what a query is, MCP has few methods.
// What is not known writes.
func readsByName(operation string) bool {
	if operation == "" {
		return false
	}
	if kind, _, ok := strings.Cut(operation, " "); ok && kind == "query" {
		return !strings.Contains(operation, "mutation ") && !strings.Contains(operation, "?") && !strings.Contains(operation, "…")
	}
	for one := range strings.SplitSeq(operation, "+") {
		if !readingVerb(one) {
			return false
		}
	}
	return true
}

func readingVerb(name string) bool {
	name = name[strings.LastIndexByte(name, '.')+1:] // DynamoDB_20120810.GetItem
	switch name {
	case "initialize", "ping", "tools/list", "prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read", "completion/complete",
		"Query", "Scan": // DynamoDB
		return true
	}
	if strings.HasPrefix(name, "notifications/") {
		return true
	}
	for _, verb := range [...]string{"Get", "List", "Describe", "BatchGet", "Lookup", "Search", "Head"} {
		if rest, ok := strings.CutPrefix(name, verb); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			return true
		}
	}
	return false
}
