package margin

import (
	"fmt"
	"maps"
	"slices"
)

// modes is what the child has set at the terminal and what has to be put back around another
// program, or switched off at the end.
type modes struct {
	set         map[int]bool // private modes that differ from a fresh terminal
	saved       map[int]bool // XTSAVE
	alt         int          // 47, 1047 or 1049 while on the alternate screen
	frame       bool         // ?2026
	wrap        bool         // DECAWM, as the child wants it
	hidden      bool         // the cursor
	inBand      bool         // ?2048
	newline     bool         // LNM
	insert      bool         // IRM
	keypad      bool         // DECKPAM
	left, right int          // DECSLRM
	cursorStyle int
	g           [4]byte // charsets G0-G3, 0 = ASCII
	shifted     bool    // SO
	pen         pen
	link        string // content of the OSC 8 that is open
	graphics    bool   // kitty images were sent
	chunk       bool   // ... and the last of them is not whole yet
	tints       tints
	kitty       [2]kittyFlags
	otherKeys   map[int]int // XTMODKEYS
}

// kittyFlags is the stack of keyboard flags, one on each screen.
type kittyFlags struct {
	base  int
	stack []int
}

// maxModes bounds the memory that a child can make us keep; no program sets a quarter of it.
const maxModes = 64

func (m *modes) reset() {
	*m = modes{set: map[int]bool{}, saved: map[int]bool{}, wrap: true, otherKeys: map[int]int{}}
}

// soft follows DECSTR.
func (m *modes) soft() {
	m.wrap, m.insert, m.hidden, m.keypad, m.shifted = true, false, false, false, false
	m.g, m.pen = [4]byte{}, pen{}
	delete(m.set, 1)
	delete(m.set, 66)
	delete(m.set, 69)
}

func (m *modes) charset(inter, c byte) {
	if c == 'B' {
		c = 0
	}
	m.g[inter-'('] = c
}

// keyboard follows kitty's flags (CSI < = > u) and XTMODKEYS (CSI > m, CSI > n).
func (m *modes) keyboard(q *sequence, alt bool) {
	k := &m.kitty[btoi(alt)]
	switch string([]byte{q.prefix, q.final}) {
	case ">u":
		if len(k.stack) < maxModes {
			k.stack = append(k.stack, q.arg(0, 0))
		}
	case "<u":
		n := len(k.stack) - q.count(0)
		if n < 0 {
			k.base, n = 0, 0
		}
		k.stack = k.stack[:n]
	case "=u":
		k.change(q.arg(0, 0), q.arg(1, 1))
	case ">m":
		if q.arg(1, 0) == 0 {
			delete(m.otherKeys, q.arg(0, 0))
		} else if len(m.otherKeys) < maxModes {
			m.otherKeys[q.arg(0, 0)] = q.arg(1, 0)
		}
	case ">n":
		delete(m.otherKeys, q.arg(0, 2))
	}
}

func (k *kittyFlags) change(flags, how int) {
	top := &k.base
	if len(k.stack) > 0 {
		top = &k.stack[len(k.stack)-1]
	}
	switch how {
	case 1:
		*top = flags
	case 2:
		*top |= flags
	case 3:
		*top &^= flags
	}
}

func (k *kittyFlags) used() bool { return k.base != 0 || len(k.stack) > 0 }

// off writes what makes the keyboard plain on the current screen, on the one of the terminal's
// screens that k stands for.
func (k *kittyFlags) off(dst []byte) []byte {
	if !k.used() {
		return dst
	}
	return append(dst, "\x1b[<99u\x1b[=0;1u"...)
}

func (k *kittyFlags) on(dst []byte) []byte {
	if k.base != 0 {
		dst = fmt.Appendf(dst, "\x1b[=%d;1u", k.base)
	}
	for _, flags := range k.stack {
		dst = fmt.Appendf(dst, "\x1b[>%du", flags)
	}
	return dst
}

// shown are the modes that are tracked outside of set.
func (m *modes) value(mode int) bool {
	switch mode {
	case 7:
		return m.wrap
	case 25:
		return !m.hidden
	case 47, 1047, 1049:
		return m.alt != 0
	case 2026:
		return m.frame
	case 2048:
		return m.inBand
	}
	return m.set[mode]
}

// neutral writes what another program (or the shell after us) may expect of a terminal. The
// screen, the region and the cursor's place are not its matter.
func (m *modes) neutral(dst []byte, alt bool) []byte {
	for _, mode := range m.list() {
		dst = fmt.Appendf(dst, "\x1b[?%dl", mode)
	}
	dst = m.kitty[btoi(alt)].off(dst)
	for _, key := range slices.Sorted(maps.Keys(m.otherKeys)) {
		dst = fmt.Appendf(dst, "\x1b[>%dm", key)
	}
	if m.keypad {
		dst = append(dst, "\x1b>"...)
	}
	if m.insert {
		dst = append(dst, "\x1b[4l"...)
	}
	if m.newline {
		dst = append(dst, "\x1b[20l"...)
	}
	if m.cursorStyle != 0 {
		dst = append(dst, "\x1b[0 q"...)
	}
	if m.link != "" {
		dst = append(dst, "\x1b]8;;\x1b\\"...)
	}
	if m.frame {
		dst = append(dst, "\x1b[?2026l"...)
	}
	dst = append(dst, m.plainCharset()...)
	return append(dst, "\x1b[0m\x1b[?7h\x1b[?25h"...)
}

// again writes what neutral took away.
func (m *modes) again(dst []byte, alt bool) []byte {
	for _, mode := range m.list() {
		dst = fmt.Appendf(dst, "\x1b[?%dh", mode)
	}
	dst = m.kitty[btoi(alt)].on(dst)
	for _, key := range slices.Sorted(maps.Keys(m.otherKeys)) {
		dst = fmt.Appendf(dst, "\x1b[>%d;%dm", key, m.otherKeys[key])
	}
	if m.keypad {
		dst = append(dst, "\x1b="...)
	}
	if m.insert {
		dst = append(dst, "\x1b[4h"...)
	}
	if m.newline {
		dst = append(dst, "\x1b[20h"...)
	}
	if m.cursorStyle != 0 {
		dst = fmt.Appendf(dst, "\x1b[%d q", m.cursorStyle)
	}
	if m.link != "" {
		dst = fmt.Appendf(dst, "\x1b]%s\x1b\\", m.link)
	}
	dst = m.charsets(dst)
	if !m.wrap {
		dst = append(dst, "\x1b[?7l"...)
	}
	if m.hidden {
		dst = append(dst, "\x1b[?25l"...)
	}
	dst = m.pen.append(append(dst, "\x1b[0m"...))
	return dst
}

// list is the modes in set, but for those that move the cursor (DECOM, DECLRMM): whoever restores
// a place restores them with it.
func (m *modes) list() []int {
	var l []int
	for _, mode := range slices.Sorted(maps.Keys(m.set)) {
		if m.set[mode] && mode != 6 && mode != 69 {
			l = append(l, mode)
		}
	}
	return l
}

func (m *modes) plainCharset() string {
	s := ""
	if m.shifted {
		s = "\x0f"
	}
	if m.g[0] != 0 {
		s += "\x1b(B"
	}
	return s
}

func (m *modes) charsets(dst []byte) []byte {
	for i, c := range m.g {
		if c != 0 {
			dst = append(dst, 0x1b, '('+byte(i), c)
		}
	}
	if m.shifted {
		dst = append(dst, 0x0e)
	}
	return dst
}
