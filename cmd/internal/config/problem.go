package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxProblems is how many errors are reported at once: enough to mend a file in one go,
// few enough to stay on one screen.
const maxProblems = 10

// Problem is one error of a file.
type Problem struct {
	Pos  Pos
	Text string // without the position
	hint string
}

// Error is "file:line:column: text".
func (p *Problem) Error() string { return p.Pos.String() + ": " + p.Text }

// Hint says what to do; "" where nothing is known.
func (p *Problem) Hint() string { return p.hint }

// Problems are all errors of a configuration, in the order of the files, at most ten.
// Error is one line each. Hint is for callers that print a single one: it is the first.
type Problems []*Problem

// Error joins the lines.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Hint is the first hint.
func (p Problems) Hint() string {
	for _, one := range p {
		if one.hint != "" {
			return one.hint
		}
	}
	return ""
}

// Unwrap gives each problem by itself, so that each can be printed with its hint.
func (p Problems) Unwrap() []error {
	out := make([]error, len(p))
	for i, one := range p {
		out[i] = one
	}
	return out
}

// problems collects.
type problems struct{ list Problems }

func (p *problems) add(pos Pos, hint, format string, a ...any) {
	p.list = append(p.list, &Problem{pos, fmt.Sprintf(format, a...), hint})
}

// err is nil where nothing was collected.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	rank := map[string]int{} // files keep the order in which they were read
	for _, one := range p.list {
		if _, seen := rank[one.Pos.File]; !seen {
			rank[one.Pos.File] = len(rank)
		}
	}
	slices.SortStableFunc(p.list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(rank[a.Pos.File], rank[b.Pos.File]), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return p.list[:min(len(p.list), maxProblems)]
}

// hintOf returns the hint that an error carries.
func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}

// DidYouMean returns a hint naming the nearest legal word, or "".
func DidYouMean(word string, legal []string) string {
	best, bestDistance := "", 3 // two typing errors are the most that is a guess and no lottery
	for _, l := range legal {
		if d := distance(strings.ToLower(word), l); d < bestDistance && d < len(l) {
			best, bestDistance = l, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is Levenshtein's, with a swap of neighbours as one step. Words beyond 64
// bytes are no typing errors.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

// word quotes what may be quoted: a short word. Anything else may be a secret that was
// pasted into the wrong line.
func word(s string) string {
	if len(s) > 24 || strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) {
		return "value"
	}
	return fmt.Sprintf("%q", s)
}
