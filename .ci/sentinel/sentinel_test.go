package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secret is none: the marker is put together, so that this program does not find its tests.
func secret() string { return "s3" + "cret-value-0123456789" }

// Every spelling of a secret is found where it stands, and nothing else is.
func TestSpellings(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("xx" + secret()))
	_ = z.Close()
	for _, c := range []struct {
		name, text string
		at         int64 // -1: not found
	}{
		{"as it is", "xx" + secret(), 2},
		{"capitals", strings.ToUpper("xx" + secret()), 2},
		{"across a chunk", strings.Repeat("x", chunk+overlap-3) + secret(), chunk + overlap - 3},
		{"in a later chunk", strings.Repeat("x", 3*chunk) + secret(), 3 * chunk},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret())), 0},
		{"base64 at an offset", base64.StdEncoding.EncodeToString([]byte("user:" + secret())), 7},
		{"base64 at another", base64.RawURLEncoding.EncodeToString([]byte("x" + secret())), 2},
		{"hex", hex.EncodeToString([]byte(secret())), 0},
		{"hex in capitals", strings.ToUpper(hex.EncodeToString([]byte(secret()))), 0},
		{"escaped for a URL", "a=%73%33%63%72%65%74", 2},
		{"partly escaped", "a=s%33cret", 2},
		{"escaped for JSON", `"\u00733cret"`, 1},
		{"escaped by Go", `"\x733cret"`, 1},
		{"compressed", zipped.String(), 2},
		{"none", "a secret, s3cre, c3Rhbmdl, 733363, %73%33, \\u0073", -1},
		{"binary", "\xff\xfe\x00\x80", -1},
		{"empty", "", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "file"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			found, files, _ := search(dir, nil)
			if files != 1 || len(found) > 0 != (c.at >= 0) || len(found) > 0 && found[0].offset != c.at {
				t.Errorf("%d files, found %v, want the offset %d", files, found, c.at)
			}
		})
	}
}

// A name can hold a secret as well; fixtures and programs are left out.
func TestSearchedFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"out/x_" + secret() + ".txt": "", "kept/TestA1/001/.env": secret(), "kept/TestA1/001/other": secret(), "kept/TestB1/001/home/deep/file": secret(),
		"kept/TestC1/001/program": "\x7fELF" + secret(), "tmp/.env": secret(),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, _, _ := search(dir, []string{"TestA*/001/.env", "TestB*/001/**"})
	var names []string
	for _, f := range found {
		names = append(names, f.file)
	}
	if want := []string{"kept/TestA1/001/other", "out/x_" + secret() + ".txt", "tmp/.env"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}
}

// leaks is a module whose tests leak in every way there is, and pass but for one.
var leaks = map[string]string{
	"go.mod":       "module leaks\n\ngo 1.24\n",
	"ok/a_test.go": "package ok\n\nimport \"testing\"\n\nfunc TestFine(t *testing.T) { t.Log(\"nothing\") }\n",
	"bad/a_test.go": `package bad

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var value = os.Getenv("LEAKED")

func TestLog(t *testing.T)    { t.Log(value) }
func TestOutput(t *testing.T) { cmd := exec.Command("echo", base64.StdEncoding.EncodeToString([]byte(value))); cmd.Stdout = os.Stdout; _ = cmd.Run() }
func TestFile(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		dir := t.TempDir()
		_ = os.Mkdir(filepath.Join(dir, "logs"), 0o700)
		_ = os.WriteFile(filepath.Join(dir, "logs", "log.jsonl"), []byte("{}\n"+value), 0o600)
		_ = os.WriteFile(filepath.Join(dir, "fixture"), []byte(value), 0o600)
	})
}
func TestLeftover(t *testing.T) { _ = os.WriteFile(filepath.Join(os.TempDir(), "left"), []byte(value), 0o600) }
`,
	"crash/a_test.go":           "package crash\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestPanic(t *testing.T) { panic(os.Getenv(\"LEAKED\")) }\n",
	".ci/sentinel/fixtures.txt": "TestFile*/001/fixture # the user's\n",
}

// The whole way: what planted tests leak is found, with file and offset, in what they print,
// in a panic, in a folder that is gone when the test has ended, and in what they leave.
func TestPlantedLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs go test")
	}
	dir := t.TempDir()
	for name, text := range leaks {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "sentinel")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(pkg string) (out string, status int) {
		cmd := exec.Command(program, pkg)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LEAKED="+secret(), "GOFLAGS=", keepVariable+"=")
		text, err := cmd.CombinedOutput()
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			t.Fatal(err)
		}
		if kept := regexp.MustCompile(`\((\S*av-\d+)/`).FindSubmatch(text); kept != nil {
			t.Cleanup(func() { _ = os.RemoveAll(string(kept[1])) })
		}
		return string(text), cmd.ProcessState.ExitCode()
	}
	for pkg, want := range map[string]struct {
		found  []string
		status int
	}{
		"./ok":    {nil, 0},
		"./bad":   {[]string{`kept/TestFilesub\d+/001/logs/log\.jsonl: offset 3:`, `out/leaks_bad\.txt: offset \d+:`, `tmp/left: offset 0:`}, 1},
		"./crash": {[]string{`out/leaks_crash\.txt: offset \d+:`}, 1},
	} {
		out, status := run(pkg)
		told := regexp.MustCompile(`(?m)^\S+: offset .*$`).FindAllString(out, -1)
		if status != want.status || len(told) != len(want.found) {
			t.Errorf("%s: status %d, told %q, want %q:\n%s", pkg, status, told, want.found, strings.ReplaceAll(out, secret(), "‹it›"))
			continue
		}
		for i, pattern := range want.found {
			if !regexp.MustCompile("^" + pattern).MatchString(told[i]) {
				t.Errorf("%s: told %q, want %q", pkg, told[i], pattern)
			}
		}
	}
}

// A secret of a test that lacks the marker is one that this program would not find.
func TestSecretsHoldTheMarker(t *testing.T) {
	literal := regexp.MustCompile("(?:NewSecret\\(\\[\\]byte|valued|fixed)\\(\"([^\"]{8,})\"")
	root := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checked++
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(strings.ToLower(m[1]), marker) {
				t.Errorf("%s: the secret %q lacks %q", path, m[1], marker)
			}
		}
		return nil
	})
	if err != nil || checked < 100 {
		t.Errorf("%d files, %v", checked, err)
	}
}
