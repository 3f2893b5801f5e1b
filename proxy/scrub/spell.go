package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// spellings returns the ways in which a value is written, itself first. There may be
// duplicates.
func spellings(v string) []string {
	all := []string{v}
	if !plain(v) {
		all = append(all, percent(v)...)
		all = append(all, jsonStrings(v)...)
	}
	lower := hex.EncodeToString([]byte(v))
	all = append(all, lower, strings.ToUpper(lower))
	for offset := range 3 {
		std := base64Core(base64.RawStdEncoding, v, offset)
		all = append(all, std, base64Core(base64.RawURLEncoding, v, offset))
		if !strings.ContainsAny(std, "+/") {
			continue
		}
		// These two are escaped in their turn, by queries and by JSON.
		all = append(all, percentWith(std, "", upperHex), percentWith(std, "", lowerHex), strings.ReplaceAll(std, "/", `\/`))
	}
	return all
}

// plain says that no encoder below writes v in another way. Most keys are plain, and
// New runs while a request waits.
func plain(v string) bool {
	return !strings.ContainsFunc(v, func(c rune) bool {
		return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_' || c == '.')
	})
}

// base64Core encodes v as it stands offset bytes (mod 3) into a text, and keeps the
// characters that depend on v alone: those whose 6 bits lie between the first and the
// last bit of v. Of 8 bytes, the shortest secret, 10 characters remain.
func base64Core(enc *base64.Encoding, v string, offset int) string {
	text := enc.EncodeToString([]byte("\x00\x00"[:offset] + v))
	first := (8*offset + 5) / 6
	last := 8 * (offset + len(v)) / 6
	return text[first:last]
}

const (
	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

// What encoders leave alone besides letters and digits.
var unescaped = [...]string{
	"-_.~",                 // RFC 3986's unreserved: Python's quote_plus, AWS, Go's QueryEscape
	"-_.~/",                // Python's quote
	"-_.~$&+=:@",           // Go's PathEscape
	"-_.!~*'()",            // encodeURIComponent
	"-_.!~*'();/?:@&=+$,#", // encodeURI
	"-_.*",                 // forms: URLSearchParams, Java's URLEncoder
	"-_.",                  // PHP's urlencode
}

func percent(v string) []string {
	var all []string
	for _, safe := range unescaped {
		for _, digits := range [...]string{upperHex, lowerHex} {
			text := percentWith(v, safe, digits)
			all = append(all, text)
			if strings.Contains(v, " ") {
				all = append(all, strings.ReplaceAll(text, "%20", "+"))
			}
		}
	}
	return all
}

func percentWith(v, safe, digits string) string {
	var out strings.Builder
	for i := 0; i < len(v); i++ {
		c := v[i]
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte(safe, c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

// jsonStyle is how one encoder writes strings.
type jsonStyle struct {
	escaped string // characters that it writes as \u00XX though JSON would not ask for it
	slash   bool   // writes \/
	ascii   bool   // writes all beyond ASCII as \uXXXX
	upper   bool   // in upper-case digits
	quote   bool   // writes \u0022, not \"
}

var jsonStyles = [...]jsonStyle{
	{},                            // JSON.stringify, serde
	{slash: true},                 // older encoders, PHP with JSON_UNESCAPED_UNICODE
	{ascii: true},                 // Python
	{ascii: true, slash: true},    // PHP
	{escaped: "<>&"},              // encoding/json, Rails
	{escaped: "<>&", ascii: true}, //
	{escaped: "<>&='"},            // Gson
	{escaped: "<>&'+`", ascii: true, upper: true, quote: true},            // System.Text.Json
	{escaped: "<>&'", ascii: true, upper: true, quote: true, slash: true}, // PHP with JSON_HEX_*
}

func jsonStrings(v string) []string {
	var all []string
	for _, style := range jsonStyles {
		all = append(all, style.write(v))
	}
	// JSON inside a string of JSON, as a tool's output is sent to a model.
	return append(all, jsonStyle{}.write(all[0]))
}

func (s jsonStyle) write(v string) string {
	unit := "\\u%04x"
	if s.upper {
		unit = "\\u%04X"
	}
	var out strings.Builder
	for i := 0; i < len(v); {
		c, size := utf8.DecodeRuneInString(v[i:])
		switch short := strings.IndexRune("\b\f\n\r\t", c); {
		case short >= 0:
			out.WriteString(`\` + `bfnrt`[short:short+1])
		case c == '"' && !s.quote, c == '\\', c == '/' && s.slash:
			out.WriteByte('\\')
			out.WriteByte(byte(c))
		case c < 0x20, c == '"', c < utf8.RuneSelf && strings.ContainsRune(s.escaped, c),
			s.escaped != "" && (c == '\u2028' || c == '\u2029'):
			fmt.Fprintf(&out, unit, c)
		case s.ascii && c > 0xffff:
			hi, lo := utf16.EncodeRune(c)
			fmt.Fprintf(&out, unit+unit, hi, lo)
		case s.ascii && c >= utf8.RuneSelf && !(c == utf8.RuneError && size == 1):
			fmt.Fprintf(&out, unit, c)
		default:
			out.WriteString(v[i : i+size])
		}
		i += size
	}
	return out.String()
}
