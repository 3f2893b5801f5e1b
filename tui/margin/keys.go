package margin

import (
	"bytes"
	"fmt"
	"strconv"
	stdstrings "strings"
	"time"
)

// keys finds the hotkey in what the human types. Everything else passes unchanged and at once: a
// sequence is held only while it could still turn out to be the hotkey, and a bare Esc never.
type keys struct {
	ctl    byte   // as a control byte
	code   int    // its code point for kitty and modifyOtherKeys
	wanted string // keys that mean something after it

	held   []byte // the beginning of a sequence
	escOut bool   // the last byte sent was an Esc: a sequence may go on with the next read
	paste  bool   // within a bracketed paste
	armed  bool   // the hotkey was pressed, its second key is awaited

	deliberate string    // those of wanted that count only handGap after the hotkey
	since      time.Time // when it was armed
}

// parseHotkey reads caret notation: ^A to ^Z, ^[ excepted, ^\ ^] ^^ ^_.
func parseHotkey(s string) (ctl byte, code int, err error) {
	if len(s) == 2 && s[0] == '^' {
		up := stdstrings.ToUpper(s)[1]
		if up >= 'A' && up <= '_' && up != '[' && up != 'M' && up != 'I' && up != 'J' {
			return up & 0x1f, int(stdstrings.ToLower(s)[1]), nil
		}
	}
	return 0, 0, fmt.Errorf("margin: hotkey %q: not a control key (one of: ^A to ^Z but ^I, ^J, ^M, or ^\\, ^], ^^, ^_)", s)
}

// handGap is the least time between two keys of one hand: fast typists need 60 ms between
// two keys of two hands.
const handGap = 40 * time.Millisecond

// token is one key or sequence of the input.
type token struct {
	raw     []byte
	sent    int // bytes of raw that the child has got already
	hotkey  bool
	release bool // of a key, under kitty's event types
	key     string
}

// feed takes input. send gets what is the child's, press the presses of the hotkey: key is ""
// when nothing of ours followed it.
func (k *keys) feed(p []byte, send func([]byte), press func(key string)) {
	buf, sent := p, 0
	if len(k.held) > 0 {
		buf = append(k.held, p...)
	} else if k.escOut {
		buf, sent = append([]byte{0x1b}, p...), 1
	}
	k.held, k.escOut = nil, false
	from := sent
	for i := 0; i < len(buf); {
		t, ok := k.next(buf[i:])
		if !ok { // incomplete
			if i >= sent && len(buf)-i >= 2 && k.possible(buf[i:]) {
				emit(send, buf[from:i])
				k.held = append([]byte{}, buf[i:]...)
				return
			}
			k.escOut = len(buf)-i == 1
			break
		}
		if i < sent {
			t.sent = sent - i
		}
		end := i + len(t.raw)
		if k.take(t) {
			emit(send, buf[from:i])
			k.act(t, send, press)
			from = end
		} else if k.armed && !t.release {
			k.armed = false
			emit(send, buf[from:i])
			from = max(i, sent)
			press("")
		}
		i = end
	}
	emit(send, buf[min(from, len(buf)):])
}

func emit(send func([]byte), p []byte) {
	if len(p) > 0 {
		send(p)
	}
}

// take says whether the token is ours rather than the child's.
func (k *keys) take(t token) bool {
	if t.sent > 0 {
		return false
	}
	return t.hotkey || k.armed && t.key != "" && stdstrings.Contains(k.wanted, t.key)
}

func (k *keys) act(t token, send func([]byte), press func(string)) {
	switch {
	case t.release:
	case t.hotkey && k.armed:
		k.armed = false
		send(t.raw)
	case t.hotkey:
		k.armed, k.since = true, time.Now()
	default:
		k.armed = false
		if stdstrings.Contains(k.deliberate, t.key) && time.Since(k.since) < handGap {
			return // nor is it the child's
		}
		press(t.key)
	}
}

// timeout ends the waiting: a held beginning goes to the child, an armed hotkey stands alone.
func (k *keys) timeout(send func([]byte), press func(string)) {
	emit(send, k.held)
	k.held = nil
	if k.armed {
		k.armed = false
		press("")
	}
}

// next is the token at the start of p; false when p ends within it.
func (k *keys) next(p []byte) (token, bool) {
	if k.paste {
		return k.nextPasted(p)
	}
	if p[0] != 0x1b {
		t := token{raw: p[:1], hotkey: p[0] == k.ctl}
		if !t.hotkey && p[0] < 0x80 {
			t.key = string(rune(p[0]))
		}
		return t, true
	}
	if len(p) == 1 {
		return token{}, false
	}
	if p[1] != '[' {
		return token{raw: p[:1]}, true
	}
	for i := 2; i < len(p); i++ {
		switch c := p[i]; {
		case c >= 0x40 && c < 0x7f:
			return k.sequence(p[:i+1]), true
		case c < 0x20 || c >= 0x7f:
			return token{raw: p[:i]}, true
		}
	}
	return token{}, false
}

const pasteEnd = "\x1b[201~"

// nextPasted passes pasted text up to the end of the paste; nothing in it is a key.
func (k *keys) nextPasted(p []byte) (token, bool) {
	i := bytes.IndexByte(p, 0x1b)
	switch {
	case i < 0:
		return token{raw: p, release: true}, true
	case i > 0:
		return token{raw: p[:i], release: true}, true
	case bytes.HasPrefix(p, []byte(pasteEnd)):
		k.paste = false
		return token{raw: p[:len(pasteEnd)], release: true}, true
	case stdstrings.HasPrefix(pasteEnd, string(p)):
		return token{}, false
	}
	return token{raw: p[:1], release: true}, true
}

// sequence reads a complete CSI sequence: CSI code[:...] ; mods[:event] u, CSI 27;mods;code ~.
func (k *keys) sequence(raw []byte) token {
	t := token{raw: raw}
	body := string(raw[2:])
	if body == "200~" {
		k.paste = true
		return t
	}
	args := stdstrings.Split(body[:len(body)-1], ";")
	var code, mods, event int
	switch {
	case body[len(body)-1] == 'u':
		code, _ = number(args, 0)
		mods, event = number(args, 1)
	case body[len(body)-1] == '~' && len(args) == 3 && args[0] == "27":
		mods, _ = number(args, 1)
		code, _ = number(args, 2)
	default:
		return t
	}
	const locks = 64 | 128 // caps lock and num lock say nothing
	mods = (max(mods, 1) - 1) &^ locks
	t.release = event == 3 || code >= 57441 && code <= 57454 // a modifier by itself
	switch {
	case code == k.code && mods == 4:
		t.hotkey = true
	case mods == 0 && code >= 0x20 && code < 0x7f && !t.release:
		t.key = string(rune(code))
	}
	return t
}

// number is argument i and its first sub-argument, 0 where there is none.
func number(args []string, i int) (n, sub int) {
	if i >= len(args) {
		return 0, 0
	}
	parts := stdstrings.Split(args[i], ":")
	n, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		sub, _ = strconv.Atoi(parts[1])
	}
	return n, sub
}

// possible says that an incomplete sequence may become the hotkey or a paste's mark.
func (k *keys) possible(p []byte) bool {
	s := string(p)
	for _, whole := range []string{fmt.Sprintf("\x1b[%d", k.code), "\x1b[27;", "\x1b[200~", pasteEnd} {
		if stdstrings.HasPrefix(whole, s) || stdstrings.HasPrefix(s, whole) && len(s) < 32 {
			return true
		}
	}
	if k.armed { // any key may be spelled so
		return len(s) < 32
	}
	return false
}
