package margin

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	stdstrings "strings"
	"testing"
)

// act is what was recorded at one size of the child's terminal.
type act struct {
	cols, rows int
	out        []byte
}

// recording reads a file of testdata: "size COLSxROWS", and quoted text.
func recording(t *testing.T, name string) (acts []act) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range stdstrings.Split(stdstrings.TrimSpace(string(data)), "\n") {
		switch {
		case stdstrings.HasPrefix(line, "#"):
		case stdstrings.HasPrefix(line, "size "):
			var a act
			if _, err := fmt.Sscanf(line, "size %dx%d", &a.cols, &a.rows); err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
			acts = append(acts, a)
		default:
			text, err := strconv.Unquote(line)
			if err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
			acts[len(acts)-1].out = append(acts[len(acts)-1].out, text...)
		}
	}
	return acts
}

// oursBeside is how many rows are ours beneath a recording.
const oursBeside = 2

// playActs gives a recording to a filter in pieces, none larger than piece, and returns what
// becomes of the child's bytes, act by act.
func playActs(acts []act, piece int) (outs [][]byte) {
	f := NewFilter(acts[0].cols, acts[0].rows, acts[0].rows+oursBeside, nil)
	for i, a := range acts {
		if i > 0 {
			f.appendResize(nil, a.cols, a.rows, a.rows+oursBeside)
		}
		var out []byte
		for p := a.out; len(p) > 0; {
			n := min(len(p), piece)
			out = f.Append(out, p[:n])
			p = p[n:]
		}
		outs = append(outs, out)
	}
	return outs
}

// Recordings of what agents write: cut anywhere they come out the same, nothing of them reaches
// our rows, and their screen is the one that a terminal of their own would show.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 2 {
		t.Fatalf("recordings: %q, %v", files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			acts := recording(t, name)
			whole := playActs(acts, 1<<20)
			for _, piece := range []int{1, 2, 3, 5, 7, 64, 1000} {
				for i, out := range playActs(acts, piece) {
					if !bytes.Equal(out, whole[i]) {
						t.Fatalf("act %d differs in pieces of %d", i, piece)
					}
				}
			}
			for i, a := range acts {
				for _, row := range []int{1, a.rows / 2, a.rows} {
					w := newWatch(a.cols, a.rows+oursBeside, a.rows, row, 1)
					// Back on a main screen that was resized meanwhile our own lines follow, which
					// make room for our rows with the region open.
					out, _, _ := bytes.Cut(whole[i], []byte("\x1b[?1049l"))
					if w.feed(out); w.complaint != "" {
						t.Errorf("act %d from row %d: %s", i, row, w.complaint)
					}
				}
			}
			compareActs(t, acts)
		})
	}
}

// compareActs shows a recording on a terminal of its own and, filtered and painted, on one that is
// higher by our rows.
func compareActs(t *testing.T, acts []act) {
	t.Helper()
	bars := []string{"\x1b[7mfirst of ours", "second of ours"}
	a := acts[0]
	plain, ours := newEmulator(a.cols, a.rows), newEmulator(a.cols, a.rows+oursBeside)
	f := NewFilter(a.cols, a.rows, a.rows+oursBeside, nil)
	ours.Write(f.appendPaint(f.appendFit(nil), bars))
	f.moveTo(1, 0)
	for i, a := range acts {
		if i > 0 {
			plain.Resize(a.cols, a.rows)
			ours.Resize(a.cols, a.rows+oursBeside)
			ours.Write(f.appendPaint(f.appendResize(nil, a.cols, a.rows, a.rows+oursBeside), bars))
		}
		plain.Write(a.out)
		for p := a.out; len(p) > 0; {
			n := min(len(p), 7)
			out := f.Append(nil, p[:n])
			if f.Safe() {
				out = f.appendPaint(out, bars)
			}
			ours.Write(out)
			p = p[n:]
		}
		ours.Write(f.appendPaint(f.Abort(nil), bars))
		want, got := grid(plain, a.rows), grid(ours, a.rows)
		if !slices.Equal(got, want) {
			t.Errorf("act %d: the child's screen differs\n%s", i, differing(got, want))
		}
		if f.Alternate() {
			if got, want := putBack(f), f.shadow.lines; f.shadow.bad || !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("act %d: what an inspector would leave behind differs (sure of it: %t)\n%v\nwant %v", i, !f.shadow.bad, got, want)
			}
		}
		bottom := grid(ours, a.rows+oursBeside)[a.rows:]
		if !stdstrings.HasPrefix(letters(bottom[0]), "first of ours") || bottom[1] != "second of ours" {
			t.Errorf("act %d: our rows are %q", i, bottom)
		}
	}
}

// putBack is what the alternate screen shows once it was taken away and is drawn again.
func putBack(f *Filter) [][]cell {
	g := *f
	again := NewFilter(f.cols, f.rows, f.rows, nil)
	again.Append(nil, g.appendEnter(nil))
	for y, line := range again.shadow.lines {
		for x := range line { // a blank is written as one
			if c := &again.shadow.lines[y][x]; c.text == " " && f.shadow.lines[y][x].text == "" {
				c.text = ""
			}
		}
	}
	return again.shadow.lines
}
