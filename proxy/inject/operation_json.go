package inject

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

const typeJSON = "application/json"

// message is what a body says of its operation, by GraphQL over HTTP and by JSON-RPC.
type message struct {
	members map[string]json.RawMessage
	// odd is a second member of one name, in whatever case: of these one server takes the
	// first, one the last, and encoding/json does not even tell "QUERY" from "query".
	odd bool
}

// text is a member that is a string, "" for null and for none.
func (m message) text(key string) (s string, ok bool) {
	raw, there := m.members[key]
	return s, !there || json.Unmarshal(raw, &s) == nil
}

// only reports whether the message has no other members than these.
func (m message) only(keys ...string) bool {
	for key := range m.members {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return !m.odd
}

// empty reports a member that is not there, or holds nothing.
func (m message) empty(key string) bool {
	raw := bytes.TrimSpace(m.members[key])
	return len(raw) == 0 || string(raw) == "null" || string(raw) == "{}"
}

// readMessages reads a body that is one message or a list of them.
func readMessages(body []byte) (all []message, why string) {
	raws := []json.RawMessage{body}
	if body := bytes.TrimSpace(body); len(body) > 0 && body[0] == '[' {
		if json.Unmarshal(body, &raws) != nil || len(raws) == 0 {
			return nil, "its body is no JSON"
		}
	}
	for _, raw := range raws {
		m, ok := readMessage(raw)
		if !ok {
			return nil, "its body is no JSON object"
		}
		all = append(all, m)
	}
	return all, ""
}

func readMessage(raw []byte) (message, bool) {
	m := message{members: make(map[string]json.RawMessage)}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return m, false
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return m, false
		}
		key, _ := token.(string)
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return m, false
		}
		for known := range m.members {
			m.odd = m.odd || strings.EqualFold(known, key)
		}
		m.members[key] = value
	}
	if _, err := d.Token(); err != nil {
		return m, false
	}
	_, err := d.Token()
	return m, err == io.EOF
}

// both is what two parts of a request ask for.
func both(a, b rule.Asked) rule.Asked {
	if !b.Known && a.Known {
		a.Known, a.Why = false, b.Why
	}
	a.Names = append(a.Names, b.Names...)
	return a
}

// graphQL tells the fields of the operations that a request runs. What the specification of
// GraphQL over HTTP leaves to the server is not known: parameters beside a body, members
// that it does not have, documents that the server keeps.
func (r request) graphQL() rule.Asked {
	if r.Method != http.MethodPost {
		return r.graphQLInURL()
	}
	content, kind, doubt := r.typed(typeJSON, "application/graphql")
	a := rule.Asked{Known: true}
	if r.URL.RawQuery != "" {
		a = doubted(r.graphQLInURL(), "it has parameters beside its body")
	}
	if a = doubted(a, doubt); kind == "application/graphql" {
		return both(a, graphqlOperation(string(content), ""))
	}
	messages, why := readMessages(content)
	if a.Known {
		a = doubted(a, why)
	}
	for _, m := range messages {
		a = both(a, m.graphQL())
	}
	return a
}

// graphQLInURL is the operation of a GET.
func (r request) graphQLInURL() rule.Asked {
	if r.URL.RawQuery == "" && r.ContentLength == 0 {
		return rule.Asked{Known: true} // a page for people, or a stream
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return rule.Asked{Why: "its query cannot be read"}
	}
	m := message{members: make(map[string]json.RawMessage), odd: r.ContentLength != 0}
	for key, values := range q {
		m.members[key], err = json.Marshal(values[0])
		m.odd = m.odd || err != nil || len(values) > 1
	}
	if q.Get("extensions") == "" {
		delete(m.members, "extensions")
	}
	return m.graphQL()
}

// graphQL tells the operation of one message.
func (m message) graphQL() rule.Asked {
	document, ok := m.text("query")
	name, named := m.text("operationName")
	if document == "" && !m.empty("extensions") {
		return rule.Asked{Names: []string{persisted + " " + nameOrNot(name)}, Why: "the server has the text of its operation"}
	}
	if !ok || !named {
		return rule.Asked{Why: "its operation is no text"}
	}
	a := graphqlOperation(document, name)
	if a.Known && (!m.only("query", "operationName", "variables", "extensions") || !m.empty("extensions")) {
		a.Known, a.Why = false, "its message has members beside query, operationName and variables, or has one of them twice"
	}
	return a
}

// jsonRPC tells the methods of a request.
func (r request) jsonRPC() rule.Asked {
	if r.Method != http.MethodPost {
		return rule.Asked{Known: r.ContentLength == 0, Why: "it has a body"}
	}
	for key := range r.URL.Query() {
		if strings.EqualFold(key, "method") {
			return rule.Asked{Why: "it has a parameter that may name another method"}
		}
	}
	content, _, doubt := r.typed(typeJSON)
	messages, why := readMessages(content)
	a := doubted(rule.Asked{Known: true}, cmp.Or(doubt, why))
	for _, m := range messages {
		a = both(a, m.jsonRPC())
	}
	return a
}

// jsonRPC tells the method of one message; an answer to the server has none.
func (m message) jsonRPC() rule.Asked {
	method, ok := m.text("method")
	known := ok && m.only("jsonrpc", "id", "method", "params", "result", "error")
	if m.members["method"] == nil {
		return rule.Asked{Known: known && !(m.members["result"] == nil && m.members["error"] == nil), Why: "its message names no method"}
	}
	name := nameOrNot(method)
	if name == "tools/call" || name == "prompts/get" {
		params, object := readMessage(m.members["params"]) // a list has no name
		text, ok := params.text("name")
		known = known && object && ok && !params.odd
		name += " " + nameOrNot(text)
	}
	return rule.Asked{Names: []string{name}, Known: known && !uncertain(name), Why: "its message can be read in several ways"}
}
