package inject

import (
	"encoding/base64"
	"strings"
)

// basicValue is a decoded `Basic` value and how it was written.
type basicValue struct {
	scheme string // as the child wrote it, with the spaces after it
	text   string // user:password
	enc    *base64.Encoding
}

// parseBasic reads a header value of the scheme Basic, in any case, in either base64
// alphabet, with padding or without. What cannot be decoded is not Basic: it is then
// searched as it stands.
func parseBasic(value string) (basicValue, bool) {
	const scheme = "basic"
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return basicValue{}, false
	}
	rest := strings.TrimLeft(value[len(scheme):], " \t")
	if len(rest) == len(value)-len(scheme) {
		return basicValue{}, false
	}
	b := basicValue{scheme: value[:len(value)-len(rest)]}
	rest = strings.TrimRight(rest, " \t")
	bare := strings.TrimRight(rest, "=")
	b.enc = base64.StdEncoding
	if strings.ContainsAny(bare, "-_") {
		b.enc = base64.URLEncoding
		bare = toURL.Replace(bare)
	}
	text, err := b.enc.WithPadding(base64.NoPadding).DecodeString(bare)
	if err != nil {
		return basicValue{}, false
	}
	if bare == rest && len(rest)%4 != 0 {
		b.enc = b.enc.WithPadding(base64.NoPadding)
	}
	b.text = string(text)
	return b, true
}

// toURL makes one alphabet of a value that mixes both.
var toURL = strings.NewReplacer("+", "-", "/", "_")

// with writes another pair in the same way.
func (b basicValue) with(text string) string {
	return b.scheme + b.enc.EncodeToString([]byte(text))
}
