// Package quiet keeps a program that links Bubble Tea silent when it starts.
//
// Bubble Tea v1 asks lipgloss for the terminal's background in a package init. That
// writes OSC 11 and CSI 6n to the terminal and waits five seconds where nothing
// answers: at every start of the binary, in every subcommand. Once lipgloss has been
// told the answer it never asks.
//
// The order is what makes this work. The language specification initialises packages
// sorted by import path, each as soon as all that it imports is initialised. This
// package imports lipgloss alone, and "agentvault/tui/quiet" sorts before
// "github.com/charmbracelet/bubbletea": so it is ready at the latest when Bubble Tea is,
// and goes first. It must therefore import nothing that Bubble Tea does not, and keep a
// path that sorts before "github.com". The test runs a binary under a terminal that
// never answers and fails when a single byte of the query is written.
//
// The answer itself is unused: the views take their colours from the terminal's own
// sixteen, which suit light and dark alike.
package quiet

import "github.com/charmbracelet/lipgloss"

// An init is what the style guide forbids, and the only thing that runs before another
// package's init.
func init() { lipgloss.SetHasDarkBackground(true) }
