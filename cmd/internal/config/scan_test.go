package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestScanPositions(t *testing.T) {
	src := strings.Join([]string{
		`# a = 1`,
		`top = "x # no comment"  # comment with [brackets] and = signs`,
		`[service.github]`,
		"  allow = [ # why",
		`    "GET /**",`,
		`    'POST /#x',`,
		`  ]`,
		`auth = { type = "header", name = "X" }`,
		`"quoted key".inner = """`,
		`[not.a.table]`,
		`key = 1 \""" """`,
		`[[list]]`,
		`a = 1`,
		`[[list]]`,
		`"ä" = 2`,
		`[list.sub]`,
		`b = [[1, 2], [{ c = 3 }]]`,
		`when = 1979-05-27 07:32:00`,
		`raw = '''it's''''`,
		`last = true`,
	}, "\n")
	if _, err := toml.Decode(src, &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	places := scan(src)
	for path, want := range map[string]string{
		"top":                       "2:1 2:7",
		"service":                   "3:1 3:1",
		"service github":            "3:1 3:1",
		"service github allow":      "4:3 4:11",
		"service github allow 0":    "5:5 5:5",
		"service github allow 1":    "6:5 6:5",
		"service github auth":       "8:1 8:8",
		"service github auth type":  "8:10 8:17",
		"service github auth name":  "8:27 8:34",
		"service github quoted key": "9:1 9:1",
		"list 0 a":                  "13:1 13:5",
		"list 1 ä":                  "15:1 15:7",
		"list 1 sub":                "16:1 16:1",
		"list 1 sub b":              "17:1 17:5",
		"list 1 sub b 1 0 c":        "17:17 17:21",
		"list 1 sub when":           "18:1 18:8",
		"list 1 sub raw":            "19:1 19:7",
		"list 1 sub last":           "20:1 20:8",
	} {
		key := strings.ReplaceAll(path, " ", "\x00")
		key = strings.ReplaceAll(key, "quoted\x00key", "quoted key")
		p, ok := places[key]
		if !ok {
			t.Errorf("%s: not found", path)
			continue
		}
		got := strings.ReplaceAll(position("", src, p.key).String()+" "+position("", src, p.val).String(), " :", " ")
		if got = strings.TrimPrefix(got, ":"); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if _, found := places["service\x00github\x00not"]; found {
		t.Error("a table inside a string was taken for one")
	}
}

// FuzzScan compares the scanner with the library: on every text that is TOML it finds
// the keys that the library finds.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"a = 1", "[a.b]\nc.d = {e = [1, {f=2}]}", "[[a]]\n[[a]]\nb=1\n[a.c]", "'x y'.\"z\\u0041\" = '''\n]'''", "a = [ # c\n1,\n]", "\ufeffa=1\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		var v map[string]any
		places := scan(src)
		if _, err := toml.Decode(src, &v); err != nil {
			return
		}
		// A quoted key may hold NUL or escapes that only TOML knows: those are not compared.
		if strings.ContainsAny(src, "\\\x00") {
			return
		}
		checkPlaces(t, src, places, "", v)
	})
}

func checkPlaces(t *testing.T, src string, places map[string]place, path string, v any) {
	t.Helper()
	if path != "" {
		if p, ok := places[path]; !ok || p.key < 0 || p.val > len(src) {
			t.Fatalf("%q: no place for %q in %v", src, path, places)
		}
	}
	n := node{path: path, v: v, doc: &document{}}
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			checkPlaces(t, src, places, join(path, k), child)
		}
	case []any, []map[string]any:
		for _, e := range n.list("") {
			checkPlaces(t, src, places, e.path, e.v)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"bearr", "bearer", 1}, {"baerer", "bearer", 1}, {"x", "bearer", 6}, {"github", "gitlab", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	if got := DidYouMean("quantum", []string{"bearer", "basic"}); got != "" {
		t.Errorf("a far word got %q", got)
	}
	if !slices.Contains(authTypes(), "bearer") {
		t.Error("bearer is gone")
	}
}
