package event

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"time"
	"unicode/utf8"
)

// Decoder turns lines of a log into events. It remembers strings that it has seen and
// hands the same one out again, so that a long log, whose hosts and paths repeat, costs
// little memory. The zero Decoder is ready for use; it is not safe for concurrent use.
type Decoder struct {
	// Brief leaves Event.Timing out, which most questions do not need.
	Brief bool

	seen []known
}

// known is a string by the text between its quotes, as it stood in a line.
type known struct{ raw, value string }

// maxSeen is how many strings a Decoder remembers, a power of two. Each has one place,
// and a newer one takes it: a look costs less than a map's, and a bad guess one allocation.
const maxSeen = 2048

var errNotEvent = errors.New("not an event: the line is no JSON object, or has no phase")

// Decode decodes one line into e, whose old content is forgotten. Members that it does
// not know are skipped, so that an older agentvault reads what a newer one wrote.
func (d *Decoder) Decode(line []byte, e *Event) error {
	*e = Event{}
	if d.fast(line, e) {
		return nil
	}
	*e = Event{}
	if err := json.Unmarshal(line, e); err != nil || e.Phase == "" {
		return errNotEvent
	}
	return nil
}

// fast reads what AppendJSON writes: no blanks, numbers without fractions. It gives up at
// whatever else it meets, and encoding/json then decides.
func (d *Decoder) fast(line []byte, e *Event) bool {
	s := scanner{b: line}
	if !s.eat('{') {
		return false
	}
	for {
		key, plain, ok := s.text()
		if !ok || !plain || !s.eat(':') || !d.member(&s, string(key), e) {
			return false
		}
		if s.eat(',') {
			continue
		}
		return s.eat('}') && s.i == len(s.b) && e.Phase != ""
	}
}

// member reads the value of one member into e.
func (d *Decoder) member(s *scanner, key string, e *Event) bool {
	switch key {
	case "prev":
		_, _, ok := s.text()
		return ok
	case "session":
		return d.text(s, &e.Session)
	case "phase":
		return d.text(s, (*string)(&e.Phase))
	case "time":
		return s.time(&e.Time)
	case "method":
		return d.text(s, &e.Method)
	case "scheme":
		return d.text(s, &e.Scheme)
	case "host":
		return d.text(s, &e.Host)
	case "path":
		return d.text(s, &e.Path)
	case "operation":
		return d.text(s, &e.Operation)
	case "service":
		return d.text(s, &e.Service)
	case "secret":
		return d.text(s, &e.Secret)
	case "where":
		return d.text(s, &e.Where)
	case "label":
		return d.text(s, &e.Label)
	case "state":
		return d.text(s, (*string)(&e.State))
	case "not_allowed":
		e.NotAllowed = true
		return s.yes()
	case "verdict":
		return d.text(s, (*string)(&e.Verdict))
	case "reason":
		return d.text(s, &e.Reason)
	case "code":
		return d.text(s, &e.Code)
	case "asked":
		return d.text(s, &e.Asked)
	case "auth":
		return d.text(s, &e.Auth)
	case "client":
		return d.text(s, &e.Client)
	}
	return d.number(s, key, e)
}

// number reads the members that are numbers, and the timing.
func (d *Decoder) number(s *scanner, key string, e *Event) bool {
	if key == "timing" && d.Brief {
		return s.skip()
	}
	if key == "timing" {
		e.Timing = new(Timing)
		return s.timing(e.Timing)
	}
	n, ok := s.int()
	switch key {
	case "call":
		e.Call = uint64(n)
	case "port":
		e.Port = int(n)
	case "status":
		e.Status = int(n)
	case "sent":
		e.Sent = n
	case "received":
		e.Received = n
	case "ns":
		e.Duration = time.Duration(n)
	case "lost":
		e.Lost = uint64(n)
	default:
		return false
	}
	return ok
}

// text reads a string, from those that were seen if it can.
func (d *Decoder) text(s *scanner, to *string) bool {
	start := s.i
	raw, plain, ok := s.text()
	if !ok {
		return false
	}
	if len(raw) == 0 {
		*to = ""
		return true
	}
	if d.seen == nil {
		d.seen = make([]known, maxSeen)
	}
	k := &d.seen[place(raw)]
	if k.raw == string(raw) {
		*to = k.value
		return true
	}
	value := string(raw)
	k.raw, k.value = value, value
	if !plain {
		if json.Unmarshal(s.b[start:s.i], &value) != nil {
			*k = known{}
			return false
		}
		k.value = value
	}
	*to = value
	return true
}

