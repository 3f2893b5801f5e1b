package discover

import (
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/rule"
)

// Template gives the template of a path on a host: the path with its ids and names folded
// into "*", as the package's documentation says. The path is the escaped one, with or
// without a query; the host has no port. Template(h, Template(h, p)) is Template(h, p).
func Template(host, path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return "/"
	}
	f := folding{host: host, in: strings.Split(path, "/")}
	f.out = make([]string, 0, len(f.in))
	f.whole()
	for len(f.in) > 0 {
		f.step()
	}
	return "/" + strings.Join(f.out, "/")
}

// maxTemplates folded paths are remembered: agents repeat themselves.
const maxTemplates = 16_384

// Templates remembers the templates of paths, and what they name. The zero Templates is
// ready for use; it is not safe for concurrent use, and its memory is bounded.
type Templates struct {
	templates, resources map[pathKey]string
	reads                map[readKey]bool
	last                 pathKey // asked for several times in a row: once for each thing that a call is counted by
	lastTemplate         string
}

type readKey struct{ method, host, template string }

type pathKey struct{ host, path string }

// Of is Template(host, path).
func (t *Templates) Of(host, path string) string {
	if key := (pathKey{host, path}); key != t.last || t.lastTemplate == "" {
		t.last, t.lastTemplate = key, remembered(&t.templates, host, path, Template)
	}
	return t.lastTemplate
}

// Resource is what the path names, see Resource.
func (t *Templates) Resource(host, path string) string {
	return remembered(&t.resources, host, path, func(host, path string) string {
		return Resource(host, path, t.Of(host, path))
	})
}

// Reads reports whether a call changes nothing: GET, HEAD, OPTIONS, an operation whose name
// says so, and what the catalogue knows to read, such as a fetch of git, which is a POST.
func (t *Templates) Reads(method, host, path, operation string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	if readsByName(operation) {
		return true
	}
	key := readKey{method, host, t.Of(host, path)}
	if known, ok := t.reads[key]; ok {
		return known
	}
	reads := reading(method, host, key.template)
	if t.reads == nil {
		t.reads = make(map[readKey]bool)
	}
	if len(t.reads) < maxTemplates {
		t.reads[key] = reads
	}
	return reads
}

// reading asks the catalogue about one operation.
func reading(method, host, template string) bool {
	if strings.HasSuffix(template, "/git-upload-pack") { // on servers of one's own, too
		return true
	}
	e, ok := config.ForHost(host, rule.DefaultPort)
	if !ok || len(e.Read) == 0 {
		return false
	}
	var ops []rule.Op
	for _, text := range e.Read {
		if op, err := rule.ParseOp(text); err == nil {
			ops = append(ops, op)
		}
	}
	set, err := rule.New([]rule.Service{{Name: e.Name, Hosts: []rule.Host{{Name: host, Port: rule.AnyPort}}, Allow: ops}})
	if err != nil {
		return false
	}
	path := strings.ReplaceAll(strings.ReplaceAll(template, "**", "x"), "*", "x")
	return set.Match(host, rule.DefaultPort, method, path).Kind == rule.Covered
}

func remembered(seen *map[pathKey]string, host, path string, find func(host, path string) string) string {
	key := pathKey{host, path}
	if known, ok := (*seen)[key]; ok {
		return known
	}
	found := find(host, path)
	if *seen == nil {
		*seen = make(map[pathKey]string)
	}
	if len(*seen) < maxTemplates {
		(*seen)[key] = found
	}
	return found
}

// folding is one path on its way: in is what is left of it, out its template so far.
type folding struct {
	host    string
	in, out []string
}

// before gives the nth segment of the template from its end, 1 being the last.
func (f *folding) before(n int) string {
	if len(f.out) < n {
		return ""
	}
	return f.out[len(f.out)-n]
}

// emit moves the next n segments, as t says.
func (f *folding) emit(n int, t ...string) {
	f.in = f.in[n:]
	f.out = append(f.out, t...)
}

// whole applies the rules that look at the path from its start: 2 and 3.
func (f *folding) whole() {
	switch {
	case f.git(), f.registry():
		return
	}
	if l, ok := fits(catalogued().of(f.host), f.in); ok {
		f.fold(l)
	}
}

// step folds the next segment or segments: rules 4 to 7.
func (f *folding) step() {
	s := f.in[0]
	if s == "*" || s == "**" || s == "" {
		f.emit(1, s)
		return
	}
	switch n, free := f.names(); {
	case n == rest:
		f.emit(len(f.in), "**")
	case n > 0:
		for ; n > 0 && len(f.in) > 0; n-- {
			f.emit(1, foldName(f.in[0], free))
		}
	case isVersion(s, len(f.out), f.before(1)):
		f.emit(1, s)
	default:
		f.emit(1, foldID(s))
	}
}

// git folds the repository of a request of git's smart protocol or of Git LFS.
func (f *folding) git() bool {
	n := len(f.in)
	repo := 0
	switch last := f.in[n-1]; {
	case n > 2 && f.in[n-2] == "info" && last == "refs":
		repo = n - 2
	case n > 1 && (last == "git-upload-pack" || last == "git-receive-pack"):
		repo = n - 1
	default:
		for i := 1; i+1 < n; i++ {
			if f.in[i] == "info" && f.in[i+1] == "lfs" {
				repo = i
				break
			}
		}
	}
	for range repo {
		f.emit(1, "*")
	}
	if repo > 0 && len(f.in) <= 2 { // nothing behind it is an id
		f.emit(len(f.in), f.in...)
	}
	return repo > 0
}

// registry folds the name of an image in a request of the OCI distribution protocol.
func (f *folding) registry() bool {
	if f.in[0] != "v2" {
		return false
	}
	for i := len(f.in) - 1; i >= 2; i-- {
		switch f.in[i] {
		case "manifests", "referrers":
			if i != len(f.in)-2 {
				continue
			}
			f.emit(len(f.in), "v2", "**", f.in[i], "*")
			return true
		case "tags":
			if i != len(f.in)-2 || f.in[i+1] != "list" {
				continue
			}
			f.emit(len(f.in), "v2", "**", "tags", "list")
			return true
		case "blobs":
			if i == len(f.in)-1 {
				continue
			}
			f.emit(i+1, "v2", "**", "blobs")
			if f.in[0] == "uploads" {
				f.emit(1, "uploads")
			}
			if len(f.in) == 1 && f.in[0] != "" {
				f.emit(1, "*")
			}
			return true
		}
	}
	return false
}
