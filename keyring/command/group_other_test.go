//go:build !unix

package command

import "testing"

func gone(t *testing.T, _ int) { t.Helper(); t.Skip("only unix has process groups") }
