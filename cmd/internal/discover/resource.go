package discover

import (
	"strings"

	"agentvault/cmd/internal/config"
)

// Resource names the thing that a call is about. Where a line of the catalogue fits, it is
// what that line calls it: a repository is the same one on all of GitHub's hosts, by API
// and by git (github.com/acme/app), a bucket on all of S3's. Elsewhere it is the host and
// the path up to the first name in it. It is empty for a path that names nothing. The
// template is that of the path.
func Resource(host, path, template string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if l, ok := fits(catalogued().of(host), segments); ok {
		return called(l, host, segments)
	}
	return firstName(host, path, template)
}

// called builds the name of a thing from the line that fits it.
func called(l fit, host string, path []string) string {
	names := map[string]string{}
	labels := strings.Split(host, ".")
	named := false
	for i, p := range l.line.Host {
		if p.Name != "" {
			names[p.Name], _ = p.Fits(labels[i])
		}
	}
	at := 0
	for i, p := range l.line.Path {
		n := l.takes[i]
		switch {
		case p.Name != "" && p.Kind == config.RestName:
			names[p.Name] = strings.TrimSuffix(strings.Join(path[at:at+n], "/"), ".git")
		case p.Name != "":
			names[p.Name] = bare(p, path[at])
		}
		named = named || p.Name != ""
		at += n
	}
	if l.line.As == "" && !named {
		return "" // such a line says that nothing is named here
	}
	if l.line.As == "" {
		last := at - 1
		shown := append([]string{host}, path[:last]...)
		if p := l.line.Path; p[len(p)-1].Name != "" {
			return strings.Join(append(shown, p[len(p)-1].Before+names[p[len(p)-1].Name]), "/")
		}
		return strings.Join(append(shown, path[last]), "/")
	}
	return fill(l.line.As, names)
}

// bare is the name in a segment, without the verb or the extension that it carries. That
// of a repository is the same with and without .git.
func bare(p config.Part, segment string) string {
	name, _ := p.Fits(segment)
	if p.Kind == config.FreeName {
		return unslashed(strings.TrimSuffix(name, ".git"))
	}
	if stem, _, ok := cutVerb(name); ok && stem != "" {
		return stem
	}
	if stem, ext := cutExtension(name); ext == ".json" || ext == ".xml" {
		return stem
	}
	return unslashed(name)
}

// unslashed writes a slash that was escaped because it belongs to the name: GitLab's API
// takes acme%2Fapp. Every other escape stays, so that nothing comes out of it but text.
func unslashed(s string) string {
	if !strings.Contains(s, "%2") {
		return s
	}
	return strings.NewReplacer("%2F", "/", "%2f", "/").Replace(s)
}

// fill puts the names into their places.
func fill(as string, names map[string]string) string {
	var b strings.Builder
	for {
		before, after, open := strings.Cut(as, "{")
		b.WriteString(before)
		if !open {
			return b.String()
		}
		name, rest, _ := strings.Cut(after, "}") // the catalogue's tests see to the braces
		b.WriteString(names[name])
		as = rest
	}
}

// firstName is the host and the path up to the first name that the template folds.
func firstName(host, path, template string) string {
	real, folded := strings.Split(path, "/"), strings.Split(template, "/")
	for i := range folded {
		if i >= len(real) || folded[i] == "**" {
			return ""
		}
		if !strings.Contains(folded[i], "*") {
			continue
		}
		end := i + 1
		for end < len(folded) && end < len(real) && folded[end] == "*" {
			end++
		}
		return host + strings.Join(real[:end], "/")
	}
	return ""
}
