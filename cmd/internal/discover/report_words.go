package discover

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"agentvault/proxy/event"
)

// signOf is the sign before a call.
func signOf(e *Endpoint) string {
	switch {
	case e.Verdict == event.Denied, e.Verdict == event.Failed && e.Covered:
		return "✕"
	case e.Covered && e.Verdict == event.Passed:
		return "○"
	case e.Covered:
		return "●"
	case e.Grade == Credential, e.Grade == Refused, e.Service != "":
		return "⚠"
	}
	return "○"
}

// NoteOf says in a few words why an endpoint of kind call is as it is; empty for one that
// is covered and went well. It is escaped.
func NoteOf(e *Endpoint) string {
	var note string
	switch {
	case e.Verdict == event.Denied && e.Reason != "", e.Verdict == event.Failed && e.Reason != "":
		note = event.Escape(e.Reason)
	case e.Verdict == event.Denied:
		note = "denied"
	case e.Verdict == event.Failed:
		note = "failed"
	case e.Covered:
		return ""
	case e.Service != "":
		note = "not in allow"
	case len(e.Auth) > 0:
		note = Carried(e.Auth[0])
		if len(e.Auth) > 1 && e.Auth[1] != e.Auth[0] {
			note += ", " + Carried(e.Auth[1])
		}
	case e.Grade == Refused:
		note = "refused, no credential"
	case e.Grade == Writes:
		note = "writes, no credential"
	default:
		note = "no credential"
	}
	if e.Label != "" {
		note = e.Label + ", " + note
	}
	return note
}

// Carried says for people which credential of its own the child sent; kind is that of
// Event.Auth.
func Carried(auth string) string {
	kind, name, _ := strings.Cut(auth, ":")
	switch kind {
	case "bearer", "token", "apikey", "key", "oauth", "authorization", "dpop":
		return "own key in Authorization"
	case "basic", "digest":
		return "own user and password"
	case "cookie":
		return "own cookie"
	case "path":
		return "own key in the path"
	case "query":
		return "own key in ?" + event.Escape(name)
	case "sigv4":
		return "own AWS signature"
	case "placeholder":
		return "a placeholder"
	case "negotiate", "ntlm", "hawk", "signature":
		return "own signature"
	}
	return "own key in " + event.Escape(headerName(kind))
}

// statuses gives the statuses of an endpoint, the most frequent first.
func statuses(e *Endpoint) string {
	codes := slices.SortedFunc(maps.Keys(e.Statuses), func(a, b int) int {
		return cmp.Or(cmp.Compare(e.Statuses[b], e.Statuses[a]), cmp.Compare(a, b))
	})
	switch {
	case len(codes) > 0:
	case e.Open > 0:
		return "open"
	default:
		return "—"
	}
	more := ""
	if len(codes) > 3 {
		codes, more = codes[:3], " …"
	}
	parts := make([]string, len(codes))
	for i, c := range codes {
		parts[i] = strconv.Itoa(c)
	}
	return strings.Join(parts, " ") + more
}
