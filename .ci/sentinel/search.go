package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// marker is what every secret of a test holds, in any case.
const marker = "s3cret"

// finding is a place that holds a secret.
type finding struct {
	file   string // below the folder that was searched
	offset int64  // of the marker, in the file as it was written or decompressed
	how    string
	path   string
}

func (f finding) String() string {
	return fmt.Sprintf("%s: offset %d: a secret, %s (%s)", f.file, f.offset, f.how, f.path)
}

// search looks through all files below root, but for the fixtures, and tells each file once.
func search(root string, allowed []string) (found []finding, files int, size int64) {
	needles := spellings()
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what a test made unreadable is not searched
		}
		name, _ := filepath.Rel(root, path)
		if isFixture(filepath.ToSlash(name), allowed) {
			return nil
		}
		if at := strings.Index(strings.ToLower(name), marker); at >= 0 {
			found = append(found, finding{name, int64(at), "in its name", path})
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		defer f.Close() //nolint:errcheck // it was read only
		if isProgram(f) {
			return nil
		}
		files++
		n, at, how := scan(content(f), needles)
		size += n
		if how != "" {
			found = append(found, finding{name, at, how, path})
		}
		return nil
	})
	return found, files, size
}

// isFixture holds a name, without the folder that it was moved to, against the patterns.
func isFixture(name string, allowed []string) bool {
	_, name, _ = strings.Cut(name, "/")
	for _, pattern := range allowed {
		in := name
		if dir, all := strings.CutSuffix(pattern, "/**"); all {
			if n := strings.Count(dir, "/") + 1; strings.Count(name, "/") >= n {
				pattern, in = dir, strings.Join(strings.Split(name, "/")[:n], "/")
			}
		}
		if ok, _ := filepath.Match(pattern, in); ok {
			return true
		}
	}
	return false
}

// isProgram tells the test programs, which tests link into their folders: their constants
// stand in them.
func isProgram(f *os.File) bool {
	var head [4]byte
	_, _ = f.ReadAt(head[:], 0)
	return string(head[:]) == "\x7fELF" || string(head[:]) == "\xcf\xfa\xed\xfe"
}

// content decompresses where there is something to.
func content(f *os.File) io.Reader {
	z, err := gzip.NewReader(f)
	if err == nil {
		return z
	}
	_, _ = f.Seek(0, io.SeekStart)
	return f
}

// needle is one spelling of the marker.
type needle struct {
	text  string
	how   string
	lower bool // in whatever case
}

// spellings are all but the escaped ones, which are undone before they are looked for.
func spellings() []needle {
	all := []needle{{marker, "as it is", true}}
	for _, m := range []string{marker, strings.ToUpper(marker), strings.ToUpper(marker[:1]) + marker[1:]} {
		all = append(all, needle{hex.EncodeToString([]byte(m)), "in hex", true})
		for shift := range 3 {
			padded := append(make([]byte, shift), m...)
			text := base64.RawStdEncoding.EncodeToString(padded)
			// Characters that hold bits of what stands before and after are not known.
			text = text[(shift*8+5)/6 : len(padded)*8/6]
			all = append(all, needle{text, "in base64", false})
			if other := strings.NewReplacer("+", "-", "/", "_").Replace(text); other != text {
				all = append(all, needle{other, "in base64", false})
			}
		}
	}
	return all
}

const (
	chunk   = 1 << 20
	overlap = 4 << 10 // more than the longest spelling
)

// scan reads r and returns how much it was, and where and how it holds the marker.
func scan(r io.Reader, needles []needle) (size, at int64, how string) {
	buf := make([]byte, 0, chunk+overlap)
	for {
		n, err := io.ReadFull(r, buf[len(buf):chunk+overlap])
		buf = buf[:len(buf)+n]
		size += int64(n)
		if at, how := holds(buf, needles); how != "" {
			return size, size - int64(len(buf)) + int64(at), how
		}
		if err != nil {
			return size, 0, ""
		}
		kept := copy(buf, buf[len(buf)-overlap:])
		buf = buf[:kept]
	}
}

func holds(b []byte, needles []needle) (at int, how string) {
	if at, how := plain(b, needles); how != "" {
		return at, how
	}
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return 0, ""
	}
	undone, places := unescape(b)
	if at, how := plain(undone, needles); how != "" {
		return int(places[at]), how + ", escaped"
	}
	return 0, ""
}

func plain(b []byte, needles []needle) (at int, how string) {
	lower := asciiLower(b)
	for _, n := range needles {
		in := b
		if n.lower {
			in = lower
		}
		if at := bytes.Index(in, []byte(n.text)); at >= 0 {
			return at, n.how
		}
	}
	return 0, ""
}

func asciiLower(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// unescape undoes %2d, \x2d, \u002d and returns with each byte the place that it stood at.
func unescape(b []byte) (undone []byte, places []int32) {
	undone, places = make([]byte, 0, len(b)), make([]int32, 0, len(b))
	for i := 0; i < len(b); {
		n := 1
		c := b[i]
		for _, e := range []string{"%", `\x`, `\u00`} {
			if end := i + len(e) + 2; end <= len(b) && string(b[i:i+len(e)]) == e {
				var one [1]byte
				if _, err := hex.Decode(one[:], b[i+len(e):end]); err == nil {
					c, n = one[0], end-i
					break
				}
			}
		}
		undone, places = append(undone, c), append(places, int32(i)) //nolint:gosec // a chunk is smaller
		i += n
	}
	return undone, places
}
