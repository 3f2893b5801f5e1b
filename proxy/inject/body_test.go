package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

const form, jsonType = "application/x-www-form-urlencoded", "application/json"

func post(t testing.TB, contentType, body string) *http.Request {
	t.Helper()
	return parse(t, "POST /token HTTP/1.1\nHost: h.test\nContent-Type: "+contentType+"\n\n"+body)
}

func TestBody(t *testing.T) {
	const v = `re"al/é<` + "\n+"
	const j = `"re\"al/é<\n+"` // as JSON
	for _, tt := range []struct{ name, fields, contentType, in, want, where string }{
		{"top level", "secret", jsonType, `{ "id":1.0, "secret" : "child" }`, `{ "id":1.0, "secret" : ` + j + ` }`, "body secret"},
		{"dotted", "auth.secret", "application/vnd.x+json; charset=UTF-8", `{"auth":{"secret":"a","x":"secret"},"secret":"b"}`, `{"auth":{"secret":` + j + `,"x":"secret"},"secret":"b"}`, "body auth.secret"},
		{"every copy", "s", jsonType, `{"s":"a","\u0073":"b","st":"c","s":{"deep":[1,"]}"]}}`, `{"s":` + j + `,"\u0073":` + j + `,"st":"c","s":` + j + `}`, "body s"},
		{"copies of the parent", "a.s", jsonType, `{"a":{"s":1},"a":{"s":[]}}`, `{"a":{"s":` + j + `},"a":{"s":` + j + `}}`, "body a.s"},
		{"every type of value", "*.s", jsonType, `[{"s":null},{"s":true},{"s":-1e5},{"s":"x"},{"s":{}},{"s":[]},{"t":1}]`,
			`[{"s":` + j + `},{"s":` + j + `},{"s":` + j + `},{"s":` + j + `},{"s":` + j + `},{"s":` + j + `},{"t":1}]`, "body *.s"},
		{"an element", "k.1", jsonType, `{"k":[0,1,2]}`, `{"k":[0,` + j + `,2]}`, "body k.1"},
		{"two fields", "b,a", jsonType, `{"a":1,"b":2}`, `{"a":` + j + `,"b":` + j + `}`, "body a"},
		{"nested fields", "a,a.b", jsonType, `{"a":{"b":2}}`, `{"a":` + j + `}`, "body a"},
		{"hard text around", "s", jsonType, "\r\n\t{\"x\\\"}\":\"\\\\\",\"y\":[[],{},[{\"s\":\"]\"}]] , \"s\"\n:\t1}\n", "\r\n\t{\"x\\\"}\":\"\\\\\",\"y\":[[],{},[{\"s\":\"]\"}]] , \"s\"\n:\t" + j + "}\n", "body s"},
		{"form", "client_secret", form, "a=%2f+1&client_secret=child&b&client%5Fsecret=2", "a=%2f+1&client_secret=re%22al%2F%C3%A9%3C%0A%2B&b", "body client_secret"},
		{"form, two fields", "x,y", form, "y=1&x=2", "y=re%22al%2F%C3%A9%3C%0A%2B&x=re%22al%2F%C3%A9%3C%0A%2B", "body x"},
		{"not present", "s", jsonType, `{"a":{"s":1}}`, "", ""},
		{"not present, but in other letters", "s", jsonType, `{"S":1}`, "", ""},
		{"a scalar in the way", "a.s", jsonType, `{"a":"s"}`, "", ""},
		{"not an object", "s", jsonType, `"s"`, "", ""},
		{"no element of that number", "k.s", jsonType, `{"k":["s"]}`, "", ""},
		{"star is for lists", "*", jsonType, `{"a":1}`, "", ""},
		{"form without the field", "s", form, "a=s", "", ""},
		{"empty form", "s", form, "", "", ""},
		{"no fields", "", jsonType, `{"a":1}`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := post(t, tt.contentType, tt.in)
			where, err := Body{strings.Split(tt.fields, ",")}.Inject(req, secret(v))
			if tt.where == "" {
				if !errors.Is(err, ErrNoSlot) {
					t.Fatalf("got %q, %v, want ErrNoSlot", where, err)
				}
				tt.want = tt.in // and the body is whole
			} else if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(req.Body)
			if string(got) != tt.want || err != nil || where != tt.where {
				t.Errorf("%q:\n got %s\nwant %s (%v)", where, got, tt.want, err)
			}
			if req.ContentLength != int64(len(got)) {
				t.Errorf("ContentLength: got %d, want %d", req.ContentLength, len(got))
			}
			if req.GetBody == nil {
				if tt.in != "" {
					t.Fatal("no GetBody")
				}
				return
			}
			again, _ := req.GetBody()
			if second, _ := io.ReadAll(again); !bytes.Equal(second, got) {
				t.Errorf("GetBody: got %q", second)
			}
		})
	}
}

