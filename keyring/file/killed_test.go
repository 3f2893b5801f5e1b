package file

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
)

const killedSize = 256 << 10

// A process that is killed while it stores leaves the old value or the new one, whole, for
// whoever reads next, and no lock.
func TestKilledWhileWriting(t *testing.T) {
	if dir := os.Getenv("TEST_FILE_KILLED"); dir != "" {
		for i := 0; ; i++ {
			mustSet(t, storeIn(dir, passphrase), "one", strings.Repeat(string(rune('a'+i%26)), killedSize))
			fmt.Println("stored")
		}
	}
	dir := filepath.Join(t.TempDir(), "secrets")
	mustSet(t, storeIn(dir, passphrase), "one", strings.Repeat("a", killedSize))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		child := exec.Command(exe, "-test.run=^TestKilledWhileWriting$", "-test.count=1")
		child.Env = append(os.Environ(), "TEST_FILE_KILLED="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "stored\n" {
			t.Fatalf("the other process: %q, %v", line, err)
		}
		time.Sleep(time.Duration(round*3) * time.Millisecond) // at another moment each time
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()

		s := storeIn(dir, passphrase)
		item, err := s.Get(t.Context(), mustRef(t, "one"))
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		if v := item.Value.Reveal(); len(v) != killedSize || v != strings.Repeat(v[:1], killedSize) {
			t.Fatalf("after a kill the value has %d bytes of two writes", len(v))
		}
		if err := s.Set(t.Context(), fmt.Sprintf("next%d", round), keyring.Item{Value: keyring.NewSecret([]byte("v"))}); err != nil {
			t.Fatalf("the next process cannot write: %v", err)
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != round+2 {
			t.Fatalf("List: %d entries, %v; want %d", len(list), err, round+2)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
