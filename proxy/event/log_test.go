package event

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// written makes a closed log of n events and gives its path.
func written(t *testing.T, n int) string {
	t.Helper()
	return inParts(t, n, PartSize)
}

// inParts makes a closed log of n events in parts of some size and gives its path.
func inParts(t *testing.T, n int, size int64) string {
	t.Helper()
	l, err := OpenLog(filepath.Join(t.TempDir(), "state", "sessions"), "s1")
	if err != nil {
		t.Fatal(err)
	}
	l.SetPart(size, nil)
	for i := range n {
		e := full()
		e.Call, e.Lost = uint64(i+1), 0
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Path()
}

func TestLogModesAndNames(t *testing.T) {
	path := written(t, 1)
	if filepath.Base(path) != "s1.jsonl" {
		t.Errorf("Path() = %q", path)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{path: 0o600, headPath(path): 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v, want mode %v", name, info.Mode(), err, want)
			}
		}
	}
	if _, err := OpenLog(filepath.Dir(path), "s1"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second log for one session: %v, want fs.ErrExist", err)
	}
	for _, id := range []string{"", ".", "..", ".hidden", "a/b", `a\b`, "../x"} {
		if _, err := OpenLog(t.TempDir(), id); err == nil {
			t.Errorf("OpenLog accepts the session id %q", id)
		}
	}
}

func TestLogClosesAnOpenFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(dir, "s1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, want 0700", info.Mode().Perm())
	}
}

func TestLogManyWriters(t *testing.T) {
	l, err := OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := full()
				e.Call = uint64(w*each + i)
				if err := l.Append(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := VerifyLog(l.Path(), Known{}); err != nil {
		t.Error(err)
	}
	seen := make(map[uint64]bool)
	for e, err := range ReadLog(l.Path()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Call] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d calls in the log, want %d", len(seen), writers*each)
	}
}

func TestLogClosed(t *testing.T) {
	l, err := OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(full()); !errors.Is(err, fs.ErrClosed) || l.Lost() != 1 {
		t.Errorf("Append to a closed log: %v, %d lost, want fs.ErrClosed and 1", err, l.Lost())
	}
}

// The file is swapped for one that cannot be written to, as a full disk would answer.
func TestLogSurvivesAFullDisk(t *testing.T) {
	l, err := OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	e := full()
	if err := l.Append(e); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full")
	}
	disk := l.file
	l.file = full
	for range 2 {
		if err := l.Append(e); err == nil {
			t.Fatal("no error from a full disk")
		}
	}
	full.Close()
	l.file = disk
	if err := l.Append(e); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil || l.Lost() != 2 {
		t.Errorf("%v, %d lost, want 2", err, l.Lost())
	}
	var lost []uint64
	for e, err := range ReadLog(l.Path()) {
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, e.Lost)
	}
	if len(lost) != 2 || lost[0] != 0 || lost[1] != 2 {
		t.Errorf("lost members %v, want 0 and 2", lost)
	}
	if err := VerifyLog(l.Path(), Known{}); err != nil {
		t.Error(err)
	}
}

// Half a line that cannot be taken back stands on a line of its own.
func TestLogTornInTheMiddle(t *testing.T) {
	l, err := OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.file.WriteString(`{"prev":"half`); err != nil {
		t.Fatal(err)
	}
	l.torn = true
	if err := errors.Join(l.Append(full()), l.Close()); err != nil {
		t.Fatal(err)
	}
	events, bad := 0, 0
	for _, err := range ReadLog(l.Path()) {
		if err != nil {
			bad++
		} else {
			events++
		}
	}
	if events != 1 || bad != 1 {
		t.Errorf("%d events, %d bad lines, want 1 and 1", events, bad)
	}
}

