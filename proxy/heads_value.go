package proxy

import (
	"net/http"
	"strings"

	"agentvault/proxy/inject"
)

// shown is a value of a request as the view shows it.
func (x *exchange) shown(name, v, service string, ours bool) string {
	if ours {
		return authScheme(v) + "‹" + service + "›"
	}
	for _, f := range x.found {
		if where, ok := strings.CutPrefix(f.Where, "header "); ok && strings.TrimSuffix(where, " (Basic)") == name {
			return authScheme(v) + standInOf(f.Service)
		}
	}
	return ownValue(name, v)
}

// standInOf is what the view shows for a placeholder that was not replaced.
func standInOf(service string) string { return "‹placeholder of " + service + "›" }

const ownMark = "‹own›"

// ownValue is a value that the agent sent by itself.
func ownValue(name, v string) string {
	switch {
	case strings.EqualFold(name, "Cookie"):
		return maskCookies(v, ownMark)
	case secretive(name):
		return authScheme(v) + ownMark
	}
	return v
}

// theirValue is a value that the server sent.
func theirValue(name, v string) string {
	const masked = "‹masked›"
	switch {
	case strings.EqualFold(name, "Set-Cookie"):
		first, rest, more := strings.Cut(v, ";")
		first = maskCookies(first, masked)
		if more {
			first += ";" + rest
		}
		return first
	case secretive(name) && !strings.EqualFold(name, "Www-Authenticate"):
		return authScheme(v) + masked
	}
	return v
}

// maskCookies keeps the names.
func maskCookies(v, mask string) string {
	var b strings.Builder
	for piece := range strings.SplitSeq(v, ";") {
		if b.Len() > headValue {
			break // the rest is cut anyway
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		name, _, named := strings.Cut(strings.TrimSpace(piece), "=")
		if named { // a cookie without a name is all value
			b.WriteString(shorten(name, 64) + "=")
		}
		b.WriteString(mask)
	}
	return b.String()
}

// secretive says whether a header's name reads like one that carries a credential, or
// what stands for a login.
func secretive(name string) bool {
	if inject.CredentialHeader(name) {
		return true
	}
	for start, i := 0, 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' && name[i] != '_' {
			continue
		}
		for _, word := range [...]string{"session", "sessionid", "sid", "signature", "csrf", "xsrf", "assertion", "ticket", "otp", "nonce", "bearer"} {
			if len(word) == i-start && strings.EqualFold(name[start:i], word) {
				return true
			}
		}
		start = i + 1
	}
	return false
}

// authScheme is the scheme of a credential with the blank behind it, where it is one that
// everybody knows; nothing else of a value is ever shown.
func authScheme(v string) string {
	word, _, ok := strings.Cut(v, " ")
	if !ok {
		return ""
	}
	for _, known := range [...]string{"Bearer", "Basic", "token", "Token", "ApiKey", "Key", "OAuth", "Digest", "Negotiate", "DPoP",
		"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "GenieKey", "Bot", "SSWS", "Splunk"} {
		if strings.EqualFold(word, known) {
			return known + " "
		}
	}
	return ""
}

// harmless leaves out of a value what may open a door though no header's name says so: the
// query of a URL (a signed link is as good as a password), the login before its host, a
// token that can be told by its shape.
func harmless(name, v string) string {
	if !strings.ContainsAny(v, "?#@") && !strings.Contains(v, "eyJ") {
		return v
	}
	link := false
	switch http.CanonicalHeaderKey(name) {
	case "Location", "Content-Location", "Referer", "Link", "Refresh":
		link = true
	}
	var b strings.Builder
	for word := range strings.SplitAfterSeq(v, " ") {
		b.WriteString(withoutToken(withoutQuery(word, link)))
	}
	return b.String()
}

// withoutQuery wants a text without blanks but at its end. Only what has a slash is taken
// for an address, unless a link is expected.
func withoutQuery(word string, link bool) string {
	if _, rest, ok := strings.Cut(word, "://"); ok {
		host := rest
		if end := strings.IndexAny(rest, "/?#>\"', "); end >= 0 {
			host = rest[:end]
		}
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			word = word[:len(word)-len(rest)] + ownMark + rest[at:]
		}
	}
	begin := strings.IndexAny(word, "?#")
	if begin < 0 || !link && !strings.Contains(word[:begin], "/") {
		return word
	}
	rest := word[begin+1:]
	length := len(rest)
	if end := strings.IndexAny(rest, ">\"', "); end >= 0 {
		length = end
	}
	if length == 0 {
		return word
	}
	return word[:begin+1] + "…" + rest[length:]
}

// withoutToken masks a JSON Web Token: base64 of an object, and dots.
func withoutToken(word string) string {
	const shortest = 40 // of a header and a payload without a claim
	begin := strings.Index(word, "eyJ")
	if begin < 0 {
		return word
	}
	rest := strings.TrimLeftFunc(word[begin:], func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	})
	token := word[begin : len(word)-len(rest)]
	if len(token) < shortest || !strings.Contains(token, ".") {
		return word
	}
	return word[:begin] + "‹token›" + rest
}
