package inject

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	phGit = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	phBot = "1234567890:AAF-abcdefghijklmnopqrstuvwxyz_01+/" // with something to escape
)

func finder() *Finder {
	return NewFinder(map[string]string{phGit: "github", phBot: "bot", "": "ignored"})
}

func std(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestFindAndReplace(t *testing.T) {
	const v = "real-s3cret+/="
	for _, tt := range []struct {
		name, in, target string
		found            string // "service where" each, joined by "; "
		want             string // the slot's lines after Replace
	}{
		{"nothing", "Accept: */*\n", "/", "", "/\nAccept: */*"},
		{"bearer", "Authorization: Bearer " + phGit + "\n", "/", "github header Authorization", "/\nAuthorization: Bearer " + v},
		{"any scheme and the rest stay", "Authorization: tOkEn  " + phGit + " , more\n", "/", "github header Authorization", "/\nAuthorization: tOkEn  " + v + " , more"},
		{"no scheme", "Authorization: " + phGit + "\n", "/", "github header Authorization", "/\nAuthorization: " + v},
		{"x-api-key", "x-api-key: " + phGit + "\n", "/", "github header X-Api-Key", "/\nX-Api-Key: " + v},
		{"underscores", "x_api_key: " + phGit + "\n", "/", "github header X_api_key", "/\nX_api_key: " + v},
		{"x-goog-api-key", "X-Goog-Api-Key: " + phGit + "\n", "/", "github header X-Goog-Api-Key", "/\nX-Goog-Api-Key: " + v},
		{"private token", "Private-Token: " + phGit + "\n", "/", "github header Private-Token", "/\nPrivate-Token: " + v},
		{"a name of its own", "Dd-Application-Key: " + phGit + "\n", "/", "github header Dd-Application-Key", "/\nDd-Application-Key: " + v},
		{"websocket protocol", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key." + phGit + "\n", "/", "github header Sec-Websocket-Protocol",
			"/\nSec-Websocket-Protocol: realtime, openai-insecure-api-key." + v},
		{"other headers are not searched", "X-Note: " + phGit + "\nIdempotency-Key: " + phGit + "\nUser-Agent: " + phGit + "\n", "/", "",
			"/\nIdempotency-Key: " + phGit + "\nUser-Agent: " + phGit + "\nX-Note: " + phGit},
		{"basic, password", "Authorization: Basic " + std("x-access-token:"+phGit) + "\n", "/", "github header Authorization (Basic)", "/\nAuthorization: Basic " + std("x-access-token:"+v)},
		{"basic, user", "Authorization: bASIC  " + std(phGit+":x-oauth-basic") + "\n", "/", "github header Authorization (Basic)", "/\nAuthorization: bASIC  " + std(v+":x-oauth-basic")},
		{"basic in another header", "X-Registry-Auth: Basic " + std("u:"+phGit) + "\n", "/", "github header X-Registry-Auth (Basic)", "/\nX-Registry-Auth: Basic " + std("u:"+v)},
		{"basic without padding", "Authorization: Basic " + strings.TrimRight(std("u:"+phGit+"12"), "=") + "\n", "/", "github header Authorization (Basic)",
			"/\nAuthorization: Basic " + strings.TrimRight(std("u:"+v+"12"), "=")},
		{"basic, url alphabet", "Authorization: Basic " + base64.URLEncoding.EncodeToString([]byte("\xff\xfe\xff:"+phGit)) + "\n", "/", "github header Authorization (Basic)",
			"/\nAuthorization: Basic " + base64.URLEncoding.EncodeToString([]byte("\xff\xfe\xff:"+v))},
		{"basic that is none", "Authorization: Basic " + phGit + "\n", "/", "github header Authorization", "/\nAuthorization: Basic " + v},
		{"cookie", "Cookie: a=1; sid=" + phGit + "; b=2\n", "/", "github cookie sid", "/\nCookie: a=1; sid=" + v + "; b=2"},
		{"cookie, escaped", "Cookie: sid=" + url.QueryEscape(phBot) + "\n", "/", "bot cookie sid", "/\nCookie: sid=" + url.QueryEscape(v)},
		{"query", "", "/p?a=%2f&key=" + phGit + "&b", "github query key", "/p?a=%2f&key=" + url.QueryEscape(v) + "&b"},
		{"query, escaped", "", "/p?%6bey=x" + url.QueryEscape(phBot) + "y", "bot query %6bey", "/p?%6bey=x" + url.QueryEscape(v) + "y"},
		{"query, plus as it is", "", "/p?k=" + phBot, "bot query k", "/p?k=" + url.QueryEscape(v)},
		{"query, every character escaped", "", "/p?k=" + escapeAll(phGit), "github query k", "/p?k=" + url.QueryEscape(v)},
		{"query without a name", "", "/p?" + phGit, "github query (name)", "/p?" + url.QueryEscape(v)},
		{"path is not searched", "", "/bot" + phBot + "/x", "", "/bot" + phBot + "/x"},
		{"two copies in one line", "Authorization: Bearer " + phGit + " " + phGit + "\n", "/", "github header Authorization; github header Authorization", "/\nAuthorization: Bearer " + v + " " + v},
		{"copies everywhere", "Authorization: Bearer " + phGit + "\nX-Api-Key: a\nX-Api-Key: " + phBot + "\nCookie: c=" + phGit + "\n", "/?k=" + phGit + "&k=" + phGit,
			"github header Authorization; github cookie c; bot header X-Api-Key; github query k; github query k",
			"/?k=" + url.QueryEscape(v) + "&k=" + url.QueryEscape(v) + "\nAuthorization: Bearer " + v + "\nCookie: c=" + v + "\nX-Api-Key: a\nX-Api-Key: " + v},
		{"almost", "Authorization: Bearer " + phGit[:39] + "\n", "/?k=" + phGit[1:], "", "/?k=" + phGit[1:] + "\nAuthorization: Bearer " + phGit[:39]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := parse(t, "GET "+tt.target+" HTTP/1.1\nHost: h.test\n"+tt.in)
			var names []string
			found := finder().Find(req)
			for _, x := range found {
				names = append(names, x.Service+" "+x.Where)
				if want := map[string]string{"github": phGit, "bot": phBot}[x.Service]; x.Placeholder != want {
					t.Errorf("placeholder: got %q, want %q", x.Placeholder, want)
				}
			}
			if got := strings.Join(names, "; "); got != tt.found {
				t.Errorf("found:\n got %q\nwant %q", got, tt.found)
			}
			for _, x := range found {
				if err := x.Replace(req, secret(v)); err != nil {
					t.Fatal(err)
				}
			}
			if got := dump(req); got != tt.want {
				t.Errorf("replaced:\n got %s\nwant %s", got, tt.want)
			}
			if len(found) > 0 {
				if err := found[0].Replace(req, secret(v)); err == nil {
					t.Error("a second Replace: got no error")
				}
			}
		})
	}
}

