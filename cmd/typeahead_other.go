//go:build !linux && !darwin

package cmd

import "os"

// dropTypedAhead does nothing here.
func dropTypedAhead(*os.File) {}
