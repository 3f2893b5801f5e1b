package margin

import "bytes"

// openString begins a string whose introducer is held. A loose one (the title string of screen)
// is printed by terminals that do not know it, so below a region, where printing could wrap into
// our rows, it is dropped.
func (f *Filter) openString(dst []byte, kind byte) []byte {
	f.state = inString
	loose := kind == 'k'
	f.str = payload{kind: kind, loose: loose, head: f.str.head[:0]}
	f.str.drop = loose && f.narrow() || f.through && !f.relayedString(kind) || f.gnuScreen && kind != ']' && !loose
	if f.str.drop {
		return dst
	}
	return append(dst, f.buf...)
}

// dcs decides about a DCS once its final byte is known. Three kinds are dropped: DECRSPS (final t
// after $) puts the cursor anywhere, DECDMAC (final z after !) stores sequences for later, and of
// kitty's own commands (final @) one presses keys.
func (f *Filter) dcs(dst []byte) []byte {
	final, inter := f.buf[len(f.buf)-1], byte(0)
	if n := len(f.buf) - 2; n >= f.intro && f.buf[n] < 0x30 {
		inter = f.buf[n]
	}
	held := f.buf
	drop := f.over || inter == '$' && final == 't' || inter == '!' && final == 'z' || final == '@'
	if drop {
		f.buf = f.buf[:0]
	}
	dst = f.openString(dst, 'P')
	f.str.drop = f.str.drop || drop
	f.str.image = final == 'q' && inter == 0 // sixel
	if final == 't' && !f.str.drop {
		f.through, f.str.relay, f.str.left = true, true, len("mux;")
	}
	f.buf = held
	return dst
}

// strByte passes one byte of a string. Line feeds act on terminals that print a loose one.
func (f *Filter) strByte(dst []byte, c byte) []byte {
	if f.str.drop || f.str.loose && f.narrow() && c < 0x20 {
		return dst
	}
	if f.str.relay {
		if f.str.left == 0 {
			return dst
		}
		f.str.left--
	}
	f.str.keep([]byte{c})
	return append(dst, c)
}

func (s *payload) keep(p []byte) {
	if s.kind == ']' || s.kind == '_' {
		s.head = append(s.head, p[:min(len(p), maxLink+1-min(len(s.head), maxLink+1))]...)
	}
}

// endString accounts for the string that just ended, whatever ended it.
func (f *Filter) endString() {
	if f.state != inString {
		return
	}
	f.state = ground
	s := &f.str
	switch {
	case s.drop:
	case s.kind == ']':
		f.endCommand(s.head)
	case s.kind == '_' && bytes.HasPrefix(s.head, []byte("G")):
		f.wiped, f.modes.graphics, f.imaged = true, true, true
		f.modes.chunk = unfinishedImage(s.head)
	case s.image:
		f.wiped = true
	}
	if s.loose { // it may have been printed
		f.row.hi = max(f.row.hi, f.bot)
		f.loseCol()
	}
}

// Abort makes a terminal that is in the middle of a string ready for a painting: it ends the
// string there and drops the rest of it. A held sequence needs nothing, none of it was written.
func (f *Filter) Abort(dst []byte) []byte {
	if f.state == inString || f.state == heldC2Str {
		f.str.drop = true
	}
	f.through = false
	return append(dst, "\x1b\\"...)
}
