//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Who ends the question for the passphrase does not want to start: no other secret asks again.
func TestPassphraseIsInterruptedOnce(t *testing.T) {
	s := newAskScreen(t, "echo the agent ran\n")
	service := func(name string) string {
		return "[service." + name + "]\nhost = \"" + name + ".example.test\"\nauth = \"bearer\"\nsecret = \"file:" + name + "\"\n"
	}
	write(t, filepath.Join(s.dir, "two.toml"), service("a")+service("b"))
	write(t, filepath.Join(s.dir, "pass"), "correct horse battery staple\n")
	write(t, filepath.Join(s.dir, "start"), `for n in a b; do
printf value-of-$n-0123456789 | agentvault secret set --file --host $n.example.test --passphrase-fd 3 $n 3<pass || exit
done
exec agentvault run --ui off --config two.toml -- ./agent
`)
	s.keys("sh start", "Enter")
	s.until("agentvault: passphrase of the secret store:")
	s.keys("C-c")
	now := s.over("agentvault: interrupted")
	if n := strings.Count(now, "passphrase of the secret store"); n != 1 || strings.Contains(now, "the agent ran") {
		t.Errorf("asked %d times:\n%s", n, now)
	}
	s.restored()
}
