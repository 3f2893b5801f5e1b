package inject

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"agentvault/keyring"
)

const value = "s3cret/val+ue=" // has something to escape

func secret(s string) keyring.Secret { return keyring.NewSecret([]byte(s)) }

// parse reads a request as a server does, so that header keys have the form that they
// have there. head is lines without CR; the body follows an empty line.
func parse(t testing.TB, head string) *http.Request {
	t.Helper()
	top, body, _ := strings.Cut(head, "\n\n")
	raw := strings.ReplaceAll(top, "\n", "\r\n") + "\r\n"
	if body != "" {
		raw += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw + "\r\n" + body)))
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return req
}

// dump writes what an injector may change: the target, and the headers in order.
func dump(req *http.Request) string {
	var b strings.Builder
	b.WriteString(req.URL.RequestURI())
	for _, key := range slices.Sorted(maps.Keys(req.Header)) {
		for _, v := range req.Header[key] {
			b.WriteString("\n" + key + ": " + v)
		}
	}
	return b.String()
}

func TestInject(t *testing.T) {
	basic := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		name        string
		inject      Injector
		in          string // header lines below "GET TARGET HTTP/1.1"
		target      string
		want, where string
	}{
		{"bearer into nothing", Bearer{}, "", "/", "/\nAuthorization: Bearer " + value, "header Authorization"},
		{"bearer in place of every copy", Bearer{}, "authorization: Basic x\nAUTHORIZATION: token y\nX-Api-Key: stays\nAccept: */*\n", "/a?b",
			"/a?b\nAccept: */*\nAuthorization: Bearer " + value + "\nX-Api-Key: stays", "header Authorization"},
		{"header, every spelling", Header{Name: "x-api-key"}, "X-Api-Key: a\nx_api_key: b\nX-API_KEY: c\nx-api-key: d\nX-Api-Key-Id: id\n", "/",
			"/\nX-Api-Key: " + value + "\nX-Api-Key-Id: id", "header X-Api-Key"},
		{"header with prefix", Header{Name: "Authorization", Prefix: "token "}, "Authorization: a\n", "/", "/\nAuthorization: token " + value, "header Authorization"},
		{"basic", Basic{User: "x-access-token"}, "Authorization: Bearer a\n", "/", "/\nAuthorization: Basic " + basic("x-access-token:"+value), "header Authorization (Basic)"},
		{"basic without user", Basic{}, "", "/", "/\nAuthorization: Basic " + basic(":"+value), "header Authorization (Basic)"},
		{"query into nothing", Query{"key"}, "", "/p", "/p?key=s3cret%2Fval%2Bue%3D", "query key"},
		{"query into empty", Query{"key"}, "", "/p?", "/p?key=s3cret%2Fval%2Bue%3D", "query key"},
		{"query in place, the rest byte-exact", Query{"key"}, "", "/p?b=%2f+%zz&key=child&&a=1&b", "/p?b=%2f+%zz&key=s3cret%2Fval%2Bue%3D&&a=1&b", "query key"},
		{"query appended", Query{"key"}, "", "/p?a=1;c=2&mykey=3", "/p?a=1;c=2&mykey=3&key=s3cret%2Fval%2Bue%3D", "query key"},
		{"query, every spelling", Query{"key"}, "", "/p?%6bey=1&a=2&KEY=3&key[]=4&key&key%5b0%5d=5&%6B%65%79=6", "/p?key=s3cret%2Fval%2Bue%3D&a=2", "query key"},
		{"query, as PHP reads it", Query{"api_key"}, "", "/p?api.key=1&api%20key=2&api_key=3&api-key=4", "/p?api_key=s3cret%2Fval%2Bue%3D&api-key=4", "query api_key"},
		{"query, names without letters", Query{"key"}, "", "/p?=1&+=2&[]=3", "/p?=1&+=2&[]=3&key=s3cret%2Fval%2Bue%3D", "query key"},
		{"query name to escape", Query{"a&b"}, "", "/?a%26b=1", "/?a%26b=s3cret%2Fval%2Bue%3D", "query a&b"},
		{"cookie into nothing", Cookie{"sid"}, "", "/", "/\nCookie: sid=" + value, "cookie sid"},
		{"cookie appended", Cookie{"sid"}, "Cookie: a=1; b=\"2\"\n", "/", "/\nCookie: a=1; b=\"2\"; sid=" + value, "cookie sid"},
		{"cookie, every copy", Cookie{"sid"}, "Cookie: a=1; sid=x; b=2; sid=y\nCookie: sid=z\nCookie: SID=other;sid2=o\n", "/",
			"/\nCookie: a=1; sid=" + value + "; b=2\nCookie: SID=other;sid2=o", "cookie sid"},
		{"cookie first", Cookie{"sid"}, "Cookie: sid = x; a=1\n", "/", "/\nCookie: sid=" + value + "; a=1", "cookie sid"},
		{"path", Path{"PLACEHOLDER:1"}, "", "/botPLACEHOLDER:1/get%20Me?x=PLACEHOLDER:1", "/bots3cret%val+ue=/get%20Me?x=PLACEHOLDER:1", "path"},
		{"path, escaped", Path{"PLACEHOLDER:1"}, "", "/%50LACEHOLDER%3a1/%2f/PLACEHOLDER%3A1", "/s3cret%val+ue=/%2f/s3cret%val+ue=", "path"},
		{"none", None{}, "Authorization: Bearer own\n", "/", "/\nAuthorization: Bearer own", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := parse(t, "GET "+tt.target+" HTTP/1.1\nHost: api.example.test\n"+tt.in)
			v := value
			if _, ok := tt.inject.(Path); ok {
				v = "s3cret%val+ue=" // no slash there
				tt.want = strings.ReplaceAll(tt.want, "s3cret%val", "s3cret%25val")
			}
			where, err := tt.inject.Inject(req, secret(v))
			if err != nil {
				t.Fatal(err)
			}
			if got := dump(req); got != tt.want || where != tt.where {
				t.Errorf("got %q\n%s\nwant %q\n%s", where, got, tt.where, tt.want)
			}
		})
	}
}

