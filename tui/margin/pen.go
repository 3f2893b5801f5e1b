package margin

import "fmt"

// pen is a graphic rendition.
type pen struct {
	attrs      uint16 // bit n = SGR n
	underline  uint8  // 4:n
	fg, bg, ul colour
}

// colour is kind<<24 | value: 0 default, 1 indexed, 2 RGB, 3 one of the sixteen by its own
// parameter, which some terminals draw brighter in bold where an indexed one stays.
type colour uint32

// reset keys of the attributes that SGR 2x takes back.
var sgrOff = [...]uint16{2: 1<<1 | 1<<2, 3: 1 << 3, 5: 1<<5 | 1<<6, 7: 1 << 7, 8: 1 << 8, 9: 1 << 9}

// sgr follows SGR. Sub-arguments (38:2::r:g:b, 4:3) and the older 38;2;r;g;b are both read.
func (p *pen) sgr(q *sequence) {
	if len(q.args) == 0 {
		*p = pen{}
		return
	}
	args := q.args
	sub := subs(0)
	if q.colon {
		sub = subFlags(q)
	}
	for i := 0; i < len(args); i++ {
		a := max(args[i], 0)
		switch {
		case a == 38, a == 48, a == 58:
			c, n, ok := readColour(args[i+1:], sub>>(i+1))
			if ok {
				*p.colourOf(a) = c
			}
			i += n
		case a == 4 && i+1 < len(args) && sub.at(i+1):
			p.underline = uint8(clamp(args[i+1], 0, 5))
			i++
		default:
			p.one(a)
		}
		for i+1 < len(args) && sub.at(i+1) {
			i++
		}
	}
}

func (p *pen) one(a int) {
	switch {
	case a == 0:
		*p = pen{}
	case a == 4:
		p.underline = 1
	case a == 21:
		p.underline = 2
	case a == 24:
		p.underline = 0
	case a >= 1 && a <= 9:
		p.attrs |= 1 << a
	case a >= 22 && a <= 29:
		p.attrs &^= sgrOff[a-20]
	case a == 53:
		p.attrs |= 1 << 15
	case a == 55:
		p.attrs &^= 1 << 15
	case a >= 30 && a <= 37:
		p.fg = colour(3<<24 | a - 30)
	case a >= 40 && a <= 47:
		p.bg = colour(3<<24 | a - 40)
	case a >= 90 && a <= 97:
		p.fg = colour(3<<24 | a - 90 + 8)
	case a >= 100 && a <= 107:
		p.bg = colour(3<<24 | a - 100 + 8)
	case a == 39:
		p.fg = 0
	case a == 49:
		p.bg = 0
	case a == 59:
		p.ul = 0
	}
}

func (p *pen) colourOf(a int) *colour {
	switch a {
	case 38:
		return &p.fg
	case 48:
		return &p.bg
	}
	return &p.ul
}

// subs says of each of the first 64 arguments whether a colon stands before it.
type subs uint64

func (s subs) at(i int) bool { return i < 64 && s&(1<<i) != 0 }

func subFlags(q *sequence) subs {
	var s subs
	i := 0
	for _, c := range q.body {
		if c == ';' || c == ':' {
			i++
			if c == ':' && i < 64 {
				s |= 1 << i
			}
		}
	}
	return s
}

// readColour reads what follows 38, 48 or 58; n is how many arguments it took.
func readColour(args []int, sub subs) (c colour, n int, ok bool) {
	if len(args) == 0 {
		return 0, 0, false
	}
	colons := 0
	for colons < len(args) && sub.at(colons) {
		colons++
	}
	switch args[0] {
	case 5:
		if len(args) < 2 {
			return 0, len(args), false
		}
		return colour(1<<24 | clamp(args[1], 0, 255)), 2, true
	case 2:
		at := 1
		if colons >= 5 { // 2:space:r:g:b
			at = 2
		}
		if len(args) < at+3 {
			return 0, len(args), false
		}
		v := colour(2 << 24)
		for i, shift := range []int{16, 8, 0} {
			v |= colour(clamp(args[at+i], 0, 255)) << shift
		}
		return v, at + 3, true
	}
	return 0, 1, false
}

// append writes the rendition for a terminal whose rendition is reset.
func (p *pen) append(dst []byte) []byte {
	if *p == (pen{}) {
		return dst
	}
	for a := 1; a <= 9; a++ {
		if p.attrs&(1<<a) != 0 && a != 4 {
			dst = fmt.Appendf(dst, "\x1b[%dm", a)
		}
	}
	if p.attrs&(1<<15) != 0 {
		dst = append(dst, "\x1b[53m"...)
	}
	switch p.underline {
	case 0:
	case 1:
		dst = append(dst, "\x1b[4m"...)
	default:
		dst = fmt.Appendf(dst, "\x1b[4:%dm", p.underline)
	}
	dst = appendColour(dst, 38, p.fg)
	dst = appendColour(dst, 48, p.bg)
	return appendColour(dst, 58, p.ul)
}

func appendColour(dst []byte, layer int, c colour) []byte {
	switch v := int(c & 0xffffff); {
	case c == 0:
	case c>>24 == 3 && v < 8:
		dst = fmt.Appendf(dst, "\x1b[%dm", layer-8+v)
	case c>>24 == 3:
		dst = fmt.Appendf(dst, "\x1b[%dm", layer+52+v-8)
	case c>>24 == 1:
		dst = fmt.Appendf(dst, "\x1b[%d;5;%dm", layer, v)
	default:
		dst = fmt.Appendf(dst, "\x1b[%d;2;%d;%d;%dm", layer, v>>16, v>>8&255, v&255)
	}
	return dst
}
