package margin

// Filter copies a child's output to a terminal that is some rows higher than the child believes.
// It is not safe for concurrent use.
//
// Where it ends a sequence early or leaves one out, it does so by the byte, not by the chunk: any
// split of the input gives the same output. A control sequence is held until it is complete
// (at most maxHeld bytes); text and the content of strings (OSC, DCS, APC, PM, SOS) stream.
type Filter struct {
	tracker
	height int // of the real terminal
	modes  modes
	slots  [2]slot // DECSC has one slot on each screen
	shadow *screen // the alternate screen while the child is on it
	reply  func([]byte)
	pixelH int // height of the real terminal in pixels, 0 = unknown
	pixelW int

	state     state
	buf       []byte // held: introducer and what came so far
	intro     int    // length of the introducer within buf
	need      int    // UTF-8 continuation bytes still to come
	lead      byte   // the byte before the next continuation byte, for its range
	char      [4]byte
	charLen   int
	over      bool // the held sequence is longer than maxHeld and will be dropped
	str       payload
	through   bool // within what tmux hands on to the terminal around it, see relay.go
	gnuScreen bool // see Config.GNUScreen
	seq       sequence
	last      rune // for REP

	hadOrigin bool // DECOM has been on: a slot may hold it
	wiped     bool // something reached our rows or the region: repaint
	imaged    bool // a kitty image has come, whose string is about to end
	clean     bool // the cursor is exactly what its DECSC slot holds
	stale     bool // our rows changed while the child was on the alternate screen
}

type state uint8

const (
	ground state = iota
	escape
	escapeInter
	control   // CSI
	header    // DCS before its final byte
	command   // OSC before the end of its number
	inString  // OSC, DCS, APC, PM, SOS, ESC k
	heldC2    // 0xC2: a C1 control or a character follows
	heldC2Str // the same inside a string
)

// payload is what is known of the string that passes now.
type payload struct {
	kind  byte // the final byte of its 7-bit introducer
	loose bool // ESC k: some terminals know no such string and print its content
	drop  bool
	image bool
	relay bool // DCS tmux; of which no more than these bytes pass
	left  int
	head  []byte // the first bytes of an OSC or an APC, up to maxLink
}

// slot is the child's use of a DECSC slot.
type slot struct {
	used   bool
	row    span
	col    span
	origin bool
	unsure bool
}

const (
	maxHeld = 4096
	maxLink = 2048 // longest OSC 8 that is restored after a painting
)

// NewFilter makes the filter for a terminal of cols x height cells of which the child has the
// first rows. reply takes the answers that we give in the terminal's place (size reports); it
// may be nil and must not block.
func NewFilter(cols, rows, height int, reply func([]byte)) *Filter {
	if reply == nil {
		reply = func([]byte) {}
	}
	f := &Filter{reply: reply, height: height}
	f.tracker.reset(cols, rows)
	f.modes.reset()
	return f
}

// Append filters p and appends the result to dst.
func (f *Filter) Append(dst, p []byte) []byte {
	for len(p) > 0 {
		var n int
		dst, n = f.run(dst, p, false)
		p = p[n:]
	}
	return dst
}

// run filters p. With stop, or with our rows wiped, it returns as soon as the cursor equals its
// saved copy, which is the one moment at which a child that uses ESC 7 can be painted around. n
// is what it consumed.
func (f *Filter) run(dst, p []byte, stop bool) (out []byte, n int) {
	for n < len(p) {
		f.clean = false
		if k := f.bulk(p[n:]); k > 0 {
			dst = append(dst, p[n:n+k]...)
			n += k
			continue
		}
		dst = f.step(dst, p[n])
		n++
		if f.clean && (stop || f.wiped) {
			break
		}
	}
	return dst, n
}

// Safe says that a painting may be written now: between two sequences, not within a frame of
// mode 2026 nor in what is handed on, not while the child has a cursor saved that a painting would overwrite, and not when
// the cursor waits beyond the last column, which some terminals do not save.
func (f *Filter) Safe() bool {
	return f.state == ground && f.need == 0 && !f.modes.frame && !f.through && (f.clean || !f.slot().used) &&
		(f.col.lo < f.cols || f.nowrap)
}

// Wiped says that our rows may be damaged; Painted takes it back.
func (f *Filter) Wiped() bool { return f.wiped }

// Painted tells that our rows stand again.
func (f *Filter) Painted() { f.wiped = false }

// Alternate says which screen the child is on.
func (f *Filter) Alternate() bool { return f.modes.alt != 0 }

func (f *Filter) slot() *slot {
	if f.Alternate() {
		return &f.slots[1]
	}
	return &f.slots[0]
}

// ours is the number of our rows.
func (f *Filter) ours() int { return f.height - f.rows }

