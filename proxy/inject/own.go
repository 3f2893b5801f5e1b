package inject

import (
	"net/http"
	"net/url"
	"strings"

	"agentvault/keyring"
)

// maxOwn is the longest value that Own takes, in bytes; no key is longer than the head
// of a request may be.
const maxOwn = 16 << 10

// Own is a credential that the child itself sent.
type Own struct {
	Kind  string         // as ClientAuth names it
	User  string         // of Basic: what stands before the colon
	Value keyring.Secret // the bare credential, without scheme or encoding
	// AsUser says that it stood where Basic has the user, and the password was empty or
	// one of the words that mean the same.
	AsUser bool
}

// OwnCredential takes the credential of that kind, as ClientAuth gave it, out of a request.
// It reports false for kinds that hold none (a signature, a cookie jar) and for values
// that cannot be read.
func OwnCredential(req *http.Request, kind string) (Own, bool) {
	own := Own{Kind: kind}
	var value string
	name, param, _ := strings.Cut(kind, ":")
	switch name {
	case "bearer", "token", "apikey", "key", "oauth", "basic", "authorization":
		value = own.authorization(req.Header.Get("Authorization"))
	case "query":
		value = queryValue(req.URL.RawQuery, param)
	case "path":
		path := req.URL.EscapedPath()
		start, end := PathKey(hostOf(req), path)
		value, _ = url.PathUnescape(path[start:end])
	case "", "sigv4", "cookie", "placeholder", "digest", "dpop", "negotiate", "ntlm", "hawk", "signature":
		return own, false
	default:
		for key, lines := range req.Header {
			if len(lines) > 0 && strings.EqualFold(key, kind) {
				value = lines[0]
			}
		}
		value = strings.TrimSpace(value)
	}
	if value == "" || len(value) > maxOwn {
		return own, false
	}
	own.Value = keyring.NewSecret([]byte(value))
	return own, true
}

// authorization takes the scheme off.
func (o *Own) authorization(line string) string {
	line = strings.TrimSpace(line)
	switch o.Kind {
	case "authorization":
		return line // it has no scheme that is known
	case "basic":
		pair, ok := parseBasic(line)
		if !ok {
			return ""
		}
		user, password, _ := strings.Cut(pair.text, ":")
		switch strings.ToLower(password) {
		case "", "x", "x-oauth-basic":
			o.AsUser = true
			return user
		}
		o.User = user
		return password
	}
	_, value, _ := strings.Cut(line, " ")
	return strings.TrimSpace(value)
}

func queryValue(raw, name string) string {
	for piece := range strings.SplitSeq(raw, "&") {
		_, text, _ := strings.Cut(piece, "=")
		if value, err := url.QueryUnescape(text); err == nil && sameParamName(piece, name) {
			return value
		}
	}
	return ""
}