func escapeAll(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func TestReplaceRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, target, value string }{
		{"header, newline", "X-Api-Key: " + phGit + "\n", "/", "marker\r\nX: y"},
		{"basic, newline", "Authorization: Basic " + std("u:"+phGit) + "\n", "/", "marker\n"},
		{"basic, a colon in the user", "Authorization: Basic " + std(phGit+":x") + "\n", "/", "marker:y"},
		{"cookie, semicolon", "Cookie: a=" + phGit + "\n", "/", "marker;b=c"},
		{"query, NUL", "", "/?k=" + phGit, "marker\x00"},
		{"header, empty", "X-Api-Key: " + phGit + "\n", "/", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := parse(t, "GET "+tt.target+" HTTP/1.1\nHost: h.test\n"+tt.in)
			before := dump(req)
			found := finder().Find(req)
			if len(found) != 1 {
				t.Fatalf("got %d found", len(found))
			}
			err := found[0].Replace(req, secret(tt.value))
			if err == nil || strings.Contains(err.Error(), "marker") {
				t.Errorf("got %v, want an error without the value", err)
			}
			if got := dump(req); got != before {
				t.Errorf("changed: got %s", got)
			}
		})
	}
}

// Replace does not write into lines that another request shares.
func TestReplaceLeavesTheOriginal(t *testing.T) {
	child := parse(t, "GET / HTTP/1.1\nHost: h.test\nX-Api-Key: "+phGit+"\n")
	out := *child
	out.Header = http.Header{"X-Api-Key": child.Header["X-Api-Key"]} // a shallow copy, as a proxy makes
	if err := finder().Find(&out)[0].Replace(&out, secret("real")); err != nil {
		t.Fatal(err)
	}
	if got := child.Header.Get("X-Api-Key"); got != phGit {
		t.Errorf("the child's request: got %q", got)
	}
	if got := out.Header.Get("X-Api-Key"); got != "real" {
		t.Errorf("the proxy's request: got %q", got)
	}
}

