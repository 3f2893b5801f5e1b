// Sentinel runs `go test` and searches every byte that the tests wrote for a secret:
//
//	go run ./.ci/sentinel ./...
//
// Each secret of a test holds the marker "s3cret", so whatever holds it is a secret. Searched
// are what the test programs print, with -v and whether they pass or not, and every file that
// is in a test's temporary folder when the test ends, or left in TMPDIR: a copy of package
// testing that is made for the run moves those folders aside instead of removing them. Found
// are the marker itself and how it is spelled in base64, in hex, and escaped for a URL or for
// JSON, in compressed files too. What tests write themselves, as a user would, is named in
// fixtures.txt.
//
// The arguments are those of go test. The exit status is that of go test, or 1 where a
// secret was found; each is told with its file and offset, and the files are kept.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sentinel:", err)
		status = 125
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	allowed, err := fixtures(".ci/sentinel/fixtures.txt")
	if err != nil {
		return 0, err
	}
	root, err := os.MkdirTemp(shortTemp(), "av-")
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"tmp", kept, "out", "build"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			return 0, err
		}
	}
	overlay, err := keepFolders(filepath.Join(root, "build"))
	if err != nil {
		return 0, err
	}
	// The tests on terminals take two minutes on an idle machine, and may take far longer than go
	// test's ten minutes on a busy one.
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1", "-timeout=30m", "-overlay=" + overlay}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(root, "tmp"), keepVariable+"="+filepath.Join(root, kept), "GOTMPDIR=") // which would win over TMPDIR
	failed, err := show(cmd, filepath.Join(root, "out"))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_ = os.RemoveAll(filepath.Join(root, "build"))
	found, files, size := search(root, allowed)
	fmt.Printf("searched %d files with %d MiB in %.1f s: %d hold a secret\n", files, size>>20, time.Since(began).Seconds(), len(found))
	for _, f := range found {
		fmt.Println(f)
	}
	switch {
	case len(found) > 0:
		fmt.Println("the files are kept; a fixture that a test writes itself belongs into .ci/sentinel/fixtures.txt")
		return 1, nil
	case failed:
		status = 1
	}
	if err := os.RemoveAll(root); err != nil { // a process that a test has left behind may still write
		fmt.Fprintln(os.Stderr, "sentinel:", err)
	}
	return status, nil
}

// shortTemp is the folder for temporary files, or /tmp where its path is long: tests have sockets
// below it, and a socket's path has 104 bytes at most.
func shortTemp() string {
	dir := os.TempDir()
	if info, err := os.Stat("/tmp"); len(dir) > 30 && err == nil && info.IsDir() {
		return "/tmp"
	}
	return dir
}

// fixtures reads the patterns of what tests write themselves. A # begins a comment.
func fixtures(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			patterns = append(patterns, line)
		}
	}
	return patterns, nil
}
