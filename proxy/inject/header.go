package inject

import (
	"fmt"
	"net/http"

	"agentvault/keyring"
)

// Header sends the secret as a header of any name, after Prefix ("token ", "Key ").
type Header struct {
	Name   string
	Prefix string // sent as it is, a space at its end included
}

var _ Injector = Header{}

// Inject implements Injector.
func (h Header) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	name := http.CanonicalHeaderKey(h.Name)
	where := "header " + name
	if !usableName(h.Name) {
		return "", fmt.Errorf("header %q: not a header that can carry a credential", h.Name)
	}
	v := secret.Reveal()
	if err := checkHeaderValue(where, v); err != nil {
		return "", err
	}
	if h.Prefix != "" && h.Prefix != " " {
		if err := checkHeaderValue(where+": prefix", h.Prefix+"x"); err != nil {
			return "", fmt.Errorf("%s: prefix %q cannot be sent", where, h.Prefix)
		}
	}
	setHeader(req.Header, name, h.Prefix+v)
	return where, nil
}

// setHeader makes value the only line of name's slot.
func setHeader(h http.Header, name, value string) {
	clearSlot(h, name)
	h[name] = []string{value}
}

// clearSlot removes every line that an origin could read as name. CGI, WSGI and what
// descends from them read X_Api_Key and X-Api-Key as one variable, so these are one slot.
func clearSlot(h http.Header, name string) {
	for key := range h {
		if sameSlot(key, name) {
			delete(h, key)
		}
	}
}

func sameSlot(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if slotByte(a[i]) != slotByte(b[i]) {
			return false
		}
	}
	return true
}

func slotByte(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// usableName refuses names that are no token, and those which frame or route the
// message: a secret there would change what the request is.
func usableName(name string) bool {
	for _, framing := range [...]string{
		"Host", "Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer",
		"Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Expect",
		"Content-Type", "Content-Encoding", "Cookie",
	} {
		if sameSlot(name, framing) {
			return false
		}
	}
	for i := 0; i < len(name); i++ {
		if !tokenByte(name[i]) {
			return false
		}
	}
	return name != ""
}

// tokenByte is tchar of RFC 9110 5.6.2.
func tokenByte(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