func TestFindString(t *testing.T) {
	for _, tt := range []struct{ in, service string }{
		{"", ""}, {"nothing here", ""}, {"x" + phGit + "y", "github"}, {"/bot" + url.PathEscape(phBot) + "/me", "bot"},
		{escapeAll(phGit), "github"}, {phGit[:20] + "%" + phGit[20:], ""}, {"100%" + phGit, "github"},
	} {
		if got, ok := finder().FindString(tt.in); got != tt.service || ok != (tt.service != "") {
			t.Errorf("%q: got %q, %t, want %q", tt.in, got, ok, tt.service)
		}
	}
	var none *Finder
	if _, ok := none.FindString(phGit); ok || none.Find(parse(t, "GET / HTTP/1.1\nHost: h.test\n")) != nil {
		t.Error("the nil Finder finds something")
	}
	if _, ok := NewFinder(nil).FindString(phGit); ok {
		t.Error("the empty Finder finds something")
	}
}

// The requests of Claude Code and of curl: no placeholder in them costs nothing.
func plainRequest(t testing.TB) *http.Request {
	return parse(t, `POST /v1/messages HTTP/1.1
Host: api.example.test
Accept: application/json
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: *
Content-Type: application/json
User-Agent: claude-cli/2.1.0 (external, cli) node/24.0.0 with-a-long-name
Anthropic-Beta: interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14
Anthropic-Version: 2023-06-01
X-Stainless-Lang: js
X-Stainless-Runtime-Version: v24.0.0
Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
`)
}

func TestFindAllocatesNothing(t *testing.T) {
	f := NewFinder(tenPlaceholders())
	req := plainRequest(t)
	if n := testing.AllocsPerRun(100, func() { f.Find(req) }); n != 0 {
		t.Errorf("nothing to find: got %v allocations", n)
	}
	req.Header["X-Api-Key"] = []string{strings.Repeat("k", 100)}
	req.URL.RawQuery = "beta=true&page=1&after=" + strings.Repeat("c", 60)
	if n := testing.AllocsPerRun(100, func() { f.Find(req); ClientAuth(req) }); n != 0 {
		t.Errorf("another credential and a query: got %v allocations", n)
	}
}

func tenPlaceholders() map[string]string {
	m := map[string]string{}
	for i := range 10 {
		m[fmt.Sprintf("sk-ant-api03-%093d", i)] = fmt.Sprint("service", i)
	}
	m[phGit] = "github"
	return m
}

func BenchmarkFind(b *testing.B) {
	f := NewFinder(tenPlaceholders())
	bearer := plainRequest(b)
	bearer.Header.Set("Authorization", "Bearer "+phGit)
	basic := plainRequest(b)
	basic.Header.Set("Authorization", "Basic "+std("x:"+phGit))
	query := plainRequest(b)
	query.URL.RawQuery = "alt=sse&page=" + strings.Repeat("1", 60)
	for _, bench := range []struct {
		name string
		req  *http.Request
	}{{"none", plainRequest(b)}, {"bearer", bearer}, {"basic", basic}, {"query without", query}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Find(bench.req)
			}
		})
	}
}

// FuzzFind places a placeholder in one slot among hostile neighbours: it is found, no
// text makes the Finder panic, and Replace takes it away.
func FuzzFind(f *testing.F) {
	f.Add("Bearer ", "", uint8(0))
	f.Add("user:", ":rest", uint8(1))
	f.Add("a=1&key=%zz;", "&b=%", uint8(2))
	f.Add("a=1; b=\"", "\"; c", uint8(3))
	f.Add("%41%2", "+%", uint8(4))
	f.Fuzz(func(t *testing.T, before, after string, where uint8) {
		req := &http.Request{Header: http.Header{}, URL: &url.URL{Path: "/"}}
		text := before + phBot + after
		switch where % 6 {
		case 0:
			req.Header["X-Api-Key"] = []string{text}
		case 1:
			req.Header["Authorization"] = []string{"Basic " + std(text)}
		case 2:
			req.URL.RawQuery = before + phBot + after
		case 3:
			req.Header["Cookie"] = []string{text}
		case 4:
			req.URL.RawQuery = before + escapeAll(phBot) + after
		case 5:
			req.Header["authorization"] = []string{"other", "bAsIc  " + strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(text)), "=")}
		}
		fd := finder()
		found := fd.Find(req)
		if len(found) == 0 {
			t.Fatalf("slot %d: not found between %q and %q", where%6, before, after)
		}
		ClientAuth(req)
		for _, x := range found {
			if x.Placeholder != phBot && !strings.Contains(text, phGit) {
				t.Fatalf("got %q", x.Placeholder)
			}
			if err := x.Replace(req, secret("real")); err != nil {
				return // neighbours that hide it, such as a second scheme
			}
		}
		if again := fd.Find(req); len(again) != 0 {
			t.Fatalf("slot %d: still there after Replace, between %q and %q: %v", where%6, before, after, again)
		}
		want := strings.NewReplacer(phBot, "real", phGit, "real").Replace(text)
		if got := slotText(t, req, where%6); got != want && !strings.Contains(text, "%") {
			t.Fatalf("slot %d: between %q and %q stands %q, want %q", where%6, before, after, got, want)
		}
	})
}