// place picks a place for a string that is not empty by its length, its first and its last
// bytes: what differs in the middle alone is rare, and costs an allocation.
func place(b []byte) uint64 {
	h := uint64(len(b))
	if len(b) >= 8 {
		h ^= binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
		h ^= binary.LittleEndian.Uint64(b[len(b)-8:])
	} else {
		for _, c := range b {
			h = h<<8 ^ uint64(c)
		}
	}
	h *= 0x9e3779b97f4a7c15
	return (h ^ h>>32) >> 16 % maxSeen
}

// scanner walks over one line.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) eat(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// text reads a string and returns what stands between its quotes; plain says that this
// is its value, with nothing escaped.
func (s *scanner) text() (raw []byte, plain, ok bool) {
	if !s.eat('"') {
		return nil, false, false
	}
	b := s.b[s.i:]
	plain = true
	high := false
	for i := ordinary(b); i < len(b); i++ {
		c := b[i]
		if c == '"' {
			s.i += i + 1
			return b[:i], plain && (!high || utf8.Valid(b[:i])), true
		}
		if c == '\\' {
			plain = false
			i++
		}
		high = high || c >= utf8.RuneSelf
	}
	return nil, false, false
}

// ordinary says how many bytes, at least, come before the first quote, backslash or byte
// outside ASCII. It looks at eight at once: strings are most of a line.
func ordinary(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		// A byte that is zero borrows from its own highest bit; only bytes above one may be
		// taken for zero wrongly.
		if found := ((quote-ones)&^quote | (slash-ones)&^slash | v) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	return i
}

// int reads a whole number of at most 18 digits.
func (s *scanner) int() (int64, bool) {
	minus := s.eat('-')
	start, n := s.i, int64(0)
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		n = n*10 + int64(s.b[s.i]-'0')
		s.i++
	}
	digits := s.i - start
	if minus {
		n = -n
	}
	return n, digits > 0 && digits <= 18 && (digits == 1 || s.b[start] != '0')
}

// yes reads true: a member that would be false is not written.
func (s *scanner) yes() bool {
	if len(s.b)-s.i < 4 || string(s.b[s.i:s.i+4]) != "true" {
		return false
	}
	s.i += 4
	return true
}

// timing reads the object of a Timing.
func (s *scanner) timing(t *Timing) bool {
	if !s.eat('{') {
		return false
	}
	for !s.eat('}') {
		key, plain, ok := s.text()
		if !ok || !plain || !s.eat(':') {
			return false
		}
		if string(key) == "kept" || string(key) == "ahead" {
			if !s.yes() {
				return false
			}
			t.Kept, t.Ahead = t.Kept || string(key) == "kept", t.Ahead || string(key) == "ahead"
		} else if !t.set(string(key), s) {
			return false
		}
		if s.i < len(s.b) && s.b[s.i] != '}' && !s.eat(',') {
			return false
		}
	}
	return true
}

// skip passes over an object that holds no other.
func (s *scanner) skip() bool {
	end := bytes.IndexByte(s.b[s.i:], '}')
	s.i += end + 1
	return end > 0
}

// set reads one duration.
func (t *Timing) set(key string, s *scanner) bool {
	n, ok := s.int()
	d := time.Duration(n)
	switch key {
	case "name":
		t.Name = d
	case "connect":
		t.Connect = d
	case "tls":
		t.TLS = d
	case "wait":
		t.Wait = d
	case "body":
		t.Body = d
	default:
		return false
	}
	return ok
}

// time reads a time in UTC as AppendJSON writes it; another one is left to time.Parse.
func (s *scanner) time(to *time.Time) bool {
	raw, plain, ok := s.text()
	if !ok || !plain {
		return false
	}
	// 2006-01-02T15:04:05Z is the shortest.
	if len(raw) < 20 || raw[len(raw)-1] != 'Z' || raw[4] != '-' || raw[7] != '-' || raw[10] != 'T' || raw[13] != ':' || raw[16] != ':' {
		return to.UnmarshalText(raw) == nil
	}
	frac := raw[19 : len(raw)-1]
	nano := 0
	if len(frac) > 0 {
		if frac[0] != '.' || len(frac) == 1 || len(frac) > 10 {
			return to.UnmarshalText(raw) == nil
		}
		for i := 1; i < 10; i++ {
			nano *= 10
			if i < len(frac) {
				nano += int(frac[i] - '0')
			}
		}
	}
	n := [6]int{digits(raw[:4]), digits(raw[5:7]), digits(raw[8:10]), digits(raw[11:13]), digits(raw[14:16]), digits(raw[17:19])}
	if n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[0] < 0 || n[3] < 0 || n[3] > 23 || n[4] < 0 || n[4] > 59 || n[5] < 0 || n[5] > 59 ||
		len(frac) > 0 && digits(frac[1:]) < 0 {
		return to.UnmarshalText(raw) == nil
	}
	*to = time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], nano, time.UTC)
	return true
}

// digits reads a number that is all digits, and is -1 for anything else.
func digits(b []byte) int {
	n := 0
	for _, c := range b {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
