package prove

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// excerptLength is how much of an answer a failure shows: the message of an API's error
// stands in its first line.
const excerptLength = 160

// mismatch says which expected field an answer lacks or has otherwise; "" is none. A
// field is a dotted path; a number names an element of a list. A table is compared
// field by field, so that an answer may have more.
func mismatch(want map[string]any, body []byte) string {
	if len(want) == 0 {
		return ""
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return "the answer is not JSON" + excerpt(body)
	}
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if wrong := compare(field, want[field], at(got, field)); wrong != "" {
			return wrong
		}
	}
	return ""
}

// missing marks a field that is not there, which is something else than null.
type missing struct{}

// at goes along a path. A key that itself has dots wins over the path.
func at(v any, path string) any {
	if m, ok := v.(map[string]any); ok {
		if found, ok := m[path]; ok {
			return found
		}
	}
	name, rest, more := strings.Cut(path, ".")
	var next any = missing{}
	switch v := v.(type) {
	case map[string]any:
		if found, ok := v[name]; ok {
			next = found
		}
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			next = v[i]
		}
	}
	if !more {
		return next
	}
	return at(next, rest)
}

func compare(field string, want, got any) string {
	if _, no := got.(missing); no {
		return fmt.Sprintf("the answer has no %s", field)
	}
	if table, ok := want.(map[string]any); ok {
		for _, k := range slices.Sorted(maps.Keys(table)) {
			if wrong := compare(field+"."+k, table[k], at(got, k)); wrong != "" {
				return wrong
			}
		}
		return ""
	}
	if reflect.DeepEqual(plain(want), plain(got)) {
		return ""
	}
	return fmt.Sprintf("%s is %s, want %s", field, spell(got), spell(want))
}

// plain makes numbers of TOML and JSON comparable.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}

func spell(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	return short(string(b))
}

// spellJSON is `, login = "octocat"`, for names of checks.
func spellJSON(want map[string]any) string {
	var out strings.Builder
	for _, k := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&out, ", %s = %s", k, spell(want[k]))
	}
	return out.String()
}

func excerpt(body []byte) string {
	text := strings.Join(strings.Fields(string(body)), " ")
	if text == "" {
		return ""
	}
	return ": " + short(text)
}

func short(s string) string {
	if len(s) > excerptLength {
		return strings.ToValidUTF8(s[:excerptLength], "") + "..."
	}
	return s
}

// helpOf is what an answer of the proxy's tells the agent to do.
func helpOf(body []byte) string {
	var a struct {
		Error struct {
			Help string `json:"help"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &a)
	return a.Error.Help
}

func headerText(h http.Header) string {
	var out strings.Builder
	for _, k := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&out, "%s: %s\n", k, strings.Join(h[k], "\n"))
	}
	return out.String()
}
