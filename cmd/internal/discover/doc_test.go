package discover

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documentation of --json names the fields that there are, and no others.
func TestDocumentedFields(t *testing.T) {
	text, err := os.ReadFile("../../../docs/discover.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## --json")
	tables := strings.Split(section, "| field | |")[1:]
	types := []reflect.Type{reflect.TypeFor[Document](), reflect.TypeFor[Endpoint](), reflect.TypeFor[DocumentSuggestion]()}
	if len(tables) != len(types) {
		t.Fatalf("%d tables, want %d", len(tables), len(types))
	}
	row := regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|")
	name := regexp.MustCompile("`([a-z_]+)`")
	for i, typ := range types {
		var documented []string
		for _, r := range row.FindAllStringSubmatch(tables[i], -1) {
			for _, n := range name.FindAllStringSubmatch(r[1], -1) {
				documented = append(documented, n[1])
			}
		}
		var fields []string
		for f := range typ.Fields() {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, tag)
		}
		slices.Sort(documented)
		slices.Sort(fields)
		if !slices.Equal(documented, fields) {
			t.Errorf("%s: documented are\n%q, there are\n%q", typ.Name(), documented, fields)
		}
	}
}
