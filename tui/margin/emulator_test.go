package margin

import (
	"bytes"
	"unicode/utf8"

	"github.com/hinshun/vt10x"
)

// emulator is vt10x fed as a terminal is: in pieces of any size. By itself vt10x loses a
// character that comes in halves, and mistakes some sequences for others: it reads CSI < u and
// CSI > u as "restore the cursor", CSI > m as "no attributes".
type emulator struct {
	vt10x.Terminal
	held []byte // the beginning of a character or of a sequence
}

func newEmulator(cols, rows int) *emulator {
	return &emulator{Terminal: vt10x.New(vt10x.WithSize(cols, rows))}
}

func (e *emulator) Write(p []byte) (int, error) {
	data := append(e.held, p...)
	whole := len(data) - unfinished(data)
	e.held = append([]byte(nil), data[whole:]...)
	_, err := e.Terminal.Write(known(data[:whole]))
	return len(p), err
}

// unfinished is the length of what p breaks off in: a character or a control sequence.
func unfinished(p []byte) int {
	if i := bytes.LastIndexByte(p, 0x1b); i >= 0 && len(p)-i < maxHeld {
		rest := p[i+1:]
		if len(rest) == 0 || rest[0] == '[' && bytes.IndexFunc(rest[1:], isFinal) < 0 {
			return len(p) - i
		}
	}
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			break
		}
	}
	return 0
}

func isFinal(c rune) bool { return c >= 0x40 }

// known takes out the sequences that vt10x does not know.
func known(p []byte) []byte {
	var out []byte
	for {
		i := bytes.Index(p, []byte("\x1b["))
		if i < 0 || i+2 >= len(p) {
			return append(out, p...)
		}
		end := bytes.IndexFunc(p[i+2:], isFinal)
		if end < 0 {
			return append(out, p...)
		}
		end += i + 3
		if c := p[i+2]; c == '<' || c == '>' || c == '=' {
			out = append(out, p[:i]...)
		} else {
			out = append(out, p[:end]...)
		}
		p = p[end:]
	}
}