func TestReadLog(t *testing.T) {
	path := written(t, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	long := []byte(`{"phase":"note","session":"` + strings.Repeat("y", 1<<20) + `"}` + "\n")
	for _, tt := range []struct {
		name   string
		text   []byte
		events int
		errors []string // in the order in which they come
	}{
		{"whole", whole, 3, nil},
		{"empty", nil, 0, nil},
		{"torn", whole[:len(whole)-1], 2, []string{":3: the last line is not complete"}},
		{"rubbish between", bytes.Replace(whole, []byte("\n"), []byte("\nrubbish\n\n"), 1), 3, []string{":2: not an event"}},
		{"a line longer than the buffer", append(long, whole...), 4, nil},
	} {
		p := filepath.Join(t.TempDir(), "x.jsonl")
		if err := os.WriteFile(p, tt.text, 0o600); err != nil {
			t.Fatal(err)
		}
		events := 0
		var errs []string
		for _, err := range ReadLog(p) {
			if err != nil {
				errs = append(errs, err.Error())
			} else {
				events++
			}
		}
		if events != tt.events || len(errs) != len(tt.errors) {
			t.Errorf("%s: %d events, errors %q, want %d and %q", tt.name, events, errs, tt.events, tt.errors)
			continue
		}
		for i, want := range tt.errors {
			if !strings.Contains(errs[i], want) {
				t.Errorf("%s: %q, want %q", tt.name, errs[i], want)
			}
		}
	}
	for _, err := range ReadLog(filepath.Join(t.TempDir(), "none")) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing log: %v", err)
		}
	}
}

func TestVerifyLog(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(lines [][]byte) [][]byte
		want string // "" for none
	}{
		{"untouched", func(l [][]byte) [][]byte { return l }, ""},
		{"first line edited", func(l [][]byte) [][]byte { return edited(l, 0) }, ":1: it was changed"},
		{"middle line edited", func(l [][]byte) [][]byte { return edited(l, 2) }, ":3: it was changed"},
		{"last line edited", func(l [][]byte) [][]byte { return edited(l, 4) }, ":5: the last line was changed"},
		{"first line removed", func(l [][]byte) [][]byte { return l[1:] }, ":1: lines before it were removed"},
		{"third line removed", func(l [][]byte) [][]byte { return append(l[:2:2], l[3:]...) }, ":2: it was changed, or a line behind it was removed"},
		{"last line removed", func(l [][]byte) [][]byte { return l[:4] }, "5 lines, of which 4 are left"},
		{"two swapped", func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }, ":1: it was changed, or a line"},
		{"a line added", func(l [][]byte) [][]byte { return append(l, l[4]) }, ":5: it was changed"},
		{"rubbish", func(l [][]byte) [][]byte { l[3] = []byte("{}\n"); return l }, ":4: the line carries no hash"},
	} {
		path := written(t, 5)
		text, _ := os.ReadFile(path)
		lines := tt.edit(bytes.SplitAfter(bytes.TrimSuffix(text, nil), []byte("\n"))[:5])
		if err := os.WriteFile(path, bytes.Join(lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		err := VerifyLog(path, Known{})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func edited(lines [][]byte, i int) [][]byte {
	lines[i] = bytes.Replace(lines[i], []byte(`"POST"`), []byte(`"GET"`), 1)
	return lines
}

func TestVerifyLogWithoutHead(t *testing.T) {
	path := written(t, 2)
	if err := os.Remove(headPath(path)); err != nil {
		t.Fatal(err)
	}
	if err := VerifyLog(path, Known{}); !errors.Is(err, ErrNoHead) {
		t.Errorf("got %v, want ErrNoHead", err)
	}
	if err := os.WriteFile(headPath(path), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := VerifyLog(path, Known{}); err == nil || !strings.Contains(err.Error(), "not a head") {
		t.Errorf("got %v, want a complaint about the head", err)
	}
}

func BenchmarkLogAppend(b *testing.B) {
	l, err := OpenLog(b.TempDir(), "s1")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := full()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(e); err != nil {
			b.Fatal(err)
		}
	}
}
