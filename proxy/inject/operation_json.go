package inject

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// message is what a body says of its operation, by GraphQL over HTTP and by JSON-RPC. Keys
// are taken as they are spelled: encoding/json would take "QUERY" for "query" in a struct,
// and a server would not.
type message map[string]json.RawMessage

// text is a member that is a string, else "".
func (m message) text(key string) (s string) {
	if json.Unmarshal(m[key], &s) != nil {
		return ""
	}
	return s
}

// readMessages reads a body that is one message or a list of them.
func readMessages(body []byte) (all []message, ok bool) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		return all, json.Unmarshal(body, &all) == nil
	}
	one := make([]message, 1)
	return one, json.Unmarshal(body, &one[0]) == nil
}

// graphqlName tells what the operations of a request do.
func graphqlName(req *http.Request, body func() []byte) string {
	var names []string
	add := func(query, name string, persisted bool) {
		switch {
		case query != "":
			names = append(names, graphqlOperation(query, name))
		case persisted: // the server has the text, by its hash
			names = append(names, "persisted "+nameOrNot(name))
		}
	}
	if req.URL.RawQuery != "" {
		q := req.URL.Query()
		add(q.Get("query"), q.Get("operationName"), q.Has("extensions"))
	}
	if req.Method != http.MethodPost {
		return joined(names)
	}
	if kind, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";"); strings.EqualFold(kind, "application/graphql") {
		add(string(body()), "", false)
	} else if all, ok := readMessages(body()); ok {
		for _, m := range all {
			add(m.text("query"), m.text("operationName"), m["extensions"] != nil)
		}
	}
	if len(names) == 0 {
		return "?"
	}
	return joined(names)
}

// rpcName tells the methods of a request.
func rpcName(req *http.Request, body func() []byte) string {
	if req.Method != http.MethodPost {
		return ""
	}
	all, ok := readMessages(body())
	if !ok {
		return "?"
	}
	var names []string
	for _, m := range all {
		if m["method"] == nil {
			continue // an answer
		}
		name := nameOrNot(m.text("method"))
		if name == "tools/call" || name == "prompts/get" {
			var params message
			_ = json.Unmarshal(m["params"], &params) // a list has no name
			name += " " + nameOrNot(params.text("name"))
		}
		names = append(names, name)
	}
	return joined(names)
}
