package margin

// A DCS that begins with "tmux;" is given by tmux to the terminal around it, as it is but for each
// ESC, which the child has written twice. Where tmux allows that, it is a way past tmux's own idea
// of the screen, to any row of the terminal. What passes here is what draws nothing and moves
// nothing: questions to the terminal, and OSC (clipboard, notifications, colours).
//
// It lasts until an ESC \ whose ESC stands alone: nothing else ends it for tmux, CAN included.

// doubled says that the held sequence is one for the terminal around: with an odd number of ESC
// tmux would hand on the rest of it as text.
func (f *Filter) doubled() bool { return f.intro%2 == 1 }

// relayed says whether a control sequence may be handed on: those that ask.
func (f *Filter) relayed(q *sequence) bool {
	if !f.doubled() {
		return false
	}
	switch q.final {
	case 'c', 'n': // DA, DSR
		return q.inter == 0
	case 'p': // DECRQM
		return q.inter == '$'
	case 'q': // XTVERSION
		return q.inter == 0 && q.prefix == '>'
	case 'u': // the kitty keyboard's state
		return q.inter == 0 && q.prefix == '?'
	}
	return false
}

// relayedString says the same of a string; of a DCS the final byte decides, which is the last of
// what is held: XTGETTCAP, DECRQSS, or a tmux in tmux.
func (f *Filter) relayedString(kind byte) bool {
	switch {
	case !f.doubled():
		return false
	case kind != 'P':
		return kind == ']'
	case len(f.buf) < 2: // left out already
		return false
	}
	final, inter := f.buf[len(f.buf)-1], f.buf[len(f.buf)-2]
	return final == 'q' && (inter == '+' || inter == '$') || final == 't'
}

// relayEnd treats ESC c in what is handed on: the end of a string in it, or of all of it.
func (f *Filter) relayEnd(dst []byte, c byte) []byte {
	if c != '\\' {
		return dst
	}
	if f.doubled() {
		return append(dst, f.buf...)
	}
	f.through = false
	f.buf = append(f.buf[:0], "\x1b\\"...) // an ESC more would stay behind at the terminal around
	return f.stringEnd(dst)
}

// own passes bytes that mean nothing to us, unless they would be handed on.
func (f *Filter) own(dst []byte, p ...byte) []byte {
	if f.through {
		return dst
	}
	return append(dst, p...)
}
