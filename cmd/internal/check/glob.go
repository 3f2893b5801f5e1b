package check

import (
	"net/url"
	"slices"
	"strings"
)

// glob is a path pattern of the rules as a finite automaton, so that two patterns can be
// compared for all paths at once. The patterns were parsed by package rule already.
type glob []token

// token is one byte, or one of the kinds below. They lie outside of what a byte can be.
type token int

const (
	slashInSegment token = 256 + iota // %2F, which is not a separator
	one                               // any byte of a segment
	some                              // any number of such bytes
	segments                          // any number of whole segments, each behind its slash
)

// maxPairs bounds a comparison. Patterns of a page's width stay far below; beyond it
// nothing is claimed.
const maxPairs = 20000

// parseGlob reads `/repos/*/x` or `/v1/**`; fold ignores the case of ASCII letters.
func parseGlob(pattern string, fold bool) glob {
	if fold {
		pattern = strings.ToLower(pattern)
	}
	var g glob
	for segment := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		switch segment {
		case "":
		case "**":
			g = append(g, segments)
		case "*":
			g = append(g, '/', one, some)
		default:
			g = append(g, '/')
			for i, part := range strings.Split(segment, "*") {
				if i > 0 {
					g = append(g, some)
				}
				g = append(g, literal(part)...)
			}
		}
	}
	return g
}

func literal(part string) (out glob) {
	text, err := url.PathUnescape(part)
	if err != nil {
		text = part
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '/' {
			out = append(out, slashInSegment)
			continue
		}
		out = append(out, token(text[i]))
	}
	return out
}

// A state is an index into the glob, times three: for segments, +1 is behind the slash
// and +2 inside a segment. states are sorted.
type states []int

func (g glob) start() states { return g.closed(states{0}) }

// closed adds what can be reached without reading.
func (g glob) closed(s states) states {
	for i := 0; i < len(s); i++ {
		at, inside := s[i]/3, s[i]%3
		add := func(n int) {
			if !slices.Contains(s, n) {
				s = append(s, n)
			}
		}
		switch {
		case inside == 2:
			add(at * 3)
		case inside == 0 && at < len(g) && (g[at] == some || g[at] == segments):
			add((at + 1) * 3)
		}
	}
	slices.Sort(s)
	return s
}

// step reads one token, a byte or slashInSegment.
func (g glob) step(from states, t token) states {
	var out states
	for _, n := range from {
		at := n / 3
		switch {
		case n%3 > 0:
			if t != '/' {
				out = append(out, at*3+2)
			}
		case at == len(g):
		case g[at] == segments:
			if t == '/' {
				out = append(out, n+1)
			}
		case g[at] == some && t != '/':
			out = append(out, n)
		case g[at] == one && t != '/' || g[at] == t:
			out = append(out, n+3)
		}
	}
	slices.Sort(out)
	return g.closed(slices.Compact(out))
}

func (g glob) accepts(s states) bool { return slices.Contains(s, len(g)*3) }

// overlaps reports whether some path matches both.
func overlaps(a, b glob) bool {
	return explore([]glob{a, b}, func(accept []bool) bool { return accept[0] && accept[1] })
}

// covered reports whether every path that a matches is matched by one of others.
func covered(a glob, others []glob) bool {
	if len(others) == 0 {
		return false
	}
	return !explore(append([]glob{a}, others...), func(accept []bool) bool {
		return accept[0] && !slices.Contains(accept[1:], true)
	})
}

// explore walks the globs side by side over all paths that the first can match, until
// found says so. It says so itself where there is too much to walk: the callers then
// claim nothing.
func explore(globs []glob, found func(accept []bool) bool) bool {
	type place []states
	key := func(p place) string {
		var b strings.Builder
		for _, s := range p {
			for _, n := range s {
				b.WriteRune(rune(n + 1))
			}
			b.WriteByte(0)
		}
		return b.String()
	}
	letters := alphabet(globs)
	first := make(place, len(globs))
	for i, g := range globs {
		first[i] = g.start()
	}
	seen := map[string]bool{key(first): true}
	for queue := []place{first}; len(queue) > 0; queue = queue[1:] {
		accept := make([]bool, len(globs))
		for i, g := range globs {
			accept[i] = g.accepts(queue[0][i])
		}
		if len(seen) > maxPairs || found(accept) {
			return true
		}
		for _, t := range letters {
			next := make(place, len(globs))
			for i, g := range globs {
				next[i] = g.step(queue[0][i], t)
			}
			if k := key(next); len(next[0]) > 0 && !seen[k] {
				seen[k] = true
				queue = append(queue, next)
			}
		}
	}
	return false
}

// alphabet is every token that a glob tells apart, and one that none names.
func alphabet(globs []glob) []token {
	out := []token{'/', slashInSegment}
	for _, g := range globs {
		for _, t := range g {
			if t <= slashInSegment && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	for t := token(1); ; t++ {
		if !slices.Contains(out, t) {
			return append(out, t)
		}
	}
}
