package config

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"agentvault/proxy/rule"
)

// Resource is one line of an entry's resources: where in a provider's addresses the name
// of a thing stands, and what the thing is called.
//
//	api.github.com/repos/{+owner}/{+repo} as github.com/{owner}/{repo}
//	{bucket}.s3.{region}.amazonaws.com/{key...} as s3:{bucket}
//
// It fits a path that begins as it does. A part in braces is a name:
//
//	{name}     but not a word that is an operation (/customers/search), and without a
//	           verb behind it (models/gemini:generateContent)
//	{+name}    whatever it looks like
//	{name...}  one segment and all that follow, or as many as stand before the next part
//	*          any segment, which is no name and is kept
//
// A part may have text around its name: bot{+token}. The first line that fits is taken.
type Resource struct {
	Entry string // the catalogue's name of the provider
	Host  []Part // labels
	Path  []Part // segments
	// As is what the thing is called, with the names in braces; "" is the host and the
	// path as far as the line goes.
	As string
	// Pages are first segments that are pages of the provider's own where a line would
	// see a name: github.com/settings is no user.
	Pages []string
}

// Part is a label of a host or a segment of a path.
type Part struct {
	Kind          PartKind
	Name          string // without its braces
	Before, After string // the text around a name; Before is the text of a Literal
}

// PartKind says what a Part fits.
type PartKind int

// The kinds of parts.
const (
	Literal   PartKind = iota
	Any                // *
	PlainName          // {name}
	FreeName           // {+name}
	RestName           // {name...}
)

// Fits reports whether the part fits one segment or label by its text alone, and gives
// the name in it.
func (p Part) Fits(s string) (name string, ok bool) {
	switch {
	case p.Kind == Literal:
		return "", s == p.Before
	case p.Kind == Any:
		return "", s != ""
	case len(s) <= len(p.Before)+len(p.After) || !strings.HasPrefix(s, p.Before) || !strings.HasSuffix(s, p.After):
		return "", false
	}
	return s[len(p.Before) : len(s)-len(p.After)], true
}

// resources is parsed once: see Resources.
var resources = sync.OnceValues(parseResources)

// Resources returns the lines of all entries, each entry's in its order. Only the rows
// that have some are parsed: a screen asks for them at its first call.
func Resources() []Resource {
	all, _ := resources() // a test parses every row
	return all
}

func parseResources() ([]Resource, error) {
	var out []Resource
	rest := servicesTOML
	for {
		_, row, ok := strings.Cut(rest, "\n[")
		if !ok {
			return out, nil
		}
		rest = row
		name, row, _ := strings.Cut(row, "]\n")
		row, _, _ = strings.Cut(row, "\n[") // no other line of the file begins with a bracket
		_, text, ok := strings.Cut(row, "\nresources = [\n")
		if !ok {
			continue
		}
		var e Entry
		if _, err := toml.Decode("resources = [\n"+text, &e); err != nil {
			return nil, fmt.Errorf("services.toml: %s: %w", name, err)
		}
		for _, line := range e.Resources {
			r, err := parseResource(line)
			if err != nil {
				return nil, fmt.Errorf("services.toml: %s: %w", name, err)
			}
			r.Entry, r.Pages = name, e.Pages
			out = append(out, r)
		}
	}
}

func parseResource(line string) (Resource, error) {
	bad := func(why string) (Resource, error) { return Resource{}, fmt.Errorf("resource %q: %s", line, why) }
	address, as, named := strings.Cut(line, " as ")
	host, path, _ := strings.Cut(address, "/")
	r := Resource{As: as}
	for label := range strings.SplitSeq(host, ".") {
		p, ok := parsePart(label)
		if !ok || p.Kind == RestName {
			return bad("not a host")
		}
		r.Host = append(r.Host, p)
	}
	if _, err := rule.CanonicalHost(strings.NewReplacer("{", "", "+", "", "}", "", "*", "x").Replace(host)); err != nil {
		return bad(err.Error())
	}
	if path != "" {
		for segment := range strings.SplitSeq(path, "/") {
			p, ok := parsePart(segment)
			if !ok {
				return bad("not a path")
			}
			r.Path = append(r.Path, p)
		}
	}
	if rest := func(p Part) bool { return p.Kind == RestName }; slices.ContainsFunc(r.Path, rest) {
		i := slices.IndexFunc(r.Path, rest)
		if slices.ContainsFunc(r.Path[i+1:], func(p Part) bool { return p.Kind == RestName }) || i+1 < len(r.Path) && r.Path[i+1].Kind != Literal {
			return bad("one {name...} a line, and a literal behind it or nothing")
		}
	}
	if named {
		return r, checkName(line, as, r)
	}
	return r, nil
}

// checkName: what a thing is called may use the names of its line alone.
func checkName(line, as string, r Resource) error {
	for rest := as; ; {
		_, after, open := strings.Cut(rest, "{")
		if !open {
			return nil
		}
		name, tail, closed := strings.Cut(after, "}")
		has := func(p Part) bool { return p.Name == name && name != "" }
		if !closed || !slices.ContainsFunc(r.Host, has) && !slices.ContainsFunc(r.Path, has) {
			return fmt.Errorf("resource %q: no {%s} on the left", line, name)
		}
		rest = tail
	}
}

func parsePart(s string) (Part, bool) {
	before, after, open := strings.Cut(s, "{")
	name, after, closed := strings.Cut(after, "}")
	switch {
	case s == "*":
		return Part{Kind: Any}, true
	case s == "" || strings.ContainsAny(before+after, "{}*") || open != closed:
		return Part{}, false
	case !open:
		return Part{Before: s}, true
	}
	p := Part{Kind: PlainName, Name: name, Before: before, After: after}
	if free, ok := strings.CutPrefix(name, "+"); ok {
		p.Kind, p.Name = FreeName, free
	} else if all, ok := strings.CutSuffix(name, "..."); ok {
		p.Kind, p.Name = RestName, all
	}
	return p, p.Name != "" && !strings.ContainsAny(p.Name, "+.") && (p.Kind != RestName || before+after == "")
}
