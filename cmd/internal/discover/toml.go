package discover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"agentvault/proxy/event"
)

// TOML is the suggestion as a piece of agentvault.toml that loads as it is. For a service
// that exists already (Extend) it is a comment that says what to add to its allow list.
func (s Suggestion) TOML() string {
	var b strings.Builder
	if s.Extend {
		fmt.Fprintf(&b, "# [service.%s]: add to allow\n", key(s.Name))
		for _, op := range s.Allow {
			fmt.Fprintf(&b, "#     %s,\n", quote(op))
		}
		return b.String()
	}
	fmt.Fprintf(&b, "[service.%s]\n", key(s.Name))
	if s.Use != "" {
		fmt.Fprintf(&b, "use    = %s\n", quote(s.Use))
	}
	if s.Use == "" || s.Entry.OwnHost {
		fmt.Fprintf(&b, "host   = %s\n", list(s.Hosts, true))
	}
	if auth, comment := s.auth(); auth != "" {
		fmt.Fprintf(&b, "auth   = %s%s\n", auth, comment)
	}
	if s.Secret != "" {
		fmt.Fprintf(&b, "secret = %s\n", quote(s.Secret))
	}
	switch {
	case len(s.Env) > 0:
		fmt.Fprintf(&b, "env    = %s\n", list(s.Env, false))
	case s.NoEnv:
		b.WriteString("env    = []  # its variables are those of another service\n")
	}
	if s.Insecure {
		b.WriteString("insecure = true  # plain HTTP, on loopback\n")
	}
	fmt.Fprintf(&b, "allow  = %s\n", list(s.Allow, false))
	for _, op := range s.Allow {
		if names := s.Operations[op]; len(names) > 0 {
			fmt.Fprintf(&b, "# %s is every operation at that path, because not of each call could be told which it was; seen were %s.\n", op, enumerate(names))
		}
	}
	return b.String()
}

// auth gives the value of the key auth for the kind of credential that was seen, and a
// comment where something had to be guessed; "" where the catalogue says all.
func (s Suggestion) auth() (value, comment string) {
	switch {
	case s.Use != "" && s.Entry.Auth != "":
		if strings.Contains(s.Entry.Auth, unknownUser) && s.User != "" {
			return strings.Replace(s.Entry.Auth, unknownUser, quote(s.User), 1), ""
		}
		return s.Entry.Auth, "  # " + cmp.Or(s.Entry.Note, "to be filled in")
	case s.Use != "":
		return "", ""
	case s.Signed != "":
		return `"none"`, "  # the agent signs its requests itself (" + s.Signed + ")"
	}
	return s.seen()
}

// enumerate writes some names in a line of a comment.
func enumerate(names []string) string {
	const most = 12
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	more := ""
	if len(names) > most {
		names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
	}
	return event.Escape(strings.Join(names, ", ")) + more
}

// unknownUser stands in Entry.Auth for a user name that only the human knows.
const unknownUser = `"YOUR-USER"`

// seen is auth for a host that the catalogue does not know.
func (s Suggestion) seen() (value, comment string) {
	kind, name, named := strings.Cut(s.Auth, ":")
	switch kind {
	case "none", "":
		return `"none"`, ""
	case "path":
		return `"path"`, "  # where the agent writes its placeholder"
	case "bearer":
		return `"bearer"`, ""
	case "placeholder", "unknown":
		return `"bearer"`, "  # a guess: see the service's documentation"
	case "basic":
		if s.User != "" {
			return fmt.Sprintf(`{ type = "basic", user = %s }`, quote(s.User)), ""
		}
		return `{ type = "basic", user = "user" }`, "  # the user name that goes with the secret"
	case "query":
		if named {
			return fmt.Sprintf(`{ type = "query", name = %s }`, quote(name)), ""
		}
		return `{ type = "query", name = "key" }`, "  # the parameter that carried it"
	case "cookie":
		if named {
			return fmt.Sprintf(`{ type = "cookie", name = %s }`, quote(name)), ""
		}
		return `{ type = "cookie", name = "session" }`, "  # the name of the cookie that counts"
	case "authorization", "token", "apikey", "key", "oauth":
		prefix := map[string]string{"token": "token ", "apikey": "ApiKey ", "key": "Key ", "oauth": "OAuth "}[kind]
		if prefix == "" {
			return `{ type = "header", name = "Authorization" }`, ""
		}
		return fmt.Sprintf(`{ type = "header", name = "Authorization", prefix = %s }`, quote(prefix)), ""
	}
	return fmt.Sprintf(`{ type = "header", name = %s }`, quote(headerName(kind))), ""
}

// signed reports whether a credential of this kind is made anew for each request. Only
// who holds the key can do that, so the agent's own is let through.
func signed(kind string) bool {
	switch kind {
	case "sigv4", "digest", "dpop", "negotiate", "ntlm", "hawk", "signature":
		return true
	}
	return false
}

// headerName brings the name of a header to the form in which people write it.
func headerName(s string) string {
	words := strings.Split(strings.ToLower(s), "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}

// list writes strings as an array, a line each when there are many; a single one is
// written bare where the configuration takes that.
func list(items []string, bare bool) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quote(item)
	}
	switch {
	case bare && len(items) == 1:
		return quoted[0]
	case len(items) <= 2:
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return "[\n    " + strings.Join(quoted, ",\n    ") + ",\n]"
}

// key writes a bare key, or a quoted one where it must be.
func key(s string) string {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
