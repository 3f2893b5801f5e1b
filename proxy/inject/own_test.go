package inject

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestOwnCredential(t *testing.T) {
	const key = "k3y-of-the-child"
	basic := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, tt := range []struct{ name, url, header, value, kind, user, want string }{
		{"bearer", "https://x.test/", "Authorization", "Bearer " + key, "bearer", "", key},
		{"bearer in small letters", "https://x.test/", "Authorization", "bearer  " + key, "bearer", "", key},
		{"token", "https://x.test/", "Authorization", "token " + key, "token", "", key},
		{"no scheme", "https://x.test/", "Authorization", key, "authorization", "", key},
		{"basic", "https://x.test/", "Authorization", "Basic " + basic("bob:"+key), "basic", "bob", key},
		{"basic with the key as the user", "https://x.test/", "Authorization", "Basic " + basic(key+":"), "basic", "", key},
		{"basic with the key as the user, as GitHub has it", "https://x.test/", "Authorization", "Basic " + basic(key+":x-oauth-basic"), "basic", "", key},
		{"basic, broken", "https://x.test/", "Authorization", "Basic ?", "basic", "", ""},
		{"header", "https://x.test/", "X-Api-Key", key, "x-api-key", "", key},
		{"another header", "https://x.test/", "Dd-Api-Key", key, "dd-api-key", "", key},
		{"query", "https://x.test/?a=1&api_key=k3y%2Dof-the-child", "", "", "query:api_key", "", key},
		{"path", "https://api.telegram.org/bot" + botToken + "/getMe", "", "", "path", "", botToken},
		{"cookie", "https://x.test/", "Cookie", "session=" + key, "cookie", "", ""},
		{"signature", "https://x.test/", "Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu/s3/aws4_request", "sigv4", "", ""},
		{"nothing", "https://x.test/", "", "", "", "", ""},
	} {
		r, err := http.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.header != "" {
			r.Header.Set(tt.header, tt.value)
		}
		kind := ClientAuth(r)
		own, ok := OwnCredential(r, kind)
		if kind != tt.kind || own.User != tt.user || own.Value.Reveal() != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, user %q, %q, %t; want %q, %q, %q", tt.name, kind, own.User, own.Value.Reveal(), ok, tt.kind, tt.user, tt.want)
		}
	}
}

// Neither a value nor a name of the child's goes into the log at any length.
func TestOwnIsBounded(t *testing.T) {
	for over := range 2 {
		r, err := http.NewRequest(http.MethodGet, "https://x.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", maxOwn+over))
		if own, ok := OwnCredential(r, "bearer"); ok != (over == 0) {
			t.Errorf("a value of %d bytes: %t, %d bytes", maxOwn+over, ok, own.Value.Len())
		}
		name := strings.Repeat("x", maxWhere+over)
		if got := slotName(name); (got == name) != (over == 0) || len(got) > maxWhere+len("...") {
			t.Errorf("a name of %d bytes becomes %q", len(name), got)
		}
	}
}
