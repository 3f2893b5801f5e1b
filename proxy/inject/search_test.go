package inject

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"agentvault/keyring"
)

func TestParsePlace(t *testing.T) {
	for _, s := range []string{"websocket", "websocket:d.token", "body", "body:auth.*.token", "query:sig", "path", "header:X-Session", "cookie:sid", "header"} {
		if p, err := ParsePlace(s); err != nil || p.String() != s {
			t.Errorf("ParsePlace(%q) = %v, %v", s, p, err)
		}
	}
	for s, want := range map[string]string{
		"": "unknown", "Body": "unknown", "trailer": "unknown", "path:x": "no names", "body:": "no name after",
		"header:Content-Length": "not a header", "header:a b": "not a header", "cookie:a=b": "not a cookie",
	} {
		if _, err := ParsePlace(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePlace(%q): %v, want %q", s, err, want)
		}
	}
}

// What is found in each place is replaced there, encoded as the place asks, and nothing
// else of the request changes.
func TestSearch(t *testing.T) {
	const p, v = "avp_stand-in/1", `k"e\y/&=<é`
	finder := NewFinder(map[string]string{p: "api", "avp_other": "other"})
	for _, tt := range []struct {
		name, places, target, header, kind, body string
		where                                    string // of the first; "" for none
		copies                                   int
		want                                     string
		err                                      string
	}{
		{name: "no place", kind: "application/json", body: `{"a":"` + p + `"}`, want: `{"a":"` + p + `"}`},
		{name: "json", places: "body", kind: "application/json; charset=utf-8", body: `{"a":"x ` + p + `"}`, where: "body", copies: 1, want: `{"a":"x k\"e\\y/&=<é"}`},
		{name: "json with escaped slashes", places: "body", kind: "application/json", body: `{"a":"avp_stand-in\/1"}`, where: "body", copies: 1, want: `{"a":"k\"e\\y/&=<é"}`},
		{name: "json field", places: "body:auth.key", kind: "application/vnd.api+json", body: `{"auth":{"key":"Bearer ` + p + `"},"text":"` + p + `"}`, where: "body auth.key", copies: 1,
			want: `{"auth":{"key":"Bearer k\"e\\y/&=<é"},"text":"` + p + `"}`},
		{name: "json field in another spelling", places: "body:key", kind: "application/json", body: `{"k\u0065y":"avp\u005fstand-in\/1"}`, where: "body key", copies: 1, want: `{"k\u0065y":"k\"e\\y/&=<é"}`},
		{name: "json field of another type", places: "body:key", kind: "application/json", body: `{"key":["` + p + `"]}`, want: `{"key":["` + p + `"]}`},
		{name: "json list", places: "body:keys.*", kind: "application/json", body: `{"keys":["` + p + `","` + p + `"]}`, where: "body keys.*", copies: 2, want: `{"keys":["k\"e\\y/&=<é","k\"e\\y/&=<é"]}`},
		{name: "json that is none", places: "body:key", kind: "application/json", body: `{"key":"` + p, err: "not valid JSON"},
		{name: "json that is none, and nothing to find", places: "body:key", kind: "application/json", body: `{"\key`, want: `{"\key`},
		{name: "lines of json", places: "body", kind: "application/x-ndjson", body: "{\"a\":1}\n{\"a\":\"" + p + "\"}\n", where: "body", copies: 1, want: "{\"a\":1}\n{\"a\":\"k\\\"e\\\\y/&=<é\"}\n"},
		{name: "form", places: "body", kind: "application/x-www-form-urlencoded", body: "a=1&b=avp_stand-in%2F1&c=" + p, where: "body", copies: 2, want: "a=1&b=k%22e%5Cy%2F%26%3D%3C%C3%A9&c=k%22e%5Cy%2F%26%3D%3C%C3%A9"},
		{name: "form field", places: "body:b", kind: "application/x-www-form-urlencoded", body: "a=" + p + "&b=avp_stand-in%2F1", where: "body b", copies: 1, want: "a=" + p + "&b=k%22e%5Cy%2F%26%3D%3C%C3%A9"},
		{name: "multipart", places: "body:b", kind: "multipart/form-data; boundary=X", body: "--X\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n" + p + "\r\n--X\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n" + p + "\r\n--X--\r\n",
			where: "body b", copies: 1, want: "--X\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n" + v + "\r\n--X\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n" + p + "\r\n--X--\r\n"},
		{name: "multipart file", places: "body", kind: "multipart/form-data; boundary=X", body: "--X\r\nContent-Disposition: form-data; name=\"b\"; filename=\"f\"\r\n\r\n" + p + "\r\n--X--\r\n",
			want: "--X\r\nContent-Disposition: form-data; name=\"b\"; filename=\"f\"\r\n\r\n" + p + "\r\n--X--\r\n"},
		{name: "xml", places: "body", kind: "text/xml", body: "<k>" + p + "</k>", where: "body", copies: 1, want: "<k>k&quot;e\\y/&amp;=&lt;é</k>"},
		{name: "text", places: "body", kind: "text/plain", body: "k=" + p, where: "body", copies: 1, want: "k=" + v},
		{name: "text has no fields", places: "body:k", kind: "text/plain", body: "k=" + p, want: "k=" + p},
		{name: "bytes are not searched", places: "body", kind: "application/octet-stream", body: p, want: p},
		{name: "no type is not searched", places: "body", body: p, want: p},
		{name: "compressed", places: "body", kind: "application/json", header: "Content-Encoding: gzip", body: "{}", err: "compressed"},
		{name: "compressed, of a type that is not searched", places: "body", kind: "image/png", header: "Content-Encoding: gzip", body: "x", want: "x"},
		{name: "digest", places: "body", kind: "application/json", header: "Content-Digest: x", body: `{"a":"` + p + `"}`, err: "fixes its bytes"},
		{name: "digest, and nothing found", places: "body", kind: "application/json", header: "Content-Digest: x", body: `{}`, want: `{}`},
		{name: "too large", places: "body", kind: "text/plain", body: strings.Repeat("x", maxBody+1), err: "larger than"},
		{name: "another service's", places: "body", kind: "text/plain", body: "avp_other", where: "body", copies: 1, want: v},
		{name: "header", places: "header:X-Session", header: "X-Session: v1 " + p, where: "header X-Session", copies: 1},
		{name: "any header", places: "header", header: "X-Session: v1 " + p, where: "header X-Session", copies: 1},
		{name: "another header", places: "header:X-Session", header: "X-Other: " + p},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest("POST", "https://h.test/p?q=1", strings.NewReader(tt.body))
			if tt.kind != "" {
				req.Header.Set("Content-Type", tt.kind)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				req.Header.Set(name, value)
			}
			var search Search
			if tt.places != "" {
				place, err := ParsePlace(tt.places)
				if err != nil {
					t.Fatal(err)
				}
				search = Search{place}
			}
			found, err := search.Find(req, finder)
			if tt.err != "" || err != nil {
				if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %q", err, tt.err)
				}
				return
			}
			if (tt.where == "") != (len(found) == 0) || tt.where != "" && (found[0].Where != tt.where || Count(found) != tt.copies || !search.Allows(found[0])) {
				t.Fatalf("found %+v", found)
			}
			value := v
			if strings.Contains(tt.name, "header") {
				value = "header-value"
			}
			for _, f := range found {
				if err := f.Replace(req, keyring.NewSecret([]byte(value))); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(tt.name, "header") {
				if len(found) > 0 && req.Header.Get("X-Session") != "v1 "+value {
					t.Error(req.Header)
				}
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil || string(body) != tt.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, body, tt.want)
			}
			if len(found) > 0 && req.ContentLength != int64(len(body)) {
				t.Errorf("length %d of %d", req.ContentLength, len(body))
			}
		})
	}
}

