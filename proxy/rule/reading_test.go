package rule

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestReadings(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", []string{"/"}},
		{"/a/b", []string{"/a/b"}},
		{"/a%20b", []string{"/a b"}},
		{"/a...b/.x/x.", []string{"/a...b/.x/x."}},
		{"/@scope%2Fname", []string{"/@scope%2Fname", "/@scope/name"}},
		{"/a//b", []string{"/a//b", "/a/b"}},
		{"/%61", []string{"/a", "/%61"}},
		{"/a%25b", []string{"/a%25b"}},
		{"/a;v=1/b", []string{"/a;v=1/b", "/a/b"}},
		{"//h/b", []string{"//h/b", "/h/b", "/b"}},
		{"/%C3%BC", []string{"/ü"}},
	} {
		got, err := Readings(tt.in)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Readings(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestReadingsRefuses(t *testing.T) {
	for _, tt := range []struct {
		want error
		in   []string
	}{
		{errDots, []string{"/..", "/a/../b", "/a/./b", "/.", "/%2e%2e/b", "/.%2E/b", "/a%2F..%2Fb", "/a/..;x/b", "/..%3b/b",
			"/%252e%252e/b", "/a%252f..%252fb", "/%25%32%65%25%32%65/"}},
		{errBackslash, []string{`/a\b`, "/a%5Cb", "/a%5cb"}},
		{errControl, []string{"/a%00", "/a%0a", "/a\x01", "/a%7F", "/a b", "/a\tb"}},
		{errEscape, []string{"/%", "/%2", "/%zz", "/a%2/b"}},
		{errUTF8, []string{"/%ff", "/%c0%ae%c0%ae/", "/\xff"}},
		{errNotPath, []string{"*", "a/b"}},
		{errQuery, []string{"/a?b", "/a#b"}},
	} {
		for _, in := range tt.in {
			if got, err := Readings(in); err != tt.want {
				t.Errorf("Readings(%q) = %q, %v; want %v", in, got, err, tt.want)
			}
		}
	}
}

// The models of what origins make of a raw path. Each returns segments joined by slashes
// as Readings spells them, and false where that origin answers 400 by itself.

// nginx decodes all, then merges slashes, then resolves dot segments (ngx_http_parse_complex_uri).
func nginx(raw string, merge bool) (string, bool) {
	decoded, err := url.PathUnescape(raw)
	if err != nil || strings.Contains(decoded, "\x00") || !strings.HasPrefix(decoded, "/") {
		return "", false
	}
	var out []string
	segs := strings.Split(decoded[1:], "/")
	for i, seg := range segs {
		last := i == len(segs)-1
		switch {
		case seg == "." && last:
			out = append(out, "")
		case seg == ".":
		case seg == ".." && len(out) == 0:
			return "", false
		case seg == "..":
			out = out[:len(out)-1]
			if last {
				out = append(out, "")
			}
		case seg == "" && merge && !last:
		default:
			out = append(out, seg)
		}
	}
	return "/" + strings.ReplaceAll(strings.Join(out, "/"), "%", "%25"), true
}

// goPath is what a handler finds in Request.URL.Path.
func goPath(raw string) (string, bool) {
	u, err := url.ParseRequestURI(raw)
	if err != nil {
		return "", false
	}
	return strings.ReplaceAll(u.Path, "%", "%25"), true
}

// goMux is what ServeMux's patterns see: segments of the escaped path, each decoded.
func goMux(raw string) (string, bool) {
	segs := strings.Split(raw, "/")
	for i, seg := range segs {
		d, err := url.PathUnescape(seg)
		if err != nil {
			return "", false
		}
		segs[i] = strings.ReplaceAll(strings.ReplaceAll(d, "%", "%25"), "/", "%2F")
	}
	return strings.Join(segs, "/"), true
}

// nodeRaw is req.url compared as it came. Only escapes that a client has to write (for
// bytes that cannot stand in a path) are spelled as their bytes, as Readings does.
func nodeRaw(raw string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' {
			d, err := url.PathUnescape(raw[i:min(i+3, len(raw))])
			switch {
			case err != nil:
				return "", false
			case d == "/":
				out.WriteString("%2F")
			case d == "%":
				out.WriteString("%25")
			case strings.ContainsAny(d, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@"):
				out.WriteString(raw[i : i+3])
			default:
				out.WriteString(d)
			}
			i += 2
			continue
		}
		out.WriteByte(raw[i])
	}
	return out.String(), true
}

// nodeURL is new URL(req.url, "http://h").pathname: slashes at the front begin a host.
func nodeURL(raw string) (string, bool) {
	if strings.HasPrefix(raw, "//") {
		rest := strings.TrimLeft(raw, "/")
		_, path, _ := strings.Cut(rest, "/")
		raw = "/" + path
	}
	return nodeRaw(raw)
}

func FuzzReadings(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a%2Fb", "//a/b", "/a//b/", "/%61/%2e", "/a;b/c", "/..%2f", "/%252e", "/@a%2Fb", "/%e2%82%ac", "/a%20b", "//%61//b%2F%2F"} {
		f.Add(s)
	}
	models := map[string]func(string) (string, bool){
		"nginx":                   func(s string) (string, bool) { return nginx(s, true) },
		"nginx merge_slashes off": func(s string) (string, bool) { return nginx(s, false) },
		"Go URL.Path":             goPath,
		"Go ServeMux":             goMux,
		"Node raw":                nodeRaw,
		"Node new URL":            nodeURL,
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Readings(raw)
		if err != nil || raw == "" {
			return
		}
		for name, model := range models {
			want, ok := model(raw)
			if ok && !slices.Contains(got, want) {
				t.Errorf("%q is %q to %s, but its readings are %q", raw, want, name, got)
			}
		}
		for _, r := range got {
			for seg := range strings.SplitSeq(r, "/") {
				if seg == ".." || seg == "." {
					t.Errorf("%q: reading %q holds a dot segment", raw, r)
				}
			}
		}
	})
}
