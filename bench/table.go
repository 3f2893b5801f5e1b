//go:build unix

package main

import "fmt"

// goal is what a row has to reach; the zero goal is none.
type goal struct {
	text  string
	limit float64
	least bool
}

func atMost(limit float64, of string) goal {
	return goal{text: fmt.Sprintf("<= %g%s", limit, of), limit: limit}
}

func atLeast(limit float64, of string) goal {
	return goal{text: fmt.Sprintf(">= %g%s", limit, of), limit: limit, least: true}
}

// ratioRow prints a line whose goal is about the ratio.
func (b *bench) ratioRow(what, direct, reference, agentvault string, ratio float64, g goal) {
	b.print(what, direct, reference, agentvault, fmt.Sprintf("%.2f", ratio), ratio, g)
}

// row prints a line whose goal is about agentvault's own value.
func (b *bench) row(what, direct, reference, agentvault string, value float64, g goal) {
	b.print(what, direct, reference, agentvault, "", value, g)
}

func (b *bench) print(what, direct, reference, agentvault, ratio string, value float64, g goal) {
	verdict := ""
	if g.text != "" {
		b.asked++
		verdict = "missed"
		if g.least && value >= g.limit || !g.least && value <= g.limit {
			b.met++
			verdict = "met"
		}
	}
	fmt.Printf("| %s | %s | %s | %s | %s | %s | %s |\n", what, direct, reference, agentvault, ratio, g.text, verdict)
}
