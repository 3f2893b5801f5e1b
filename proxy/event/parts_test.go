package event

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPartNames(t *testing.T) {
	for _, tt := range []struct {
		path, name string
		n          int
	}{
		{"/x/s1.jsonl", "s1.jsonl", 1}, {"/x/s1.jsonl", "s1.2.jsonl", 2}, {"/x/s1.jsonl", "s1.12.jsonl", 12}, {"/x/s.1.jsonl", "s.1.jsonl", 1}, {"/x/s.02.jsonl", "s.02.jsonl", 1},
	} {
		if got := PartPath(tt.path, tt.n); filepath.Base(got) != tt.name {
			t.Errorf("PartPath(%q, %d) = %q, want %q", tt.path, tt.n, got, tt.name)
		}
		if first, n := CutPart(tt.name); first != filepath.Base(tt.path) || n != tt.n {
			t.Errorf("CutPart(%q) = %q, %d", tt.name, first, n)
		}
	}
	if got := PartPath("/x/log.txt", 3); got != "/x/log.txt.3" {
		t.Errorf("got %q", got)
	}
}

// Nothing is lost where one part ends and the next begins, whoever writes and reads at the time.
func TestLogParts(t *testing.T) {
	for _, name := range []string{"s1.jsonl", "log of mine"} {
		l, err := CreateLog(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		begun := 0
		l.SetPart(20_000, func() { begun++ })
		const writers, each = 4, 500
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					e := full()
					e.Call, e.Lost = uint64(w*each+i+1), 0
					if err := l.Append(e); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := VerifyLog(l.Path(), Known{}); !errors.Is(err, ErrNoHead) {
			t.Errorf("while it runs: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := VerifyLog(l.Path(), Known{}); err != nil {
			t.Error(err)
		}
		parts, err := Parts(l.Path())
		if err != nil || len(parts) < 20 || begun != len(parts)-1 {
			t.Fatalf("%d parts, told of %d, %v", len(parts), begun, err)
		}
		for i, p := range parts {
			if p.Number != i+1 || i < len(parts)-1 && (p.Size < 20_000 || p.Size > 22_000) {
				t.Errorf("part %d of %d bytes stands at %d", p.Number, p.Size, i)
			}
		}
		seen := make(map[uint64]bool)
		for e, err := range ReadLog(l.Path()) {
			if err != nil {
				t.Fatal(err)
			}
			seen[e.Call] = true
		}
		if len(seen) != writers*each {
			t.Errorf("%d calls were read, want %d", len(seen), writers*each)
		}
		if _, err := CreateLog(l.Path()); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second log: %v", err)
		}
		if err := os.Remove(l.Path()); err != nil {
			t.Fatal(err)
		}
		if _, err := CreateLog(l.Path()); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a log before the parts of another: %v", err)
		}
	}
}

// A part that cannot be begun costs no line; killed right behind the beginning of one, a log
// ends in an empty file.
func TestLogPartInTheWay(t *testing.T) {
	l, err := OpenLog(t.TempDir(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	l.SetPart(1000, func() { t.Error("another part was begun") })
	if err := os.Mkdir(PartPath(l.Path(), 2), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := l.Append(full()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(), os.Remove(PartPath(l.Path(), 2)), os.WriteFile(PartPath(l.Path(), 2), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := VerifyLog(l.Path(), Known{}); err != nil {
		t.Error(err)
	}
}

func TestVerifyParts(t *testing.T) {
	remove := func(n ...int) func(string) error {
		return func(path string) (err error) {
			for _, n := range n {
				err = errors.Join(err, os.Remove(PartPath(path, n)))
			}
			return err
		}
	}
	// next is what the first line of a part carries.
	next := func(path string, n int) string {
		b, err := os.ReadFile(PartPath(path, n))
		if err != nil {
			t.Fatal(err)
		}
		return string(b[len(`{"prev":"`):][:len(firstPrev)])
	}
	for _, tt := range []struct {
		name   string
		change func(path string) error
		known  func(path string) Known
		want   string // of the error; "" for none
	}{
		{"untouched", remove(), nil, ""},
		{"the last part removed", remove(5), nil, "18 lines, of which 16 are left"},
		{"one in the middle removed", remove(3), nil, "s1.4.jsonl: a part before it is gone"},
		{"the first removed", remove(1), nil, "what stood before its part 2 is gone, and not by log prune"},
		{"thrown away", remove(1, 2), func(p string) Known { return Known{Removed: 2, Next: next(p, 3)} }, ""},
		{"more is gone than was thrown away", remove(1, 2, 3), func(p string) Known { return Known{Removed: 2, Next: next(p, 3)} }, "what stood before its part 4 is gone"},
		{"the throwing away was broken off", remove(1), func(p string) Known { return Known{Removed: 2, Next: next(p, 3)} }, ""},
		{"a line at the seam removed", func(p string) error {
			b, err := os.ReadFile(PartPath(p, 2))
			return errors.Join(err, os.WriteFile(PartPath(p, 2), b[strings.IndexByte(string(b), '\n')+1:], 0o600))
		}, nil, "s1.2.jsonl:1: lines before it were removed"},
		{"a part cut short", func(p string) error { return os.Truncate(PartPath(p, 2), 100) }, nil, "s1.2.jsonl:1: the line was cut, and another part follows"},
		{"the head removed", func(p string) error { return os.Remove(headPath(p)) }, nil, ErrNoHead.Error()},
		{"the head removed, and known", func(p string) error { return os.Remove(headPath(p)) }, func(string) Known { return Known{Head: "?", Lines: 18} }, ErrHeadGone.Error()},
		{"head and last part removed, and known", func(p string) error { return errors.Join(os.Remove(headPath(p)), remove(5)(p)) },
			func(string) Known { return Known{Head: "?", Lines: 18} }, "18 lines, of which 16 are left; and its head was removed"},
		{"another head", func(p string) error { return os.WriteFile(headPath(p), []byte("0123456789abcdef 18\n"), 0o600) },
			func(string) Known { return Known{Head: "?", Lines: 18} }, "its head is not the one that was written"},
	} {
		path := inParts(t, 18, 2000)
		if parts, err := Parts(path); err != nil || len(parts) != 5 {
			t.Fatalf("%d parts, %v: the sizes of lines have changed", len(parts), err)
		}
		known := Known{}
		if tt.known != nil {
			known = tt.known(path)
		}
		if known.Head == "?" {
			b, err := os.ReadFile(headPath(path))
			if err != nil {
				t.Fatal(err)
			}
			known.Head = string(b[:len(firstPrev)])
		}
		if err := tt.change(path); err != nil {
			t.Fatal(err)
		}
		err := VerifyLog(path, known)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
