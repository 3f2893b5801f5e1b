package inject

import (
	"net/http"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

const (
	manyMore  = "…"         // names that the log has no room for
	spread    = "..."       // a fragment in the place of fields
	persisted = "persisted" // a document that the server has, and no one else
)

// uncertain reports a name that says that not all is told.
func uncertain(name string) bool {
	kind, field, _ := strings.Cut(name, " ")
	return kind == unread || field == unread || kind == manyMore || field == manyMore || field == spread || kind == persisted
}

// kindOf is the kind of a GraphQL operation, which the log writes once for several fields.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, " ")
	switch kind {
	case "query", "mutation", "subscription", persisted:
		return kind
	}
	return ""
}

// OperationText is how the log writes what a call asks for: "GetItem", "query viewer+rateLimit".
func OperationText(a rule.Asked) string {
	names := slices.Compact(slices.Clone(a.Names))
	if len(names) > maxNames {
		names = append(names[:maxNames], manyMore)
	}
	last := ""
	for i, name := range names {
		kind := kindOf(name)
		if kind != "" && kind == last {
			names[i] = strings.TrimPrefix(name, kind+" ")
		}
		last = kind
	}
	return strings.Join(names, "+")
}

// Asked reads what the log says of a call to a place, with the path escaped or as a template.
func Asked(method, host, path, text string) rule.Asked {
	a := rule.Asked{Known: true}
	last := ""
	if text != "" {
		for name := range strings.SplitSeq(text, "+") {
			if kind := kindOf(name); kind != "" {
				last = kind
			} else if last != "" {
				name = last + " " + name
			}
			a.Names = append(a.Names, name)
		}
	}
	switch p := protocolAt(host, path); {
	case p == elsewhere:
		a.Known, a.Why = false, notTold
	case slices.ContainsFunc(a.Names, uncertain), text == "" && (p == awsAPI || p == graphQL && method == http.MethodPost):
		a.Known, a.Why = false, "the log does not have all of it"
	}
	return a
}