func TestBodyRefuses(t *testing.T) {
	big := `{"s":"` + strings.Repeat("x", maxBody) + `"}`
	for _, tt := range []struct{ name, contentType, extra, body, value, want string }{
		{"invalid JSON", jsonType, "", `{"s":"a"`, "v", "not valid JSON"},
		{"other letters beside it", jsonType, "", `{"s":"a","S":"b"}`, "v", "case of its letters"},
		{"other letters, escaped, before it", jsonType, "", `{"\u0053":"b","s":"a"}`, "v", "case of its letters"},
		{"multipart, other letters", "multipart/form-data; boundary=b", "", "--b\r\nContent-Disposition: form-data; name=s\r\n\r\nval\r\n--b\r\nContent-Disposition: form-data; name=S\r\n\r\nval\r\n--b--", "v", "case of its letters"},
		{"two documents", jsonType, "", `{"s":"a"}{"s":"b"}`, "v", "not valid JSON"},
		{"a byte order mark", jsonType, "", "\ufeff{\"s\":\"a\"}", "v", "not valid JSON"},
		{"compressed", jsonType, "Content-Encoding: gzip\n", `{"s":"a"}`, "v", "compressed"},
		{"compressed, another spelling", jsonType, "content_encoding: br\n", `{"s":"a"}`, "v", "compressed"},
		{"digest", jsonType, "Content-MD5: x\n", `{"s":"a"}`, "v", "fixes its bytes"},
		{"another charset", jsonType + "; charset=utf-16", "", `{"s":"a"}`, "v", "charset"},
		{"another type", "text/plain", "", "s=a", "v", "type \"text/plain\""},
		{"an unreadable type", "application/json; =", "", `{"s":"a"}`, "v", "Content-Type"},
		{"two types", jsonType + "\nContent-Type: " + form, "", `{"s":"a"}`, "v", "2 Content-Type"},
		{"too large", jsonType, "", big, "v", "larger than"},
		{"not UTF-8", jsonType, "", `{"s":"a"}`, "marker\xff", "UTF-8"},
		{"form with a semicolon", form, "", "a=1;s=2", "v", "semicolon"},
		{"multipart without boundary", "multipart/form-data", "", "x", "v", "boundary"},
		{"multipart that is none", "multipart/form-data; boundary=b", "", "x", "v", "taken apart"},
		{"multipart cut off", "multipart/form-data; boundary=b", "", "--b\r\nContent-Disposition: form-data; name=s\r\n\r\nval", "v", "taken apart"},
		{"multipart with a longer boundary", "multipart/form-data; boundary=b", "", "--bb\r\nContent-Disposition: form-data; name=s\r\n\r\nval\r\n--bb--", "v", "taken apart"},
		{"multipart in base64", "multipart/form-data; boundary=b", "", "--b\r\nContent-Disposition: form-data; name=s\r\nContent-Transfer-Encoding: base64\r\n\r\nval\r\n--b--", "v", "transfer encoding"},
		{"boundary in the secret", "multipart/form-data; boundary=bound", "", "--bound\r\nContent-Disposition: form-data; name=s\r\n\r\nval\r\n--bound--", "\r\n--bound--", "holds the multipart boundary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := parse(t, "POST / HTTP/1.1\nHost: h.test\nContent-Type: "+tt.contentType+"\n"+tt.extra+"\n"+tt.body)
			_, err := Body{[]string{"s"}}.Inject(req, secret(tt.value))
			if err == nil || errors.Is(err, ErrNoSlot) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "marker") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A chunked body has no length to be refused by.
func TestBodyChunked(t *testing.T) {
	send := func(body string, trailer http.Header) (*http.Request, error) {
		req, err := http.NewRequest("POST", "http://h.test/", io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength, req.TransferEncoding, req.Trailer = -1, []string{"chunked"}, trailer
		req.Header.Set("Content-Type", jsonType)
		_, err = Body{[]string{"s"}}.Inject(req, secret("v"))
		return req, err
	}
	if _, err := send(`{"s":"`+strings.Repeat("x", maxBody)+`"}`, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("too large: got %v", err)
	}
	if req, err := send(`{"s":"child"}`, nil); err != nil || req.ContentLength != 9 || req.TransferEncoding != nil {
		t.Errorf("got %v, %d, %q, want a length of 9", err, req.ContentLength, req.TransferEncoding)
	}
	if req, err := send(`{"s":"child"}`, http.Header{"X-Sum": nil}); err != nil || req.ContentLength != -1 {
		t.Errorf("with a trailer: got %v, %d, want it still chunked", err, req.ContentLength)
	}
}

func TestBodyMultipart(t *testing.T) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("a", "--"+w.Boundary()[:5]+"\r\nsecret")
	_ = w.WriteField("secret", "child")
	file, _ := w.CreateFormFile("secret", "s.txt")
	_, _ = file.Write([]byte("the file stays"))
	_ = w.WriteField("secret", "")
	_ = w.Close()
	req := post(t, w.FormDataContentType(), b.String())
	where, err := Body{[]string{"secret"}}.Inject(req, secret("real\r\nvalue"))
	if err != nil || where != "body secret" {
		t.Fatalf("got %q, %v", where, err)
	}
	_, params, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	var got []string
	for r := multipart.NewReader(req.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(p)
		got = append(got, p.FormName()+"="+string(text))
	}
	want := []string{"a=--" + w.Boundary()[:5] + "\r\nsecret", "secret=real\r\nvalue", "secret=the file stays", "secret=real\r\nvalue"}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// FuzzBody: for no body does the editor panic, a body of valid JSON stays valid, holds
// the new value where encoding/json finds the field, and all else as it was.
func FuzzBody(f *testing.F) {
	f.Add(`{"s":1,"a":{"s":[{"s":"x"}]}}`, "s", uint8(0))
	f.Add(`[{"a":[1,{"b":"\u0073\\"}]},null]`, "0.a.1.b", uint8(0))
	f.Add("a=1&s=%zz;&s[]=2", "s", uint8(1))
	f.Add("--b\r\nContent-Disposition: form-data; name=\"s\"\r\n\r\nx\r\n--b--\r\n", "s", uint8(2))
	f.Fuzz(func(t *testing.T, body, field string, kind uint8) {
		if !utf8.ValidString(field) {
			t.Skip() // TOML has no such names, and encoding/json reads them as others
		}
		const v = "placed-\"value\""
		types := [...]string{jsonType, form, "multipart/form-data; boundary=b"}
		req := &http.Request{Header: http.Header{"Content-Type": {types[kind%3]}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
		where, err := Body{[]string{field}}.Inject(req, secret(v))
		if err != nil && !errors.Is(err, ErrNoSlot) {
			return
		}
		got, readErr := io.ReadAll(req.Body)
		if readErr != nil || int64(len(got)) != req.ContentLength {
			t.Fatalf("got %d bytes, ContentLength %d, %v", len(got), req.ContentLength, readErr)
		}
		if err != nil {
			if string(got) != body {
				t.Fatalf("not replaced, and changed: %q to %q", body, got)
			}
			return
		}
		if where != "body "+field {
			t.Fatalf("where: got %q", where)
		}
		if kind%3 == 0 {
			checkJSONEdit(t, body, string(got), field, v)
		}
	})
}

// checkJSONEdit compares with what encoding/json sees; of duplicate names it sees the
// last, in both texts.
func checkJSONEdit(t *testing.T, before, after, field, v string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(before), &a); err != nil {
		t.Skip()
	}
	if err := json.Unmarshal([]byte(after), &b); err != nil {
		t.Fatalf("no JSON any more: %q to %q: %v", before, after, err)
	}
	setPaths(&a, strings.Split(field, "."), v)
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	// Duplicates of a parent may hide an edit from encoding/json, which merges nothing here.
	if !bytes.Equal(x, y) {
		t.Fatalf("%q at %q:\n got %s\nwant %s", before, field, y, x)
	}
}

func setPaths(at *any, path []string, v string) {
	if len(path) == 0 {
		*at = v
		return
	}
	switch node := (*at).(type) {
	case map[string]any:
		if child, ok := node[path[0]]; ok {
			setPaths(&child, path[1:], v)
			node[path[0]] = child
		}
	case []any:
		for i := range node {
			if path[0] == "*" || path[0] == fmt.Sprint(i) {
				setPaths(&node[i], path[1:], v)
			}
		}
	}
}