func TestSearchPath(t *testing.T) {
	const p = "avp_stand-in"
	finder := NewFinder(map[string]string{p: "api"})
	req, _ := http.NewRequest("GET", "https://h.test/a%20b/avp%5Fstand-in/x?q", nil)
	found, err := Search{{In: "path"}}.Find(req, finder)
	if err != nil || len(found) != 1 || found[0].Where != "path" {
		t.Fatalf("%+v %v", found, err)
	}
	if err := found[0].Replace(req, keyring.NewSecret([]byte("k e?y"))); err != nil || req.URL.EscapedPath() != "/a%20b/k%20e%3Fy/x" {
		t.Errorf("%s %v", req.URL, err)
	}
	req, _ = http.NewRequest("GET", "https://h.test/"+p, nil)
	found, _ = Search{{In: "path"}}.Find(req, finder)
	if err := found[0].Replace(req, keyring.NewSecret([]byte("../x"))); err == nil {
		t.Error("a secret with a slash was put into a path")
	}
}

func TestSearchAllows(t *testing.T) {
	const p = "avp_stand-in"
	finder := NewFinder(map[string]string{p: "api"})
	for _, tt := range []struct {
		place, target, header string
		want                  bool
	}{
		{"query:sig", "/?sig=" + p, "", true},
		{"query:sig", "/?title=" + p, "", false},
		{"query", "/?title=" + p, "", true},
		{"cookie:sid", "/", "Cookie: sid=" + p, true},
		{"cookie:sid", "/", "Cookie: other=" + p, false},
		{"header:X-My-Token", "/", "X-My-Token: " + p, true},
		{"header:X-My-Token", "/", "X-Other-Token: " + p, false},
	} {
		req, _ := http.NewRequest("GET", "https://h.test"+tt.target, nil)
		if name, value, ok := strings.Cut(tt.header, ": "); ok {
			req.Header.Set(name, value)
		}
		place, err := ParsePlace(tt.place)
		if err != nil {
			t.Fatal(err)
		}
		found := finder.Find(req)
		if len(found) != 1 || (Search{place}).Allows(found[0]) != tt.want {
			t.Errorf("%s of %s %s: %+v", tt.place, tt.target, tt.header, found)
		}
	}
}
