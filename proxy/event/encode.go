package event

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// maxString is how many bytes of one field a line keeps. An agent chooses its paths, and
// net/http lets a request line be a megabyte long; the log shall not be filled that way.
const maxString = 8 << 10

// AppendJSON appends e as one JSON object, without a newline, and returns the extended
// buffer. It is what encoding/json would produce from the struct's tags, with these
// differences: times are in UTC, a field is cut at 8 KiB and then ends in "…", bytes that
// are no UTF-8 become U+FFFD, and whatever Escape would not show is written as \uNNNN, so
// that a log may be printed to a terminal as it is. It allocates only to grow b.
func AppendJSON(b []byte, e *Event) []byte {
	return append(appendFields(append(b, '{'), e), '}')
}

// appendFields appends the members of e, without the braces.
func appendFields(b []byte, e *Event) []byte {
	b = append(b, `"session":`...)
	b = appendString(b, e.Session)
	b = append(b, `,"call":`...)
	b = strconv.AppendUint(b, e.Call, 10)
	b = append(b, `,"phase":`...)
	b = appendString(b, string(e.Phase))
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendText(b, `,"method":`, e.Method)
	b = appendText(b, `,"scheme":`, e.Scheme)
	b = appendText(b, `,"host":`, e.Host)
	b = appendInt(b, `,"port":`, int64(e.Port))
	b = appendText(b, `,"path":`, e.Path)
	b = appendText(b, `,"operation":`, e.Operation)
	b = appendText(b, `,"service":`, e.Service)
	b = appendText(b, `,"secret":`, e.Secret)
	b = appendText(b, `,"where":`, e.Where)
	b = appendText(b, `,"label":`, e.Label)
	b = appendText(b, `,"state":`, string(e.State))
	if e.NotAllowed {
		b = append(b, `,"not_allowed":true`...)
	}
	b = appendText(b, `,"verdict":`, string(e.Verdict))
	b = appendText(b, `,"reason":`, e.Reason)
	b = appendText(b, `,"code":`, e.Code)
	b = appendText(b, `,"asked":`, e.Asked)
	b = appendInt(b, `,"status":`, int64(e.Status))
	b = appendInt(b, `,"sent":`, e.Sent)
	b = appendInt(b, `,"received":`, e.Received)
	b = appendInt(b, `,"ns":`, int64(e.Duration))
	if e.Timing != nil {
		b = appendTiming(b, e.Timing)
	}
	b = appendText(b, `,"auth":`, e.Auth)
	b = appendText(b, `,"client":`, e.Client)
	return appendInt(b, `,"lost":`, int64(e.Lost))
}

// appendTiming appends t; its first member has no comma before it.
func appendTiming(b []byte, t *Timing) []byte {
	b = append(b, `,"timing":{`...)
	start := len(b)
	b = appendInt(b, `,"name":`, int64(t.Name))
	b = appendInt(b, `,"connect":`, int64(t.Connect))
	b = appendInt(b, `,"tls":`, int64(t.TLS))
	b = appendInt(b, `,"wait":`, int64(t.Wait))
	b = appendInt(b, `,"body":`, int64(t.Body))
	if t.Kept {
		b = append(b, `,"kept":true`...)
	}
	if t.Ahead {
		b = append(b, `,"ahead":true`...)
	}
	if len(b) > start {
		b = append(b[:start], b[start+1:]...)
	}
	return append(b, '}')
}

func appendText(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, key...), value)
}

func appendInt(b []byte, key string, value int64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(append(b, key...), value, 10)
}

// plainByte is what stands in a string as it is.
var plainByte = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	cut := len(s) > maxString
	if cut {
		s = s[:maxString]
	}
	b = append(b, '"')
	done := 0 // s[:done] is in b
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && visible(r) && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		b = append(b, s[done:i]...)
		b = appendEscaped(b, r)
		i += n
		done = i
	}
	b = append(b, s[done:]...)
	if cut {
		b = append(b, "…"...)
	}
	return append(b, '"')
}

// appendEscaped appends r as an escape sequence of JSON.
func appendEscaped(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if r > 0xffff { // a surrogate pair
		r -= 0x10000
		b = appendUnicode(b, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return appendUnicode(b, r)
}

func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
