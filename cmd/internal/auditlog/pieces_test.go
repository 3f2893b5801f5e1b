package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"agentvault/proxy/event"
)

// What the pieces hold is what the log's lines are, wherever they were cut.
func TestPiecesAreTheLines(t *testing.T) {
	long := strings.Repeat("x", pieceSize*5/2)
	many := strings.Repeat("0123456789\n", pieceSize/4)
	from := newPieces(Query{})
	from.skip = func([]byte) bool { return true } // nothing here is an event
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""}, {"empty lines", "\n\n\n"}, {"one line", "a\n"}, {"torn", "a\nb"}, {"torn alone", "b"},
		{"many", many}, {"many, and a torn one", many + "end"}, {"a piece to the byte", strings.Repeat("x", pieceSize-1) + "\nb\n"},
		{"a long line", "a\n" + long + "\nb\n"}, {"a long line, torn", "a\n" + long}, {"long lines", strings.Repeat(long+"\n", 3)},
	} {
		var want []string
		torn := false
		for l, err := range event.Lines(strings.NewReader(tt.text), "") {
			if errors.Is(err, event.ErrTorn) {
				torn = true
			} else {
				want = append(want, string(l.Bytes))
			}
		}
		for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.HalfReader(strings.NewReader(tt.text)), iotest.DataErrReader(strings.NewReader(tt.text))} {
			var got []string
			gotTorn := false
			err := from.each(r, func(p *piece) error {
				for _, l := range p.lines {
					got = append(got, string(l.bytes))
				}
				gotTorn = gotTorn || p.torn
				return nil
			})
			if err != nil || gotTorn != torn || !slices.Equal(got, want) {
				t.Errorf("%s: got %d lines, torn %t, %v; want %d, torn %t", tt.name, len(got), gotTorn, err, len(want), torn)
			}
		}
	}
}

// An error ends the reading: the file's comes after the lines before it, the caller's at
// once. The next log is read from its beginning all the same.
func TestPiecesEnd(t *testing.T) {
	from := newPieces(Query{})
	from.skip = func([]byte) bool { return true } // nothing here is an event
	broken := errors.New("broken")
	text := strings.Repeat("line\n", pieceSize)
	lines := 0
	count := func(p *piece) error { lines += len(p.lines); return nil }
	err := from.each(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), count)
	if !errors.Is(err, broken) || lines != pieceSize {
		t.Errorf("got %d lines, %v", lines, err)
	}
	for i := range 12 {
		calls := 0
		err := from.each(strings.NewReader(text), func(*piece) error {
			if calls++; calls > i%4 {
				return broken
			}
			return nil
		})
		if err != broken {
			t.Fatal(err)
		}
		lines = 0
		if err := from.each(strings.NewReader(fmt.Sprintf("%d\n", i)), func(p *piece) error {
			if len(p.lines) == 1 && !bytes.Equal(p.lines[0].bytes, fmt.Append(nil, i)) {
				return fmt.Errorf("got %q", p.lines[0].bytes)
			}
			return count(p)
		}); err != nil || lines != 1 {
			t.Fatalf("got %d lines, %v", lines, err)
		}
	}
}
