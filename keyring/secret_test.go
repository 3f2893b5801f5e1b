package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
)

const sentinel = "s3nt1nel"

// spellings are the forms in which fmt would write the sentinel's bytes.
func spellings() []string {
	var decimals, hexes []string
	for _, c := range []byte(sentinel) {
		decimals = append(decimals, fmt.Sprint(c))
		hexes = append(hexes, fmt.Sprintf("0x%x", c))
	}
	return []string{
		sentinel, hex.EncodeToString([]byte(sentinel)), strings.ToUpper(hex.EncodeToString([]byte(sentinel))),
		strings.Join(decimals, " "), strings.Join(hexes, ", "), "czNudDFuZWw=", // base64
	}
}

// Every way in which a struct of somebody else's may hold a Secret. fmt calls no method on
// what stands in an unexported field.
type (
	exported   struct{ S Secret }
	unexported struct{ s Secret }
	pointed    struct{ s *Secret }
	nested     struct{ in unexported }
	collected  struct {
		list []Secret
		m    map[string]Secret
		any  any
	}
)

func holders() map[string]any {
	s := NewSecret([]byte(sentinel))
	return map[string]any{
		"secret": s, "pointer": &s, "slice": []Secret{s}, "map": map[string]Secret{"k": s},
		"exported": exported{s}, "unexported": unexported{s}, "pointer to unexported": &unexported{s},
		"pointed": pointed{&s}, "nested": nested{unexported{s}},
		"collected":          collected{[]Secret{s}, map[string]Secret{"k": s}, s},
		"item":               Item{Value: s},
		"item in unexported": struct{ item Item }{Item{Value: s}},
		"error":              fmt.Errorf("x: %v", s), "any": any(s), "function": func() Secret { return s },
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	var flags = []string{"", "+", "#", "-20", "020", " ", ".3", "+#"}
	for name, v := range holders() {
		var out strings.Builder
		for verb := range rune(128) {
			if verb < '%' {
				continue
			}
			for _, f := range flags {
				fmt.Fprintf(&out, "%"+f+string(verb)+"\n", v)
			}
		}
		fmt.Fprint(&out, v)
		fmt.Fprintln(&out, v)
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") }} {
			if text, err := marshal(v); err == nil {
				out.Write(text)
			}
		}
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
			slog.New(h).With("with", v).Info("msg", "v", v, slog.Group("g", "v", v))
		}
		out.Write(log.Bytes())
		walk(reflect.ValueOf(v), 0, &out)
		for _, s := range spellings() {
			if i := strings.Index(out.String(), s); i >= 0 {
				t.Errorf("%s: printed as %q", name, out.String()[max(0, i-60):i+len(s)])
			}
		}
	}
}

// walk gives fmt every reflect.Value on the way down to the first pointer of a Secret: fmt
// prints what a reflect.Value holds, unexported or not.
func walk(v reflect.Value, depth int, out *strings.Builder) {
	if depth > 6 || !v.IsValid() {
		return
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		fmt.Fprintf(out, verb+"\n", v)
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[secretBytes]() {
			return
		}
		for i := range v.NumField() {
			walk(v.Field(i), depth+1, out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), depth+1, out)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			walk(it.Value(), depth+1, out)
		}
	case reflect.Pointer, reflect.Interface:
		walk(v.Elem(), depth+1, out)
	}
}

// The stand-in is what a reader sees, rather than nothing.
func TestSecretStandIn(t *testing.T) {
	s := NewSecret([]byte(sentinel))
	for _, got := range []string{fmt.Sprint(s), fmt.Sprintf("%s %q", s, s)[:len(redacted)], fmt.Sprintf("%x", s), fmt.Sprint(exported{s})} {
		if !strings.Contains(got, redacted) {
			t.Errorf("%q lacks %q", got, redacted)
		}
	}
	if text, err := json.Marshal(exported{s}); err != nil || string(text) != `{"S":"`+redacted+`"}` {
		t.Errorf("JSON %s, %v", text, err)
	}
}

func TestSecret(t *testing.T) {
	raw := []byte(sentinel)
	s, same, other := NewSecret(raw), NewSecret(raw), NewSecret([]byte("else"))
	raw[0] = 'X'
	if s.Reveal() != sentinel || s.Len() != len(sentinel) {
		t.Errorf("Reveal %q, Len %d", s.Reveal(), s.Len())
	}
	if !s.Equal(same) || !s.Equal(s) || s.Equal(other) || s.Equal(Secret{}) || !(Secret{}).Equal(Secret{}) {
		t.Error("Equal is wrong")
	}
	copied := s
	s.Wipe()
	if copied.Len() != 0 || copied.Reveal() != "" || same.Reveal() != sentinel {
		t.Error("Wipe must clear all copies, and nothing else")
	}
	var zero Secret
	zero.Wipe()
	if zero.Reveal() != "" || zero.Len() != 0 {
		t.Error("the zero Secret is not empty")
	}
}

// Run with -race.
func TestSecretWipeIsSafe(t *testing.T) {
	s, u := NewSecret([]byte(sentinel)), NewSecret([]byte(sentinel))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if v := s.Reveal(); v != sentinel && v != "" {
					t.Errorf("half a value: %q", v)
				}
				s.Equal(u)
				u.Equal(s)
			}
		})
	}
	wg.Go(s.Wipe)
	wg.Go(u.Wipe)
	wg.Wait()
}

func TestReceived(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		noted          bool
	}{
		{"plain", "v", "v", false},
		{"newline", "v\n", "v", true},
		{"CRLF", "v\r\n", "v", true},
		{"one of two", "v\n\n", "v\n", true},
		{"lone CR stays", "v\r", "v\r", false},
		{"blank stays", " v ", " v ", false},
		{"inside", "a\nb", "a\nb", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			item, err := Received([]byte(c.in))
			if err != nil || item.Value.Reveal() != c.want || (item.Note != "") != c.noted {
				t.Errorf("%q, note %q, %v; want %q, noted %t", item.Value.Reveal(), item.Note, err, c.want, c.noted)
			}
		})
	}
	for _, in := range []string{"", "\n", "\r\n"} {
		if _, err := Received([]byte(in)); !errors.Is(err, ErrEmpty) {
			t.Errorf("Received(%q): %v, want ErrEmpty", in, err)
		}
	}
	if _, err := Received(make([]byte, MaxValue+1)); err == nil {
		t.Error("a value beyond MaxValue: no error")
	}
}

func TestExcerpt(t *testing.T) {
	secret := NewSecret([]byte("s3cret22"))
	for _, c := range []struct{ name, in, want string }{
		{"plain", "bad token\n", "bad token"},
		{"last lines", "1\n2\n\n3\n4\n", "2 / 3 / 4"},
		{"control", "\x1b]0;x\x07\u202eevil", `\u001b]0;x\u0007\u202eevil`},
		{"secret", "token s3cret22 refused", "token " + redacted + " refused"},
		{"long", strings.Repeat("é", 400), strings.Repeat("é", 150) + "..."},
		{"not UTF-8", "a\xffb", "a?b"},
		{"empty", " \n ", ""},
	} {
		if got := Excerpt(c.in, secret, Secret{}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWithHint(t *testing.T) {
	err := fmt.Errorf("service: %w", WithHint(fmt.Errorf("x: %w", ErrLocked), "unlock it"))
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() != "unlock it" || !errors.Is(err, ErrLocked) || err.Error() != "service: x: store is locked" {
		t.Errorf("error %v", err)
	}
	if WithHint(nil, "x") != nil {
		t.Error("a hint made an error")
	}
}
