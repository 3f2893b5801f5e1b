package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const (
	secretValue = `s3cr+t/"w=rd\ of<é>&'~` // something for every encoder to escape
	mask        = "avp_placeholder"
)

func TestStringSpellings(t *testing.T) {
	s := New([]Secret{{secretValue, mask}})
	goJSON, _ := json.Marshal(secretValue)
	inner := string(goJSON[1 : len(goJSON)-1])
	for _, tt := range []struct{ name, text string }{
		{"raw", secretValue},
		{"query escaped by Go", url.QueryEscape(secretValue)},
		{"path escaped by Go", url.PathEscape(secretValue)},
		{"encodeURIComponent", `s3cr%2Bt%2F%22w%3Drd%5C%20of%3C%C3%A9%3E%26'~`},
		{"Python's quote", `s3cr%2Bt/%22w%3Drd%5C%20of%3C%C3%A9%3E%26%27~`},
		{"form, lower hex", `s3cr%2bt%2f%22w%3drd%5c+of%3c%c3%a9%3e%26%27%7e`},
		{"hex", hex.EncodeToString([]byte(secretValue))},
		{"upper hex", strings.ToUpper(hex.EncodeToString([]byte(secretValue)))},
		{"encoding/json", inner},
		{"JSON.stringify", `s3cr+t/\"w=rd\\ of<é>&'~`},
		{"Python's json", `s3cr+t/\"w=rd\\ of<\u00e9>&'~`},
		{"PHP's json", `s3cr+t\/\"w=rd\\ of<\u00e9>&'~`},
		{"Gson", `s3cr+t/\"w\u003drd\\ of\u003cé\u003e\u0026\u0027~`},
		{".NET", `s3cr\u002Bt/\u0022w=rd\\ of\u003C\u00E9\u003E\u0026\u0027~`},
		{"JSON in JSON", `s3cr+t/\\\"w=rd\\\\ of<é>&'~`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, found := s.String("a" + tt.text + "z")
			if want := "a" + mask + "z"; got != want || !found {
				t.Errorf("got %q, %t, want %q", got, found, want)
			}
			if !s.Find([]byte(tt.text)) {
				t.Error("Find: got false")
			}
		})
	}
}

// The short cut for plain values leaves nothing out.
func TestPlainHasNoOtherSpelling(t *testing.T) {
	const v = "abcXYZ0189-_."
	if !plain(v) || plain("a~b") || plain("a b") || plain("é") {
		t.Fatal("plain is wrong")
	}
	for _, text := range append(percent(v), jsonStrings(v)...) {
		if text != v {
			t.Errorf("got %q", text)
		}
	}
}

// At every offset, with neighbours of every kind, what is left of the base64 text
// holds no more of the secret than its outermost bits.
func TestStringBase64(t *testing.T) {
	for _, value := range []string{"8 bytes!", "nine byte", "ten bytes.", secretValue, strings.Repeat("\xff\xfe", 20)} {
		s := New([]Secret{{value, mask}})
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			for before := range 7 {
				for after := range 4 {
					text := enc.EncodeToString([]byte(strings.Repeat("\xd3", before) + value + strings.Repeat("\x5a", after)))
					got, found := s.String(text)
					if !found {
						t.Fatalf("%q with %d before and %d after: not found in %q", value, before, after, text)
					}
					left := strings.Replace(got, mask, "", 1)
					if most := len(enc.EncodeToString(make([]byte, before+after))) + 4; len(left) > most {
						t.Errorf("%q with %d, %d: %d characters left (%q), want at most %d", value, before, after, len(left), left, most)
					}
				}
			}
		}
	}
}

