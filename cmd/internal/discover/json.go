package discover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"agentvault/proxy/event"
)

// Document is what `discover --json` prints. Names and meanings of fields are stable
// within a schema; new fields may come without its number changing. Times are RFC 3339 in
// UTC, durations nanoseconds, sizes bytes. Nothing in it is a credential.
//
//	schema       1
//	session      the session's id, if the report is of one
//	coverage     {endpoints, covered, percent}: of the endpoints of kind "call"
//	endpoints    see Endpoint: kind, method, scheme, host, port, path (the template), operation, calls,
//	             open, first, last, statuses {"200": 14}, last_status, sent, received,
//	             median_ns, auth, service, verdict, reason, covered, uncovered, denied and
//	             failed (calls), trouble (the reason of the last of the latter two), grade,
//	             label, client, allow
//	suggestions  {name, extend, use, hosts, auth, secret, allow, toml}: services that would
//	             cover the rest; with extend the service exists and lacks the rules in allow
//	commands     what to type, in this order
//	omitted      calls to endpoints beyond the 20,000 that a report holds
type Document struct {
	Schema      int                  `json:"schema"`
	Session     string               `json:"session,omitempty"`
	Coverage    Coverage             `json:"coverage"`
	Endpoints   []Endpoint           `json:"endpoints"`
	Suggestions []DocumentSuggestion `json:"suggestions"`
	Commands    []string             `json:"commands"`
	Omitted     int                  `json:"omitted,omitempty"`
}

// DocumentSuggestion is a Suggestion in a Document.
type DocumentSuggestion struct {
	Name   string   `json:"name"`
	Extend bool     `json:"extend,omitempty"`
	Use    string   `json:"use,omitempty"`
	Hosts  []string `json:"hosts"`
	Auth   string   `json:"auth"`
	Secret string   `json:"secret,omitempty"`
	Allow  []string `json:"allow"`
	TOML   string   `json:"toml"`
}

// JSON writes the Document of the endpoints, indented. Width and Color take no part.
func JSON(w io.Writer, endpoints []Endpoint, o Options) error {
	d := Document{
		Schema: 1, Session: o.Session, Coverage: CoverageOf(endpoints), Endpoints: endpoints,
		Suggestions: []DocumentSuggestion{}, Commands: []string{}, Omitted: o.Over,
	}
	if d.Endpoints == nil {
		d.Endpoints = []Endpoint{}
	}
	suggestions := Suggest(endpoints, o.Knowledge)
	for _, s := range suggestions {
		d.Suggestions = append(d.Suggestions, DocumentSuggestion{
			Name: s.Name, Extend: s.Extend, Use: s.Use, Hosts: s.Hosts, Auth: s.Auth, Secret: s.Secret, Allow: s.Allow, TOML: s.TOML(),
		})
	}
	d.Commands = append(d.Commands, Commands(suggestions, o.Again)...)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return err
	}
	_, err := io.WriteString(w, harmless(b.String()))
	return err
}

// harmless writes characters that a terminal would obey as \uNNNN. In JSON they can only
// stand within a string, and encoding/json has escaped those below the blank.
func harmless(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	if r < 0x7f {
		return false
	}
	one := string(r)
	return event.Escape(one) != one
}
