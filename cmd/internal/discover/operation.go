package discover

import (
	"strings"

	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// Asked is what the rules have to know of the endpoint's operation.
func (e *Endpoint) Asked() rule.Asked { return inject.Asked(e.Method, e.Host, e.Path, e.Operation) }

// Rules are the rules for a call: its method and folded path, narrowed down to what was asked
// for there where that can be told.
func Rules(host, method, path, operation string) []string {
	return narrowed(method+" "+path, inject.Asked(method, host, path, operation))
}

func narrowed(place string, asked rule.Asked) []string {
	switch {
	case !asked.Known:
		return []string{place}
	case len(asked.Names) == 0:
		return []string{place + " " + rule.NoOperation}
	}
	var rules []string
	for _, name := range asked.Names {
		rules = append(rules, place+" "+name)
	}
	return rules
}

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