// step takes one byte through the state machine (ECMA-48 as DEC's terminals parse it: controls
// inside a sequence act at once, CAN and SUB end one, ESC begins a new one).
func (f *Filter) step(dst []byte, c byte) []byte {
	if f.need > 0 {
		return f.continuation(dst, c)
	}
	switch f.state {
	case ground, inString:
		return f.outer(dst, c)
	case heldC2, heldC2Str:
		return f.afterC2(dst, c)
	case command:
		return f.commandByte(dst, c)
	}
	switch {
	case c == 0x1b:
		return f.restart(dst)
	case c == 0x18 || c == 0x1a:
		f.state = ground
		return f.own(dst, c)
	case c == 0x7f, c < 0x20 && f.through:
		return dst
	case c < 0x20:
		return f.c0(dst, c)
	case c >= 0x80: // no sequence holds such a byte: it is over
		f.state = ground
		return f.step(dst, c)
	}
	return f.collect(dst, c)
}

// restart handles ESC within a sequence: what was held is void. Of several in a row a few are kept
// (tmux wants each ESC of what goes through it written twice), and they share the fate of the
// sequence that they introduce: an ESC left over would make one with what comes next.
func (f *Filter) restart(dst []byte) []byte {
	if f.state == escape && len(f.buf) < maxEscapes {
		f.buf = append(f.buf, 0x1b)
		return dst
	}
	f.begin(escape, 0x1b)
	return dst
}

// maxEscapes is enough for a tmux in a tmux in a tmux.
const maxEscapes = 8

func (f *Filter) begin(s state, b ...byte) {
	f.state = s
	f.buf = append(f.buf[:0], b...)
	f.intro = len(f.buf)
	f.over = false
}

// outer takes a byte outside any sequence or inside a string.
func (f *Filter) outer(dst []byte, c byte) []byte {
	str := f.state == inString
	switch {
	case c == 0x1b:
		f.endString()
		f.begin(escape, c)
		return dst
	case f.through && !str:
		return dst
	case c == 0x18 || c == 0x1a:
		f.endString()
		return f.own(dst, c)
	case str && c == 0x07 && (f.str.kind == ']' || f.str.kind == 'k'):
		drop := f.str.drop
		f.endString()
		if drop {
			return dst
		}
		return append(dst, c)
	case c < 0x20 || c == 0x7f:
		if str {
			return f.strByte(dst, c)
		}
		return f.c0(dst, c)
	case c < 0x80:
		if str {
			return f.strByte(dst, c)
		}
		return f.print(dst, rune(c), c)
	case c == 0xc2:
		s := heldC2
		if str {
			s = heldC2Str
		}
		f.begin(s, c)
		return dst
	case c < 0xa0:
		f.endString()
		return f.c1(dst, c, c)
	}
	return f.leadByte(dst, c)
}

// c1 treats a C1 control as the two-byte sequence that it abbreviates, and writes it so: whether
// a terminal knows the short form depends on its make and its encoding, and then it would be
// somewhere else than we believe. Those that mean nothing pass as they are.
func (f *Filter) c1(dst []byte, c byte, raw ...byte) []byte {
	switch c {
	case 0x84, 0x85, 0x88, 0x8d, 0x8e, 0x8f, 0x90, 0x98, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f:
		f.begin(escape, 0x1b)
		return f.collect(dst, c-0x40)
	}
	return f.own(dst, raw...)
}

// collect adds a byte to the held sequence; f.buf is its introducer or more.
func (f *Filter) collect(dst []byte, c byte) []byte {
	switch f.state {
	case escape:
		if c < 0x30 {
			f.buf = append(f.buf, c)
			f.state = escapeInter
			return dst
		}
		return f.escapeFinal(dst, c)
	case escapeInter:
		if c < 0x30 {
			f.hold(c)
			return dst
		}
		f.state = ground
		f.hold(c)
		if f.over || f.through {
			return dst
		}
		return f.escInter(dst, f.buf[len(f.buf)-2], c)
	case control:
		f.hold(c)
		if c < 0x40 {
			return dst
		}
		f.state = ground
		if f.over || !f.seq.parse(f.buf[f.intro:]) || f.through && !f.relayed(&f.seq) {
			return dst
		}
		return f.csi(dst, &f.seq)
	case header:
		f.hold(c)
		if c < 0x40 {
			return dst
		}
		return f.dcs(dst)
	}
	return dst
}

func (f *Filter) hold(c byte) {
	if len(f.buf) >= maxHeld {
		f.over = true
		return
	}
	f.buf = append(f.buf, c)
}

// escapeFinal ends ESC c, or opens what ESC c introduces.
func (f *Filter) escapeFinal(dst []byte, c byte) []byte {
	f.buf = append(f.buf, c)
	f.intro = len(f.buf)
	switch c {
	case '[':
		f.state = control
		return dst
	case 'P':
		f.state = header
		return dst
	case ']':
		f.state = command
		return dst
	case 'X', '^', '_', 'k':
		return f.openString(dst, c)
	}
	f.state = ground
	if f.through {
		return f.relayEnd(dst, c)
	}
	return f.esc(dst, c)
}
