//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"agentvault/proxy/scrub"
)

// marker is what every secret of a test holds, and whatever holds it is a secret (see
// .ci/sentinel).
const marker = "s3cret"

// sentinels are what the scripts use, long enough to be found in every spelling.
func sentinels() []string {
	return []string{"s3cret-sentinel", "s3cretSentinel", "s3cret-machine", "s3cret-access", "s3cretsentinel"}
}

// holdsSentinel looks for one in any spelling: as it is, in base64 at any offset, in hex,
// escaped for a URL or for JSON.
var holdsSentinel = sync.OnceValue(func() func([]byte) bool {
	var secrets []scrub.Secret
	for _, s := range sentinels() {
		secrets = append(secrets, scrub.Secret{Value: s, Mask: "-"})
	}
	spelled := scrub.New(secrets)
	escaped := regexp.MustCompile(`(?:%|\\x|\\u00)[0-9A-Fa-f]{2}`)
	return func(b []byte) bool {
		b = escaped.ReplaceAllFunc(b, func(e []byte) []byte {
			n, _ := strconv.ParseUint(string(e[len(e)-2:]), 16, 8)
			return []byte{byte(n)}
		})
		return bytes.Contains(bytes.ToLower(b), []byte(marker)) || spelled.Find(b)
	}
})

// scriptT is what a script runs under: it keeps everything that any command of the script
// has printed, and fails the script where a secret is among it, or in a file that the
// script did not come with.
type scriptT struct {
	*testing.T
	found []string // by the end of the script: files, processes
	log   strings.Builder
}

// Verbose has testscript keep what good commands have printed.
func (t *scriptT) Verbose() bool { return true }

// Log keeps the transcript; it is shown where it is needed.
func (t *scriptT) Log(args ...any) { fmt.Fprintln(&t.log, args...) }

// Run runs one script.
func (t *scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) {
		s := &scriptT{T: t}
		defer func() {
			for _, what := range s.found {
				t.Errorf("a secret stands in %s", what)
			}
			for _, line := range printed(s.log.String()) {
				if holdsSentinel()([]byte(line)) {
					t.Errorf("a secret was printed: %s", line)
				}
			}
			// Its own lines hold secrets: where all that tests write is searched, they stay out.
			if t.Failed() || testing.Verbose() && os.Getenv("AGENTVAULT_TEST_KEEP") == "" {
				t.Log(s.log.String())
			}
		}()
		f(s)
	})
}

// printed are the lines of a transcript that commands have printed: not the environment at
// its top, and not the lines of the script.
func printed(transcript string) []string {
	var lines []string
	begun := false
	for line := range strings.Lines(transcript) {
		ours := strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "[background]") || strings.HasPrefix(line, "FAIL: ")
		if begun = begun || ours; begun && !ours {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

// search is the end of a script: the files below its folder are searched, but for those
// that it came with and those that it said may hold a secret.
func search(dir string, came map[string]bool, may []string) (found []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || came[path] {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		if strings.HasPrefix(name, leftWord) {
			return nil
		}
		if slices.ContainsFunc(may, func(glob string) bool { ok, _ := filepath.Match(glob, filepath.ToSlash(name)); return ok }) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && (holdsSentinel()(b) || holdsSentinel()([]byte(name))) {
			found = append(found, name)
		}
		return nil
	})
	return found
}

// filesIn are the files below a folder.
func filesIn(dir string) map[string]bool {
	files := make(map[string]bool)
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path] = true
		}
		return nil
	})
	return files
}

// mayHold FILE...: these files, by pattern, may hold a secret: the human wrote them. So may
// the agent's "environment", where the human had it handed on.
func mayHold(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(worldKey{}).(*world)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.may = append(w.may, args...)
}

// lookAround is what the stand-in agent does first: it searches its own environment, its
// arguments, those of agentvault and every file of the session for a secret, as an agent
// could, and leaves word where it finds one.
func lookAround() {
	work := os.Getenv("AV_WORK")
	if work == "" {
		return
	}
	var found []string
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); holdsSentinel()([]byte(value)) {
			found = append(found, "the agent's environment, "+name)
		}
	}
	for _, pid := range []string{"self", fmt.Sprint(os.Getppid())} {
		if b, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline")); err == nil && holdsSentinel()(b) {
			found = append(found, "arguments of a process: "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	for _, name := range search(os.Getenv("XDG_RUNTIME_DIR"), nil, nil) {
		found = append(found, "a file of the running session, "+name)
	}
	if len(found) > 0 {
		_ = os.WriteFile(filepath.Join(work, fmt.Sprintf("%s%d", leftWord, os.Getpid())), []byte(strings.Join(found, "\n")), 0o600)
	}
}

// leftWord begins the names of the files that agents leave word in.
const leftWord = "seen-by-the-agent-"

// seenByAgents reads what agents left word of.
func seenByAgents(dir string, may []string) (found []string) {
	files, _ := filepath.Glob(filepath.Join(dir, leftWord+"*"))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for what := range strings.SplitSeq(string(b), "\n") {
			if !strings.HasPrefix(what, "the agent's environment") || !slices.Contains(may, "environment") {
				found = append(found, what)
			}
		}
	}
	return found
}

// The search itself: a harness that finds nothing would pass everything.
func TestSentinelSearch(t *testing.T) {
	dir := t.TempDir()
	came := filepath.Join(dir, "came.env")
	write(t, came, "KEY="+secretValue)
	for name, text := range map[string]string{
		"raw": "x " + secretValue, "base64": "eCBzM2NyZXQtc2VudGluZWwtMDEyMzQ1Njc4OQ==", "offset": "eHggczNjcmV0LXNlbnRpbmVsLTAxMjM0NTY3ODk=",
		"hex": "7333637265742d73656e74696e656c2d30313233343536373839", "url": "s3cret%2Dsentinel%2D0123456789", "json": `s3cret\u002dsentinel-0123456789`,
		"capitals": strings.ToUpper(secretValue), "clean": "s3cr3t-sentin3l", "may": secretValue,
	} {
		write(t, filepath.Join(dir, name), text)
	}
	got := search(dir, map[string]bool{came: true}, []string{"ma*"})
	slices.Sort(got)
	if want := []string{"base64", "capitals", "hex", "json", "offset", "raw", "url"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	transcript := "HOME=s3cret-sentinel\n# a comment s3cret-sentinel\n> exec x s3cret-sentinel\n[stdout]\nout s3cret-sentinel\n[stderr]\nerr\nFAIL: s3cret-sentinel\n"
	if lines := printed(transcript); !slices.Equal(lines, []string{"[stdout]", "out s3cret-sentinel", "[stderr]", "err"}) {
		t.Errorf("printed %q", lines)
	}
}