func TestStringBase64Escaped(t *testing.T) {
	value := strings.Repeat("\xff\xfe\xfb", 5) // nothing but specials in base64
	s := New([]Secret{{value, mask}})
	text := base64.StdEncoding.EncodeToString([]byte(value))
	for _, in := range []string{url.QueryEscape(text), strings.ToLower(url.QueryEscape("")) + strings.ReplaceAll(text, "/", `\/`)} {
		if got, _ := s.String(in); got != mask {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestStringChoice(t *testing.T) {
	for _, tt := range []struct {
		name     string
		secrets  []Secret
		in, want string
	}{
		{"none", nil, "some text", "some text"},
		{"empty text", []Secret{{"abcdefgh", "1"}}, "", ""},
		{"too short to search", []Secret{{"abcdefg", "1"}}, "abcdefg", "abcdefg"},
		{"white space is not part of it", []Secret{{" abcdefgh\n", "1"}}, "xabcdefghx", "x1x"},
		{"only white space left", []Secret{{"  a   b  ", "1"}}, "  a   b  ", "  a   b  "},
		{"two", []Secret{{"abcdefgh", "1"}, {"ijklmnop", "2"}}, "abcdefghijklmnop", "12"},
		{"twice", []Secret{{"abcdefgh", "1"}}, "abcdefgh-abcdefgh", "1-1"},
		{"the longest of one place", []Secret{{"abcdefgh", "1"}, {"abcdefghij", "2"}}, "abcdefghij abcdefghi", "2 1i"},
		{"the leftmost first", []Secret{{"cdefghijklm", "2"}, {"abcdefgh", "1"}}, "abcdefghijklm", "1ijklm"},
		{"the leftmost first, inside", []Secret{{"abcdefghijkl", "1"}, {"cdefghij", "2"}}, "abcdefghijk-abcdefghijkl", "ab2k-1"},
		{"repeating", []Secret{{"aaaaaaaa", "1"}}, strings.Repeat("a", 19), "11aaa"},
		{"almost", []Secret{{"abcdefgh", "1"}}, "abcdefgabcdefghbcdefgh", "abcdefg1bcdefgh"},
		{"same value, the first mask", []Secret{{"abcdefgh", "1"}, {"abcdefgh", "2"}}, "abcdefgh", "1"},
		{"empty mask", []Secret{{"abcdefgh", ""}}, "xabcdefghx", "xx"},
		{"mask that would break JSON", []Secret{{"abcdefgh", "a\"\\\n<b>‹c›"}}, "abcdefgh", "a____b_‹c›"},
		{"long", []Secret{{strings.Repeat("0123456789", 100), "1"}}, "x" + strings.Repeat("0123456789", 100), "x1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(tt.secrets)
			got, found := s.String(tt.in)
			if got != tt.want || found != (tt.in != tt.want) {
				t.Errorf("got %q, %t, want %q", got, found, tt.want)
			}
			if s.Find([]byte(tt.in)) != found {
				t.Errorf("Find and String disagree")
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	var none *Scrubber
	for name, s := range map[string]*Scrubber{"nil": none, "no secrets": New(nil), "short": New([]Secret{{"short", "x"}})} {
		if !s.Empty() {
			t.Errorf("%s: got not empty", name)
		}
		if got, found := s.String("text"); got != "text" || found || s.Find([]byte("text")) {
			t.Errorf("%s: got %q, %t", name, got, found)
		}
	}
	if New([]Secret{{"long enough", ""}}).Empty() {
		t.Error("one secret: got empty")
	}
}

// A mask in a JSON string leaves JSON.
func TestMaskKeepsJSON(t *testing.T) {
	s := New([]Secret{{secretValue, "‹git\"hub›"}})
	for _, escape := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if err := enc.Encode(map[string]string{"k": "x" + secretValue + "y"}); err != nil {
			t.Fatal(err)
		}
		got, _ := s.String(b.String())
		var back map[string]string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back["k"] != "x‹git_hub›y" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// naive is what the search must do, written so that it can be seen to be right.
func naive(s *Scrubber, text string) string {
	if s.Empty() {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		best := pattern{}
		for _, p := range s.t.byEnd {
			if strings.HasPrefix(text[i:], p.text) && len(p.text) > len(best.text) {
				best = p
			}
		}
		if best.text == "" {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(best.mask)
		i += len(best.text)
	}
	return out.String()
}

// randomSecrets has n secrets of the lengths that providers use.
func randomSecrets(n int) []Secret {
	rng := newRand(7)
	var secrets []Secret
	for i := range n {
		secrets = append(secrets, Secret{"sk-" + rng.text(37+i%3*20), fmt.Sprintf("avp_%d", i)})
	}
	return secrets
}
