package inject

import (
	"net/http"
	"strings"
)

// ClientAuth names the kind of credential that the child itself sent, for the log:
// "bearer", "basic", "sigv4", another known scheme of Authorization, the lower-case
// name of a header ("x-api-key"), "query:NAME", "path", "cookie", or "" for none. Where
// there are several it names the first in that order. It never returns a part of a value,
// except for the schemes it knows: `Authorization: KEY` has no scheme, only a key.
func ClientAuth(req *http.Request) string {
	if lines := req.Header["Authorization"]; len(lines) > 0 && lines[0] != "" {
		return authScheme(lines[0])
	}
	if name := credentialName(req.Header); name != "" {
		return name
	}
	if req.URL != nil && req.URL.RawQuery != "" {
		if kind := queryAuth(req.URL.RawQuery); kind != "" {
			return kind
		}
	}
	if req.URL != nil && len(req.URL.Path) >= minPathKey {
		if _, end := PathKey(hostOf(req), req.URL.EscapedPath()); end > 0 {
			return "path"
		}
	}
	if len(req.Header["Cookie"]) > 0 {
		return "cookie"
	}
	return ""
}

// hostOf is the request's host, bare and in small letters.
func hostOf(req *http.Request) string {
	host := req.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(host)
}

func authScheme(value string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(value, " \t"), " ")
	for _, known := range [...]string{
		"bearer", "basic", "token", "apikey", "digest", "dpop", "negotiate", "ntlm", "hawk", "oauth", "signature", "key",
	} {
		if strings.EqualFold(word, known) {
			return known
		}
	}
	// "AWS4-HMAC-SHA256" and, for SigV4A, "AWS4-ECDSA-P256-SHA256".
	if len(word) > 5 && strings.EqualFold(word[:5], "aws4-") {
		return "sigv4"
	}
	return "authorization"
}

// credentialName returns the smallest name, so that the answer does not depend on the
// order of a map.
func credentialName(h http.Header) string {
	best := ""
	for key, lines := range h {
		if len(lines) == 0 || lines[0] == "" || !credentialHeader(key) {
			continue
		}
		switch {
		case key == "Cookie", sameSlot(key, "Proxy-Authorization"):
			continue
		case sameSlot(key, "Sec-Websocket-Protocol"):
			if !strings.Contains(strings.Join(lines, ","), "api-key.") {
				continue
			}
		}
		if best == "" || key < best {
			best = key
		}
	}
	switch best {
	case "":
		return ""
	case "X-Api-Key":
		return "x-api-key"
	}
	return slotName(strings.ToLower(best))
}

func queryAuth(raw string) string {
	best := ""
	for piece := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(piece, "=")
		if value == "" {
			continue
		}
		if strings.EqualFold(name, "X-Amz-Signature") {
			return "sigv4"
		}
		if best != "" {
			continue
		}
		for _, known := range [...]string{"key", "api_key", "apikey", "api-key", "access_token", "token", "auth_token", "sig", "signature"} {
			if sameParamName(piece, known) {
				best = "query:" + known
				break
			}
		}
	}
	return best
}
