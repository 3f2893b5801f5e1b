package rule

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// DefaultPort is the port that a pattern without one means.
	DefaultPort = 443
	// AnyPort is Host.Port of a pattern written `host:*`.
	AnyPort = -1
)

// Host is a pattern of places: a host or one label below it, a port, a path.
type Host struct {
	Name     string // canonical; for a wildcard what stands after "*."
	Wildcard bool   // exactly one label stands before Name
	Port     int    // 0 is the default port, 443; AnyPort is any
	Path     string // a glob as in Op.Path; "" is every path
}

// syntaxError is a pattern that does not parse; some know what to write instead.
type syntaxError struct{ msg, hint string }

func (e *syntaxError) Error() string { return e.msg }

// Hint says what to write instead; "" where nothing better is known.
func (e *syntaxError) Hint() string { return e.hint }

// ParseHost parses `api.github.com`, `*.x.test` (one label), `h:8443`, `h:*`,
// `[::1]:8443`, `h/v2/**`. Names are brought to their canonical form. Its errors quote
// the pattern and may carry a Hint() string.
func ParseHost(s string) (Host, error) {
	bad := func(hint, format string, a ...any) (Host, error) {
		return Host{}, &syntaxError{fmt.Sprintf("host %q: %s", s, fmt.Sprintf(format, a...)), hint}
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return bad(fmt.Sprintf("write %q", hostOnly(rest)), "has the scheme %q", scheme)
	}
	place, path, hasPath := strings.Cut(s, "/")
	var h Host
	if hasPath {
		h.Path = "/" + path
		if path == "" || strings.HasSuffix(path, "/") {
			bare := strings.TrimRight(s, "/")
			return bad(fmt.Sprintf("write %q for everything below", bare+"/**"), "path ends in %q", "/")
		}
		if _, err := parsePattern(h.Path); err != nil {
			return bad(hintOf(err), "path: %s", err)
		}
	}
	if strings.Contains(place, "@") {
		return bad("", "holds a user name or a password")
	}
	name, port, err := cutPort(place)
	if err != nil {
		return bad("", "%s", err)
	}
	h.Port = port
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		h.Wildcard, name = true, rest
	}
	if strings.Contains(name, "*") {
		return bad(`"*.example.test" is one label below example.test`, "a wildcard is one whole label, the first")
	}
	if h.Name, err = CanonicalHost(name); err != nil {
		if cause, ok := strings.CutPrefix(err.Error(), fmt.Sprintf("host %q: ", name)); ok {
			return bad("", "%s", cause)
		}
		return bad("", "%s", err)
	}
	if !h.Wildcard {
		return h, nil
	}
	if _, err := netip.ParseAddr(h.Name); err == nil {
		return bad("", "a wildcard cannot stand before an address")
	}
	if !strings.Contains(h.Name, ".") {
		return bad("", "a wildcard needs at least two labels after it")
	}
	return h, nil
}

func hostOnly(s string) string {
	s, _, _ = strings.Cut(s, "?")
	return strings.TrimRight(s, "/")
}

// cutPort splits `name`, `name:8443`, `name:*` and the bracketed forms.
func cutPort(s string) (name string, port int, err error) {
	name, text, has := s, "", false
	if i := strings.LastIndexByte(s, ']'); i >= 0 {
		if rest := s[i+1:]; rest != "" {
			if rest[0] != ':' {
				return "", 0, fmt.Errorf("%q after the address", rest)
			}
			name, text, has = s[:i+1], rest[1:], true
		}
	} else {
		if strings.Count(s, ":") > 1 {
			return "", 0, fmt.Errorf("an IPv6 address stands in brackets")
		}
		name, text, has = strings.Cut(s, ":")
	}
	if name == "" {
		return "", 0, fmt.Errorf("no name")
	}
	if !has {
		return name, 0, nil
	}
	if text == "*" {
		return name, AnyPort, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '0' || text[0] == '+' {
		return "", 0, fmt.Errorf("port %q is not 1 to 65535 or *", text)
	}
	return name, int(n), nil
}

// Match reports whether h names this host and port; the path takes no part.
func (h Host) Match(host string, port int) bool {
	name, err := CanonicalHost(host)
	return err == nil && h.matchName(name) && h.matchPort(port)
}

// matchName wants a canonical name.
func (h Host) matchName(name string) bool {
	if h.Wildcard {
		label, rest, ok := strings.Cut(name, ".")
		return ok && label != "" && rest == h.Name
	}
	return name == h.Name
}

func (h Host) matchPort(port int) bool {
	switch h.Port {
	case AnyPort:
		return true
	case 0:
		return port == DefaultPort
	}
	return port == h.Port
}

// String is the pattern in its canonical spelling; ParseHost reads it back.
func (h Host) String() string {
	name := h.Name
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if h.Wildcard {
		name = "*." + name
	}
	switch h.Port {
	case 0:
	case AnyPort:
		name += ":*"
	default:
		name += ":" + strconv.Itoa(h.Port)
	}
	return name + h.Path
}

func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}
