package scrub

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

// wide encodes text with so many bytes a character.
func wide(text string, step int, order binary.AppendByteOrder) string {
	var out []byte
	for _, c := range text {
		switch {
		case step == 4:
			out = order.AppendUint32(out, uint32(c))
		default:
			for _, unit := range utf16.AppendRune(nil, c) {
				out = order.AppendUint16(out, unit)
			}
		}
	}
	return string(out)
}

// A server that answers in UTF-16 or UTF-32, as Spring does where Accept names them, hides
// nothing by it, and what is left is still such text.
func TestWideTextIsSearched(t *testing.T) {
	const value = "sk-0123456789abcdef"
	for _, tt := range []struct{ name, mask, free, fitted string }{
		{"placeholder", "avp_placeholder_that_is_longer", "avp_placeholder_that_is_longer", "avp_placeholder_tha"},
		{"name", "‹api›", "*api*", "*api***************"},
	} {
		for step := 2; step <= 4; step += 2 {
			for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
				t.Run(tt.name, func(t *testing.T) {
					secrets := []Secret{{value, tt.mask}}
					in := wide(`é {"you sent":"Bearer `+value+`"}`, step, order)
					for s, mask := range map[*Scrubber]string{New(secrets): tt.free, NewFitted(secrets): tt.fitted} {
						want := wide(`é {"you sent":"Bearer `+mask+`"}`, step, order)
						if got, found := s.String(in); !found || got != want {
							t.Errorf("%d bytes, %v: got %q, want %q", step, order, got, want)
						}
						got, err := io.ReadAll(s.Reader(iotest.OneByteReader(strings.NewReader(in))))
						if err != nil || string(got) != want {
							t.Errorf("%d bytes, %v, as a stream: got %q, want %q", step, order, got, want)
						}
					}
				})
			}
		}
	}
	if text := widen("pässword", 2); text != "" {
		t.Errorf("widened %q", text)
	}
}
