package margin

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxCommand is the most digits that the number of an OSC may have: no terminal knows one with more.
const maxCommand = 5

// textSizing is kitty's OSC 66, the one OSC that prints. Its text may be seven rows high and wrap,
// on the few terminals that know it; where those have their cursor then cannot be followed.
// Without it a child prints plainly, as everywhere else: it has to ask for the cursor to know.
const textSizing = "66"

// itermCommands is iTerm2's OSC 1337, some of which draw.
const itermCommands = "1337"

// commandByte takes a byte of an OSC whose number may go on. The number decides whether the OSC
// passes, so it is held until it is over.
func (f *Filter) commandByte(dst []byte, c byte) []byte {
	digits := f.buf[f.intro:]
	if c >= '0' && c <= '9' && len(digits) <= maxCommand {
		f.buf = append(f.buf, c)
		return dst
	}
	code := string(bytes.TrimLeft(digits, "0"))
	drop := len(digits) > maxCommand || code == textSizing || f.through && code == itermCommands
	number := string(digits)
	if drop {
		f.buf = f.buf[:0]
	}
	dst = f.openString(dst, ']')
	f.str.drop = f.str.drop || drop
	f.str.keep([]byte(number))
	return f.step(dst, c)
}

// endCommand accounts for an OSC that has passed.
func (f *Filter) endCommand(head []byte) {
	number, rest, _ := bytes.Cut(head, []byte(";"))
	code, err := strconv.Atoi(string(number))
	switch {
	case err != nil:
	case code == 8:
		f.link(rest)
	case code == 1337:
		f.wiped = true // an iTerm2 image, perhaps
	default:
		f.modes.tints.follow(code, rest)
	}
}

// link notes the hyperlink that text belongs to from here on: "params;uri", empty uri = none.
func (f *Filter) link(rest []byte) {
	_, uri, _ := bytes.Cut(rest, []byte(";"))
	f.modes.link = ""
	if len(uri) > 0 && len(rest)+2 <= maxLink {
		f.modes.link = "8;" + string(rest)
	}
}

// tints are the colours that the child has given the terminal, by the number of their OSC: 4 and 5
// the palette, 10 to 19 text, background, cursor and more, 22 the shape of the pointer.
type tints uint32

const pointerShape = 22

// follow takes in one OSC. A question (?) changes nothing.
func (t *tints) follow(code int, rest []byte) {
	switch {
	case code == 4 || code == 5:
		for i, spec := range bytes.Split(rest, []byte(";")) {
			if i%2 == 1 && string(spec) != "?" {
				*t |= 1 << code
			}
		}
	case code >= 10 && code <= 19:
		for i, spec := range bytes.Split(rest, []byte(";")) { // each is for the next number
			if len(spec) > 0 && string(spec) != "?" && code+i <= 19 {
				*t |= 1 << (code + i)
			}
		}
	case code == pointerShape:
		*t &^= 1 << code
		if len(rest) > 0 && rest[0] != '?' {
			*t |= 1 << code
		}
	case code == 104 || code == 105:
		if len(rest) == 0 {
			*t &^= 1 << (code - 100)
		}
	case code >= 110 && code <= 119:
		*t &^= 1 << (code - 100)
	}
}

// off writes what gives the terminal its own colours back, and nothing where it has them.
func (t tints) off(dst []byte) []byte {
	for code := range pointerShape {
		if t&(1<<code) != 0 {
			dst = fmt.Appendf(dst, "\x1b]%d\x1b\\", code+100)
		}
	}
	if t&(1<<pointerShape) != 0 {
		dst = append(dst, "\x1b]22;\x1b\\"...)
	}
	return dst
}

// unfinishedImage says that more of an image follows in other strings, between which a terminal
// takes no other command for images. head is the string from its G on.
func unfinishedImage(head []byte) bool {
	keys, _, _ := bytes.Cut(head[1:], []byte(";"))
	for _, key := range bytes.Split(keys, []byte(",")) {
		if string(key) == "m=1" {
			return true
		}
	}
	return false
}
