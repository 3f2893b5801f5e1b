//go:build unix

package main

import (
	"os"
	"testing"

	"agentvault/cmd"
)

// BenchmarkStart is `agentvault run --ui off -- true` without the loading of the binary:
// make and remove a whole session around a child that does nothing.
func BenchmarkStart(b *testing.B) {
	home := b.TempDir()
	env := cmd.System()
	env.Environ = append(baseEnv(home), "XDG_RUNTIME_DIR=")
	env.LookupEnv = func(name string) (string, bool) {
		if name == "HOME" {
			return home, true
		}
		return "", false
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	env.Stdin, env.Stdout, env.Stderr = null, null, null
	for b.Loop() {
		if code := cmd.Main([]string{"agentvault", "run", "--ui", "off", "--", "true"}, env); code != 0 {
			b.Fatal(code)
		}
	}
}
