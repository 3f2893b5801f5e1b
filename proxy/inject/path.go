package inject

import (
	"net/http"
	"net/url"
	"strings"

	"agentvault/keyring"
)

// Path replaces Placeholder in the path of the URL, for services that want their token
// there (`/botTOKEN/getMe`). Every copy is replaced, percent-encoded spellings too;
// where there is none the error is ErrNoSlot.
type Path struct{ Placeholder string }

var _ Injector = Path{}

// Inject implements Injector. The path was matched before: a secret that could change
// which resource it names is refused.
func (p Path) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	const where = "path"
	raw, n, err := putInPath(req.URL.EscapedPath(), p.Placeholder, secret.Reveal(), -1)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", ErrNoSlot
	}
	if err := setPath(req.URL, raw); err != nil {
		return "", err
	}
	return where, nil
}

// putInPath replaces at most limit copies in an escaped path (-1: all) and counts them.
func putInPath(escaped, placeholder, v string, limit int) (string, int, error) {
	const where = "path"
	if err := checkText(where, v); err != nil {
		return "", 0, err
	}
	if strings.ContainsAny(v, `/\`) || strings.Trim(v, ".") == "" {
		return "", 0, &problem{where + ": the secret holds a slash, or only dots, and would change the path", ""}
	}
	raw, n := replaceEncoded(escaped, placeholder, url.PathEscape(v), false, limit)
	return raw, n, nil
}

// setPath sets both forms of a path, as url.Parse would.
func setPath(u *url.URL, escaped string) error {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return &problem{"path: unreadable percent-encoding", ""}
	}
	u.Path, u.RawPath = plain, escaped
	if (&url.URL{Path: plain}).EscapedPath() == escaped {
		u.RawPath = ""
	}
	return nil
}

// replaceEncoded replaces copies of old in percent-encoded text, however they are
// encoded, at most limit of them (-1: all), and counts them. plus says whether '+'
// stands for a space. What it does not replace keeps its bytes.
func replaceEncoded(raw, old, with string, plus bool, limit int) (string, int) {
	if old == "" || len(raw) < len(old) {
		return raw, 0
	}
	var out strings.Builder
	n, done := 0, 0
	for i := 0; i < len(raw) && n != limit; {
		end := encodedPrefix(raw[i:], old, plus)
		if end == 0 {
			i++
			continue
		}
		out.WriteString(raw[done:i])
		out.WriteString(with)
		n++
		i += end
		done = i
	}
	if n == 0 {
		return raw, 0
	}
	out.WriteString(raw[done:])
	return out.String(), n
}

// encodedPrefix returns how many bytes of raw spell text, or 0.
func encodedPrefix(raw, text string, plus bool) int {
	at := 0
	for i := 0; i < len(text); i++ {
		if at >= len(raw) {
			return 0
		}
		c, width := raw[at], 1
		switch {
		case c == '%':
			d, ok := unhexPair(raw[at:])
			if ok {
				c, width = d, 3
			}
		case c == '+' && plus:
			// A placeholder may hold a '+' that the child sent as it is.
			if text[i] != '+' {
				c = ' '
			}
		}
		if c != text[i] {
			return 0
		}
		at += width
	}
	return at
}

func unhexPair(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