// slotText is what FuzzFind's slot holds, decoded.
func slotText(t *testing.T, req *http.Request, slot uint8) string {
	t.Helper()
	switch slot {
	case 0:
		return req.Header["X-Api-Key"][0]
	case 1:
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(req.Header["Authorization"][0], "Basic "))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	case 3:
		return req.Header["Cookie"][0]
	case 5:
		var lines []string
		for _, lines = range req.Header { // it is the only one
		}
		if lines[0] != "other" {
			t.Fatalf("another line became %q", lines[0])
		}
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(lines[1], "bAsIc  "))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return req.URL.RawQuery
}

// FuzzFindNothing: what holds no placeholder, in whatever shape, is found to hold none and
// stays as it is.
func FuzzFindNothing(f *testing.F) {
	f.Add("Bearer "+phGit[:39], "k="+phBot[1:], "Basic "+std("x:"+phGit[1:]))
	f.Add("%67hp_", "key=%zz&%", "Basic =")
	f.Fuzz(func(t *testing.T, header, query, basic string) {
		decoded, _ := url.QueryUnescape(query)
		loose, _ := replaceEncoded(query, "", "", true, 0)
		for _, p := range []string{phGit, phBot} {
			for _, text := range []string{header, query, decoded, loose, basic} {
				if strings.Contains(text, p) || strings.Contains(text, "%") { // an escape may hide it
					t.Skip()
				}
			}
			if b, ok := parseBasic(basic); ok && strings.Contains(b.text, p) {
				t.Skip()
			}
			if b, ok := parseBasic(header); ok && strings.Contains(b.text, p) {
				t.Skip()
			}
		}
		req := &http.Request{Header: http.Header{"X-Api-Key": {header}, "Cookie": {header}, "Authorization": {basic}}, URL: &url.URL{Path: "/", RawQuery: query}}
		if found := finder().Find(req); len(found) != 0 {
			t.Fatalf("%q, %q, %q: found %v", header, query, basic, found)
		}
	})
}

func TestClientAuth(t *testing.T) {
	for _, tt := range []struct{ in, target, want string }{
		{"", "/", ""},
		{"Authorization: Bearer x\n", "/", "bearer"},
		{"authorization: bearer x\nX-Api-Key: y\n", "/", "bearer"},
		{"Authorization: BASIC eDp5\n", "/", "basic"},
		{"Authorization: token x\n", "/", "token"},
		{"Authorization: sk-live-0123 and more\n", "/", "authorization"},
		{"Authorization: sk-live-0123\n", "/", "authorization"},
		{"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/s3/aws4_request\n", "/", "sigv4"},
		{"Authorization: AWS4-ECDSA-P256-SHA256 Credential=AKIA\n", "/", "sigv4"},
		{"X-Api-Key: x\n", "/", "x-api-key"},
		{"X_api_key: x\n", "/", "x_api_key"},
		{"X-Vault-Token: x\nCookie: a=b\n", "/", "x-vault-token"},
		{"X-Zz-Token: x\nApi-Key: y\n", "/", "api-key"},
		{"X-Csrf-Token: x\nIdempotency-Key: y\nSec-WebSocket-Key: z\n", "/", ""},
		{"Sec-WebSocket-Protocol: chat\n", "/", ""},
		{"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-1\n", "/", "sec-websocket-protocol"},
		{"Cookie: a=b\n", "/", "cookie"},
		{"Cookie: a=b\n", "/?api_key=x", "query:api_key"},
		{"", "/?a=1&key=x", "query:key"},
		{"", "/?%6bey=x", "query:key"},
		{"", "/?access_token=x", "query:access_token"},
		{"", "/?sig=x&sv=1", "query:sig"},
		{"", "/?token=&page=1", ""},
		{"", "/?monkey=x", ""},
		{"", "/?X-Amz-Signature=x", "sigv4"},
		{"", "/?token=a&X-Amz-Signature=x", "sigv4"},
	} {
		req := parse(t, "GET "+tt.target+" HTTP/1.1\nHost: h.test\n"+tt.in)
		if got := ClientAuth(req); got != tt.want {
			t.Errorf("%q %s: got %q, want %q", tt.in, tt.target, got, tt.want)
		}
	}
}
