package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// Suggest is the service that would cover a host: the catalogue's where it knows the
// host, else one made of what was seen. seen is the event's kind of credential
// ("bearer", "x-api-key", "query:key", ...); "" is none.
func Suggest(host string, port int, seen string, allow []rule.Op) (Service, error) {
	name, err := rule.CanonicalHost(host)
	if err != nil {
		return Service{}, err
	}
	at := rule.Host{Name: name}
	if port != rule.DefaultPort {
		at.Port = port
	}
	s := Service{Allow: allow}
	if e, ok := ForHost(name, port); ok {
		s.Name, s.Use = e.Name, e.Name
		if !e.covers(name, port) {
			s.Hosts = []rule.Host{at}
		}
		// What the catalogue cannot know is written out, for the human to put right.
		if ep := e.Endpoints[0]; ep.Auth.lacks() != "" {
			s.Auth = ep.Auth.example()
		}
	} else {
		s.Name, s.Hosts = nameFor(name), []rule.Host{at}
		s.Auth = authFor(seen, s.Name)
	}
	s.Secret, err = keyring.ParseRef("keychain:" + s.Name)
	return s, err
}

// nameFor makes a service's name out of a host: api.linear.app is linear.
func nameFor(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return strings.Trim(strings.NewReplacer(":", "-", ".", "-").Replace(host), "-")
	}
	labels := strings.Split(host, ".")
	if len(labels) == 1 {
		return host
	}
	name := labels[len(labels)-2]
	// The second level of a country's domain names nobody: acme.co.uk.
	if len(labels) > 2 && len(name) <= 3 && len(labels[len(labels)-1]) == 2 {
		name = labels[len(labels)-3]
	}
	return name
}

func authFor(seen, service string) *Auth {
	kind, name, _ := strings.Cut(seen, ":")
	switch kind {
	case "", "bearer":
		return &Auth{Type: "bearer"}
	case "sigv4":
		return &Auth{Type: "sigv4", AccessKeyID: keyring.Ref{Scheme: "keychain", Name: service + "-id"}}
	case "basic":
		return &Auth{Type: "basic"}
	case "query", "cookie":
		if name == "" {
			return &Auth{Type: "bearer"}
		}
		return &Auth{Type: kind, Name: name}
	}
	a := &Auth{Type: "header", Name: seen}
	if a.check() != nil {
		return &Auth{Type: "bearer"}
	}
	return a
}

// ServiceTOML writes one service as it stands in a file.
func ServiceTOML(s Service) string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%-6s = %s\n", key, value) }
	fmt.Fprintf(&b, "[service.%s]\n", tomlKey(s.Name))
	if s.Use != "" {
		line("use", tomlString(s.Use))
	}
	if len(s.Hosts) == 1 {
		line("host", tomlString(s.Hosts[0].String()))
	} else if len(s.Hosts) > 1 {
		line("host", tomlList(s.Hosts))
	}
	if s.Auth != nil {
		line("auth", s.Auth.TOML())
	}
	if !s.Secret.IsZero() {
		line("secret", tomlString(s.Secret.String()))
	}
	for _, l := range []struct {
		key string
		ops []rule.Op
	}{{"allow", s.Allow}, {"deny", s.Deny}, {"ask", s.Ask}} {
		if len(l.ops) > 0 {
			line(l.key, tomlList(l.ops))
		}
	}
	if s.Env != nil {
		line("env", tomlWords(s.Env))
	}
	if s.Inject != "" {
		line("inject", tomlString(s.Inject))
	}
	return b.String()
}

// TOML writes a as the value of the key auth.
func (a *Auth) TOML() string {
	parts := []string{"type = " + tomlString(a.Type)}
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+" = "+tomlString(value))
		}
	}
	list := func(key string, words []string) {
		if len(words) > 0 {
			parts = append(parts, key+" = "+tomlWords(words))
		}
	}
	add("name", a.Name)
	add("prefix", a.Prefix)
	add("user", a.User)
	add("placeholder", a.Placeholder)
	list("fields", a.Fields)
	add("access_key_id", a.AccessKeyID.String())
	add("session_token", a.SessionToken.String())
	if a.AllowCredentialOperations {
		parts = append(parts, "allow_credential_operations = true")
	}
	add("grant", a.Grant)
	add("token_url", a.TokenURL)
	add("client_id", a.ClientID)
	list("scopes", a.Scopes)
	add("app_id", a.AppID)
	add("installation_id", a.InstallationID)
	list("repositories", a.Repositories)
	if len(a.Permissions) > 0 {
		var words []string
		for _, k := range slices.Sorted(maps.Keys(a.Permissions)) {
			words = append(words, tomlKey(k)+" = "+tomlString(a.Permissions[k]))
		}
		parts = append(parts, "permissions = { "+strings.Join(words, ", ")+" }")
	}
	if len(parts) == 1 {
		return tomlString(a.Type)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// tomlWords is a list on one line, as inline tables need it.
func tomlWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = tomlString(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func tomlKey(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == "" {
		return s
	}
	return tomlString(s)
}

// tomlString writes a basic string. TOML knows fewer escapes than Go: controls beyond
// the common ones are \u.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteRune('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// tomlList writes one element a line as soon as there are more than two.
func tomlList[T fmt.Stringer](list []T) string {
	quoted := make([]string, len(list))
	for i, e := range list {
		quoted[i] = tomlString(e.String())
	}
	if len(list) <= 2 {
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return "[\n  " + strings.Join(quoted, ",\n  ") + ",\n]"
}

// AddService appends the text of one or more services to a file, which is made where
// there is none. Everything that stands in it stays as it is, byte for byte, as does its
// mode. See Edit for what becomes of a result that would not load.
func AddService(path, text string) error {
	_, err := Edit(path, func(old []byte) ([]byte, error) { return Appended(old, text), nil })
	return err
}

// placeOf is the file that a path leads to, and the mode that it has or is to get.
func placeOf(path string) (string, fs.FileMode, error) {
	target := path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		target = resolved
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target, 0o644, nil
	case err != nil:
		return target, 0, readError(path, err)
	}
	return target, info.Mode().Perm(), nil
}

// current is what a file holds; created says that there is none.
func current(path, target string) (content []byte, created bool, err error) {
	content, err = os.ReadFile(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, readError(path, err)
	}
	return content, false, nil
}

// Appended is a file with the text of services behind what stands in it, in the file's own
// line ends.
func Appended(old []byte, text string) []byte {
	out := bytes.Clone(old)
	text = strings.Trim(text, "\r\n") + "\n"
	if len(out) > 0 {
		if !bytes.HasSuffix(out, []byte("\n")) {
			out = append(out, '\n')
		}
		text = "\n" + text
	}
	if bytes.Contains(old, []byte("\r\n")) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return append(out, text...)
}

func verify(path string, content []byte) error {
	_, err := Parse(filepath.Base(path), content)
	return err
}

// Parse reads a file's content by itself and checks that it compiles; name stands in the
// errors. Its kind is User, which alone may have every section: where the file lies was
// not its content's question.
func Parse(name string, content []byte) (*File, error) {
	f, found := read(name, Source{Path: name, Kind: User, Content: content})
	if len(found) > 0 {
		return nil, (&problems{found}).err()
	}
	_, err := f.Compile()
	return f, err
}
