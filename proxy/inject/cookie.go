package inject

import (
	"fmt"
	"net/http"
	"strings"

	"agentvault/keyring"
)

// Cookie sends the secret as a cookie. The first copy is replaced where it stands,
// further copies are removed, on every Cookie line; other cookies keep their bytes.
// Names are compared exactly, as browsers and origins do.
type Cookie struct{ Name string }

var _ Injector = Cookie{}

// Inject implements Injector.
func (c Cookie) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	if !isToken(c.Name) {
		return "", fmt.Errorf("cookie %q: not a cookie's name", c.Name)
	}
	where := "cookie " + c.Name
	v := secret.Reveal()
	if err := checkCookieValue(where, v); err != nil {
		return "", err
	}
	lines := takeSlot(req.Header, "Cookie")
	pair, found := c.Name+"="+v, false
	var kept []string
	for _, line := range lines {
		if line = setCookie(line, c.Name, pair, &found); line != "" {
			kept = append(kept, line)
		}
	}
	switch {
	case found:
	case len(kept) == 0:
		kept = []string{pair}
	default:
		last := len(kept) - 1
		kept[last] = strings.TrimRight(kept[last], "; ") + "; " + pair
	}
	req.Header["Cookie"] = kept
	return where, nil
}

// setCookie works on one line. found says across lines whether pair was already set.
func setCookie(line, name, pair string, found *bool) string {
	pieces := strings.Split(line, ";")
	kept := pieces[:0]
	for _, piece := range pieces {
		got, _, _ := strings.Cut(piece, "=")
		if strings.Trim(got, " \t") != name {
			kept = append(kept, piece)
			continue
		}
		if *found {
			continue
		}
		*found = true
		lead := piece[:len(piece)-len(strings.TrimLeft(piece, " \t"))]
		kept = append(kept, lead+pair)
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " \t")
}

// takeSlot removes every spelling of name and returns its lines.
func takeSlot(h http.Header, name string) []string {
	var lines []string
	for key, values := range h {
		if sameSlot(key, name) {
			lines = append(lines, values...)
			delete(h, key)
		}
	}
	return lines
}

// checkCookieValue: a semicolon would begin another cookie.
func checkCookieValue(where, v string) error {
	if err := checkHeaderValue(where, v); err != nil {
		return err
	}
	if strings.Contains(v, ";") {
		return &problem{where + ": the secret holds a semicolon, which ends a cookie", ""}
	}
	return nil
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}
