package discover

import (
	"slices"
	"strings"
	"sync"

	"agentvault/cmd/internal/config"
)

// atlas holds the catalogue's resources by host: what its rows say of paths is the only
// thing that is known here of single providers.
type atlas struct {
	exact map[string][]config.Resource
	// wild are those with a name or a "*" in the host, by the host's end where that is the
	// same for all that fit, else by "".
	wild map[string][]config.Resource
}

var catalogued = sync.OnceValue(func() atlas {
	k := atlas{exact: map[string][]config.Resource{}, wild: map[string][]config.Resource{}}
	for _, r := range config.Resources() {
		if host, ok := literalHost(r.Host); ok {
			k.exact[host] = append(k.exact[host], r)
		} else {
			end := ""
			if n := len(r.Host); n > 2 {
				end, _ = literalHost(r.Host[n-2:])
			}
			k.wild[end] = append(k.wild[end], r)
		}
	}
	return k
})

// hostEnd is the last two labels of a host of more.
func hostEnd(host string) string {
	if i := strings.LastIndexByte(host, '.'); i > 0 {
		if j := strings.LastIndexByte(host[:i], '.'); j >= 0 {
			return host[j+1:]
		}
	}
	return ""
}

func literalHost(labels []config.Part) (string, bool) {
	var b strings.Builder
	for i, p := range labels {
		if p.Kind != config.Literal {
			return "", false
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.Before)
	}
	return b.String(), true
}

// of returns the lines that are about the host, in their order.
func (k atlas) of(host string) []config.Resource {
	if exact, ok := k.exact[host]; ok {
		return exact
	}
	candidates := k.wild[hostEnd(host)]
	if rest := k.wild[""]; len(rest) > 0 && len(candidates) > 0 {
		candidates = slices.Concat(candidates, rest)
	} else if len(rest) > 0 {
		candidates = rest
	}
	if len(candidates) == 0 {
		return nil
	}
	var out []config.Resource
	labels := strings.Split(host, ".")
	for _, r := range candidates {
		if fitsHost(r.Host, labels) {
			out = append(out, r)
		}
	}
	return out
}

func fitsHost(parts []config.Part, labels []string) bool {
	if len(parts) != len(labels) {
		return false
	}
	for i := len(parts) - 1; i >= 0; i-- { // the ends of hosts differ most
		if _, ok := parts[i].Fits(labels[i]); !ok {
			return false
		}
	}
	return true
}

// fit is a line on a path: the segments that each part of it takes.
type fit struct {
	line  *config.Resource
	takes []int
}

// fits finds the first line that the path begins with.
func fits(lines []config.Resource, path []string) (fit, bool) {
	for i := range lines {
		if f, ok := fitLine(&lines[i], path); ok {
			return f, true
		}
	}
	return fit{}, false
}

func fitLine(line *config.Resource, path []string) (fit, bool) {
	f := fit{line: line}
	at := 0
	for i, p := range line.Path {
		n := 1
		switch {
		case at >= len(path):
			return f, false
		case p.Kind == config.RestName:
			if n = restUntil(line.Path[i+1:], path[at:]); n == 0 || path[at] == "" {
				return f, false
			}
		case !fitsSegment(p, line, i, path[at], path[:at]):
			return f, false
		}
		f.takes = append(f.takes, n)
		at += n
	}
	return f, true
}

// restUntil says how many segments stand before the last place where the following parts
// fit: an image may be called "tags". 0 is none.
func restUntil(following []config.Part, path []string) int {
	if len(following) == 0 {
		return len(path)
	}
	for n := len(path) - len(following); n > 0; n-- {
		if _, ok := following[0].Fits(path[n]); ok {
			return n
		}
	}
	return 0
}

func fitsSegment(p config.Part, line *config.Resource, i int, s string, before []string) bool {
	name, ok := p.Fits(s)
	if !ok || p.Kind == config.Literal || p.Kind == config.Any {
		return ok
	}
	if i == 0 {
		for _, page := range line.Pages {
			if s == page {
				return false
			}
		}
	}
	return p.Kind == config.FreeName || i == 0 || len(before) == 0 || !operation(before[len(before)-1], name)
}

// fold folds along the line.
func (f *folding) fold(l fit) {
	for i, p := range l.line.Path {
		switch n := l.takes[i]; {
		case p.Kind == config.RestName:
			f.emit(n, "**")
		case p.Kind == config.Literal || p.Kind == config.Any:
			f.emit(n, f.in[0])
		case p.Before != "":
			f.emit(n, p.Before+"*")
		default:
			f.emit(n, foldName(f.in[0], p.Kind == config.FreeName))
		}
	}
}
