package rule

import (
	"fmt"
	"slices"
	"strings"
)

// Asked is what a call asks for beside its method and its path: the action of one of AWS's
// protocols, a field of GraphQL, a method of JSON-RPC. The zero Asked is that of a call of
// which this cannot be told; no rule that allows an operation allows it, and every rule that
// denies one at its place denies it.
type Asked struct {
	Names []string // "GetItem", "mutation issueCreate"; none where nothing is asked for
	Known bool     // the server will act on Names, on all of them and on nothing else
	Why   string   // why that is not known, for people
}

// operation is what a rule says of operations: one or two words, of which the second may be
// left out. "mutation" is every mutation.
type operation struct {
	words []segment // none for "-", a call that asks for nothing
}

// NoOperation is how a rule writes that a call names no operation.
const NoOperation = "-"

// parseOperation returns nil for "", which is any operation and none.
func parseOperation(s string) (*operation, error) {
	if s == "" {
		return nil, nil
	}
	o := &operation{}
	if s == NoOperation {
		return o, nil
	}
	words := strings.Split(s, " ")
	if len(words) > 2 {
		return nil, &syntaxError{fmt.Sprintf("operation %q has more than two words", s), "a blank in a path is written %20"}
	}
	for _, word := range words {
		if i := strings.IndexFunc(word, func(c rune) bool { return !inOperation(c) }); i >= 0 {
			hint := "letters, digits and _ - . / :, and * for any number of them"
			if word[i] == '+' {
				hint = "write a rule for each operation"
			}
			return nil, &syntaxError{fmt.Sprintf("operation %q: %q cannot stand there", s, word[i:i+1]), hint}
		}
		if strings.Contains(word, "**") {
			return nil, &syntaxError{fmt.Sprintf("operation %q: one * is any number of characters", s), ""}
		}
		o.words = append(o.words, segment{parts: strings.Split(word, "*")})
	}
	return o, nil
}

func inOperation(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_-./:*", c)
}

// match is about one operation.
func (o *operation) match(name string, fold bool) bool {
	for _, w := range o.words {
		word, rest, _ := strings.Cut(name, " ")
		if !w.match(word, fold) {
			return false
		}
		name = rest
	}
	return len(o.words) > 0
}

// meets reports whether the rule is about something that the call may ask for. Case takes no
// part, as in the rest of what denies and asks.
func (o *op) meets(asked Asked) bool {
	switch {
	case o.operation == nil, !asked.Known:
		return true
	case len(asked.Names) == 0:
		return len(o.operation.words) == 0
	}
	return slices.ContainsFunc(asked.Names, func(name string) bool { return o.operation.match(name, true) })
}

// allows finds the rule that allows the call, or the first of several that allow all of it
// together. stopped says why none does, where that is about operations.
func (svc *service) allows(method, path string, asked Asked) (rule, stopped string, ok bool) {
	var narrow []*op // for operations, at the call's place
	for i := range svc.allow {
		o := &svc.allow[i]
		if !o.match(method, path, false) {
			continue
		}
		if o.operation == nil {
			return o.text, "", true
		}
		narrow = append(narrow, o)
	}
	if narrow == nil {
		return "", "", false
	}
	if !asked.Known {
		return "", fmt.Sprintf("rule %s allows single operations here, and %s", svc.name, asked.untold()), false
	}
	if len(asked.Names) == 0 {
		if i := slices.IndexFunc(narrow, func(o *op) bool { return len(o.operation.words) == 0 }); i >= 0 {
			return narrow[i].text, "", true
		}
		return "", fmt.Sprintf("rule %s allows single operations here, and this call names none", svc.name), false
	}
	for _, name := range asked.Names {
		i := slices.IndexFunc(narrow, func(o *op) bool { return o.operation.match(name, false) })
		if i < 0 {
			return "", fmt.Sprintf("rule %s does not allow %s here", svc.name, name), false
		}
		if rule == "" {
			rule = narrow[i].text
		}
	}
	return rule, "", true
}

// untold is half a sentence.
func (a Asked) untold() string {
	if a.Why == "" {
		return "what this call asks for cannot be told"
	}
	return "what this call asks for cannot be told: " + a.Why
}

// reasonFor is the reason of a rule that denies or asks.
func (o *op) reasonFor(asked Asked) string {
	if o.operation == nil || asked.Known {
		return o.reason
	}
	return o.reason + ", and " + asked.untold()
}

// NamesOperations reports whether a service that names this host and port has a rule for
// an operation, so that the decision needs to know what a call asks for.
func (s *Set) NamesOperations(host string, port int) bool {
	name, err := CanonicalHost(host)
	if err != nil {
		return false
	}
	exact, wild := s.targets(name)
	for _, targets := range [2][]target{exact, wild} {
		for i := range targets {
			if t := &targets[i]; t.svc.operations && t.host.matchPort(port) {
				return true
			}
		}
	}
	return false
}