// Values that a slot cannot carry are refused, without being named.
func TestInjectRefusesSecret(t *testing.T) {
	header, text := []Injector{Bearer{}, Header{Name: "X-Api-Key"}, Cookie{"c"}}, []Injector{Basic{"u"}, Query{"q"}, Path{"PPPP"}}
	for _, tt := range []struct {
		name, value string
		refusing    []Injector
		accepting   []Injector
	}{
		{"empty", "", slices.Concat(header, text, []Injector{Body{[]string{"a"}}}), []Injector{None{}}},
		{"CR LF", "marker\r\nX-Evil: 1", slices.Concat(header, text), nil},
		{"LF at the end", "marker\n", slices.Concat(header, text), nil},
		{"NUL", "marker\x00", slices.Concat(header, text), nil},
		{"DEL", "marker\x7f", slices.Concat(header, text), nil},
		{"not ASCII", "“marker”", header, text},
		{"a space at the end", "marker ", header, text},
		{"semicolon", "marker;a=b", []Injector{Cookie{"c"}}, slices.Concat(header[:2], text)},
		{"slash", "marker/../admin", []Injector{Path{"PPPP"}}, slices.Concat(header, text[:2])},
		{"backslash", `marker\admin`, []Injector{Path{"PPPP"}}, nil},
		{"dots", "..", []Injector{Path{"PPPP"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range slices.Concat(tt.refusing, tt.accepting) {
				req := parse(t, "POST /PPPP HTTP/1.1\nHost: h.test\nContent-Type: application/json\n\n{\"a\":1}")
				_, err := in.Inject(req, secret(tt.value))
				if wantErr := slices.ContainsFunc(tt.refusing, func(r Injector) bool {
					return fmt.Sprint(r) == fmt.Sprint(in) && fmt.Sprintf("%T", r) == fmt.Sprintf("%T", in)
				}); (err != nil) != wantErr {
					t.Errorf("%T: got %v, want an error: %t", in, err, wantErr)
				}
				if err != nil && strings.Contains(err.Error(), "marker") {
					t.Errorf("%T: the error holds the value: %v", in, err)
				}
			}
		})
	}
}

func TestInjectRefusesRequest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inject Injector
		target string
		want   string
	}{
		{"semicolon before the name", Query{"key"}, "/?a=1;key=2", "semicolon"},
		{"semicolon after the value", Query{"key"}, "/?key=2;a=1", "semicolon"},
		{"semicolon and escapes", Query{"key"}, "/?a=1;%6bey=2", "semicolon"},
		{"framing header", Header{Name: "transfer_encoding"}, "/", "not a header"},
		{"host", Header{Name: "Host"}, "/", "not a header"},
		{"no name", Header{}, "/", "not a header"},
		{"name with a space", Header{Name: "X Key"}, "/", "not a header"},
		{"prefix with a newline", Header{Name: "X-Key", Prefix: "a\nb"}, "/", "cannot be sent"},
		{"user with a colon", Basic{User: "a:b"}, "/", "colon"},
		{"user with a newline", Basic{User: "a\n"}, "/", "user"},
		{"cookie's name", Cookie{"a=b"}, "/", "not a cookie's name"},
		{"no cookie's name", Cookie{}, "/", "not a cookie's name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := parse(t, "GET "+tt.target+" HTTP/1.1\nHost: h.test\n")
			if _, err := tt.inject.Inject(req, secret(value)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	req := parse(t, "GET /other HTTP/1.1\nHost: h.test\n")
	for _, in := range []Injector{Path{"PLACEHOLDER"}, Path{}} {
		if _, err := in.Inject(req, secret("abc")); !errors.Is(err, ErrNoSlot) {
			t.Errorf("no placeholder in the path: got %v", err)
		}
	}
}

// What leaves is what a server reads: the injected request over the wire and back.
func TestInjectOnTheWire(t *testing.T) {
	req := parse(t, "POST /v1/x?a=%2F&token=child HTTP/1.1\nHost: h.test\nContent-Type: application/json\nCookie: s=1\nAuthorization: Basic eA==\n\n{\"password\":\"child\", \"n\": 1.50}")
	for _, in := range []Injector{Bearer{}, Query{"token"}, Cookie{"s"}, Body{[]string{"password"}}} {
		if _, err := in.Inject(req, secret(`va"l`)); err != nil {
			t.Fatalf("%T: %v", in, err)
		}
	}
	var wire strings.Builder
	if err := req.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire.String())))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.RequestURI; s != "/v1/x?a=%2F&token=va%22l" {
		t.Errorf("target: got %q", s)
	}
	if s := string(body); s != `{"password":"va\"l", "n": 1.50}` {
		t.Errorf("body: got %q", s)
	}
	if a := got.Header["Authorization"]; len(a) != 1 || a[0] != `Bearer va"l` {
		t.Errorf("Authorization: got %q", a)
	}
	if s := got.Header.Get("Cookie"); s != `s=va"l` {
		t.Errorf("Cookie: got %q", s)
	}
}
