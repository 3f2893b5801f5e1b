package margin

import "fmt"

// csi treats one control sequence. R is the child's last row, n = number of our rows (with n = 0
// everything passes but for the sequences that resize or lock the terminal).
//
//	moves
//	  CUP H, HVP f, VPA d      row clamped to R (programs ask for 999;999 to learn the size)
//	  CUD B, CNL E             bounded by the bottom margin inside the region: passed. From the
//	                           last row, or by R and more, to row R; below a region, clamped
//	  VPR e                    becomes CUD: terminals bound it by the screen, not by the margin
//	  CUU A, CPL F, RI         up is harmless: passed
//	  LF VT FF IND NEL         passed; on row R below a region (where the child's terminal would
//	                           not move) left out, see lineFeed
//	  text at the right edge   below a region autowrap is off for it, see beforePrint
//	  REP b                    as text
//	  CUF CUB CHA HPA HPR TAB  stay in the row: passed
//	  DECSC/DECRC ESC 7 8, CSI s u, ?1048   passed and followed; a saved row beyond R is clamped
//	  DECBI/DECFI ESC 6 9, SL SR, DECIC DECDC, ICH DCH ECH EL, IL DL, SU SD   bounded: passed
//	margins
//	  DECSTBM r                bottom clamped to R, a bare one becomes 1;R, one that is no region
//	                           (top >= bottom) is left out
//	  DECOM ?6                 passed and followed
//	  DECLRMM ?69, DECSLRM s   passed; the painter takes them off for a moment
//	  HP memory lock ESC l m, lower left ESC F     left out
//	wipes: passed, then the region is set again where it could be lost, and a repaint is asked for
//	  ED J, DECSED ?J          our rows
//	  DECALN ESC # 8, RIS ESC c, DECSTR !p         our rows, region, modes
//	  ?47 ?1047 ?1049          our rows, perhaps region
//	  sixel, kitty graphics, OSC 1337              our rows; a kitty image that reaches into them
//	                           is taken away at once, since no text of ours would cover it
//	rectangles
//	  DECFRA $x DECERA $z DECSERA ${ DECCARA $r DECRARA $t DECCRA $v   rows clamped to R
//	size
//	  CSI 18 t, 14 t           answered here with the child's size
//	  CSI 4 8 9 10 t, DECSLPP (>= 24) t, DECSNLS *|, DECSCPP $|, DECCOLM ?3 (?40)   left out
//	  in-band resize ?2048     left out and done here
//	  CPR 6n                   true as it is: our rows are the last ones
//	left out since nothing behind them could be followed
//	  VT52 ?2l, Tektronix ?38, reverse wrap ?45 ?1045 (wraps to the last row of the screen),
//	  sixels from the top of the screen ?80, text sizing OSC 66, keyboard lock 2h, DECSCL "p,
//	  status line $} $~, macros *z DCS !z, DECRSPS DCS $t, printing i, 8-bit answers ESC SP G,
//	  kitty's commands DCS @,
//	  other encodings ESC % @, XTSAVE/XTRESTORE ?s ?r (done here), sequences no grammar allows or longer than maxHeld
//	what tmux hands on (DCS tmux;)   questions and OSC pass, see relay.go
//	C1 controls (0x9b outside of UTF-8, or U+009B)   written as ESC [, see c1
//
// Everything else passes byte for byte.
func (f *Filter) csi(dst []byte, q *sequence) []byte {
	if q.colon && q.final != 'm' && q.final != 'u' {
		return dst
	}
	if q.inter != 0 {
		return f.csiInter(dst, q)
	}
	switch q.prefix {
	case '?':
		return f.csiPrivate(dst, q)
	case 0:
		return f.csiPlain(dst, q)
	}
	f.modes.keyboard(q, f.Alternate())
	return f.pass(dst, q)
}

// pass copies the sequence as the child wrote it, unless an argument was beyond what terminals
// count with.
func (f *Filter) pass(dst []byte, q *sequence) []byte {
	if q.huge {
		return f.rewrite(dst, q)
	}
	return append(dst, f.buf...)
}

// rewrite writes the sequence from its parsed form, under the child's introducer.
func (f *Filter) rewrite(dst []byte, q *sequence) []byte {
	return q.append(append(dst, f.buf[:f.intro]...))
}

func (f *Filter) csiPlain(dst []byte, q *sequence) []byte {
	switch q.final {
	case 'H', 'f', 'd':
		return f.address(dst, q)
	case 'B', 'E', 'e':
		return f.cursorDown(dst, q)
	case 'A', 'F':
		f.up(q.count(0))
		if q.final == 'F' {
			f.setCol(0)
		}
	case 'C', 'a':
		f.shift(q.count(0))
	case 'D', 'j':
		f.shift(-q.count(0))
	case 'G', '`':
		f.setCol(q.count(0) - 1)
	case 'I', 'Z':
		f.loseCol()
	case 'b':
		return f.repeat(dst, q)
	case 'r':
		return f.region(dst, q)
	case 's':
		return f.saveOrMargins(dst, q)
	case 'u':
		return f.restore(dst)
	case 'J':
		f.erased(q.arg(0, 0))
	case 'T', '^':
		f.under = min(f.under+q.count(0), f.rows)
	case 'L', 'M':
		f.under = min(f.under+q.count(0), f.rows)
		f.col.lo = 0 // xterm goes to the first column, tmux stays
	case 'g', 'W':
		f.tabs = true
	case 'm':
		f.modes.pen.sgr(q)
	case 'h', 'l':
		return f.ansiModes(dst, q)
	case 't':
		return f.window(dst, q)
	case 'i':
		return dst
	}
	dst = f.pass(dst, q)
	f.shadow.csi(q)
	return dst
}

func (f *Filter) erased(what int) {
	switch what {
	case 0, 2:
		f.under = 0
		f.wiped = f.wiped || f.ours() > 0
	case 1:
	default:
		f.wiped = f.wiped || f.ours() > 0
	}
}

// address treats CUP, HVP and VPA.
func (f *Filter) address(dst []byte, q *sequence) []byte {
	row := q.count(0)
	if f.ours() > 0 && row > f.rows {
		row = f.rows
		q.set(0, row)
		dst = f.rewrite(dst, q)
	} else {
		dst = f.pass(dst, q)
	}
	if q.final == 'd' {
		f.settle()
		col := f.col
		f.moveTo(row, 0)
		f.col = col
	} else {
		f.moveTo(row, q.count(1)-1)
	}
	f.shadow.csi(q)
	return dst
}

// cursorDown treats CUD, CNL and VPR.
func (f *Filter) cursorDown(dst []byte, q *sequence) []byte {
	n := q.count(0)
	f.settle()
	if q.final == 'E' {
		f.setCol(0)
	}
	if f.ours() == 0 {
		f.feed(n)
		f.shadow.csi(q)
		return f.pass(dst, q)
	}
	vpr := q.final == 'e'
	if vpr {
		q.final = 'B'
	}
	limit := n
	switch {
	case f.row.lo > f.bot: // surely below the region: no margin there
		limit = f.rows - f.row.hi
	case f.row.hi > f.bot: // perhaps below it
		limit = max(f.rows-f.row.hi, 0)
	case f.row.exact():
		limit = f.bot - f.row.lo
	case n >= f.bot: // from anywhere inside the region this is its last row
		limit = f.bot
	}
	if n > limit || vpr {
		n = min(n, limit)
		q.set(0, n)
		if n > 0 {
			dst = f.rewrite(dst, q)
		} else if q.final == 'E' {
			dst = append(dst, '\r')
		}
	} else {
		dst = f.pass(dst, q)
	}
	f.feed(n)
	if n > 0 || q.final == 'E' {
		f.shadow.csi(q)
	}
	return dst
}

// repeat treats REP. In a narrow region it is written out, so that the wrap is under control.
func (f *Filter) repeat(dst []byte, q *sequence) []byte {
	n := min(q.count(0), f.cols*f.rows)
	if !f.narrow() && !f.forced {
		dst = f.pass(dst, q)
	}
	for range n {
		if f.narrow() || f.forced {
			dst = f.beforePrint(dst, 2)
			if f.last >= 0x20 {
				dst = append(dst, string(f.last)...)
			}
		}
		if f.last >= 0x20 {
			f.text([]byte(string(f.last)))
		}
	}
	f.shadow.csi(q)
	return dst
}

// region treats DECSTBM.
func (f *Filter) region(dst []byte, q *sequence) []byte {
	top, bot := q.count(0), q.arg(1, 0)
	if bot == 0 || bot > f.rows {
		bot = f.rows
	}
	if top >= bot {
		return dst
	}
	dst = f.releaseWrap(dst)
	if f.ours() == 0 || q.arg(1, 0) == bot && !q.huge {
		dst = f.pass(dst, q)
	} else {
		dst = fmt.Appendf(append(dst, f.buf[:f.intro]...), "%d;%dr", top, bot)
	}
	f.top, f.bot = top, bot
	f.moveTo(1, 0)
	f.shadow.region(top, bot)
	return dst
}

// saveOrMargins treats CSI s: DECSLRM under DECLRMM or with arguments, SCOSC otherwise.
func (f *Filter) saveOrMargins(dst []byte, q *sequence) []byte {
	if f.lrmm {
		left, right := q.count(0), q.arg(1, 0)
		if right == 0 || right > f.cols {
			right = f.cols
		}
		if left >= right { // no margins: terminals leave the cursor where it is
			return dst
		}
		f.modes.left, f.modes.right = left, right
		f.moveTo(1, 0)
		f.loseCol()
		f.shadow.csi(&sequence{final: 'H'})
		return f.pass(dst, q)
	}
	if len(q.args) > 0 {
		// Without DECLRMM this is nothing to xterm and "save" to others: nothing is the safe one.
		return dst
	}
	return f.save(dst)
}

// save passes DECSC, in whichever spelling is held.
func (f *Filter) save(dst []byte) []byte {
	*f.slot() = f.here()
	f.clean = true
	f.shadow.save()
	return append(dst, f.buf...)
}

// restore passes DECRC. The saved row may lie beyond R when the screen has shrunk since.
func (f *Filter) restore(dst []byte) []byte {
	dst = f.releaseWrap(dst)
	dst = append(dst, f.buf...)
	f.restored()
	f.shadow.restore()
	return dst
}

// here is the slot that DECSC would fill now.
func (f *Filter) here() slot {
	return slot{used: true, row: f.row, col: f.col, origin: f.origin, unsure: f.unsure}
}

// restored follows DECRC. A slot that the child has not filled holds what the terminal began with
// or a place of ours.
func (f *Filter) restored() {
	s := f.slot()
	f.under = f.rows
	if !s.used {
		f.row, f.col = span{1, f.rows}, span{0, f.cols}
		f.origin = f.origin || f.hadOrigin
		f.unsure = f.origin
		return
	}
	f.row = span{min(s.row.lo, f.rows), min(s.row.hi, f.rows)}
	f.col = s.col
	f.unsure = s.unsure || f.unsure || s.origin != f.origin
	f.origin = f.origin || s.origin
	f.unsure = f.unsure && f.origin
	f.clean = true
}

// window treats XTWINOPS.
func (f *Filter) window(dst []byte, q *sequence) []byte {
	switch op := q.arg(0, 0); {
	case op == 4, op == 8, op == 9, op == 10, op >= 24:
		return dst
	case op == 18:
		f.reply(fmt.Appendf(nil, "\x1b[8;%d;%dt", f.rows, f.cols))
		return dst
	case op == 14 && q.arg(1, 0) == 0 && f.pixelH > 0:
		f.reply(fmt.Appendf(nil, "\x1b[4;%d;%dt", f.pixelRows(), f.pixelW))
		return dst
	}
	return f.pass(dst, q)
}

// pixelRows is the height of the child's rows in pixels.
func (f *Filter) pixelRows() int { return f.pixelH * f.rows / max(f.height, 1) }

// csiInter treats sequences with an intermediate byte.
func (f *Filter) csiInter(dst []byte, q *sequence) []byte {
	kind := string([]byte{q.inter, q.final})
	if q.prefix != 0 && kind != "$p" { // DECRQM; nothing else is defined
		return dst
	}
	switch kind {
	case "!p":
		return f.softReset(dst)
	case "$x":
		return f.rectangle(dst, q, 1)
	case "$z", "${", "$r", "$t":
		return f.rectangle(dst, q, 0)
	case "$v":
		return f.copyRectangle(dst, q)
	case "*|", "$|", "\"p", "$}", "$~", "*z":
		return dst
	case "$p":
		if q.prefix == '?' && q.arg(0, 0) == 2048 {
			f.reply(fmt.Appendf(nil, "\x1b[?2048;%d$y", 2-btoi(f.modes.inBand)))
			return dst
		}
	case " q":
		f.modes.cursorStyle = q.arg(0, 0)
	case "+T":
		f.wiped = true
	}
	return f.pass(dst, q)
}

// rectangle clamps Pt;Pl;Pb;Pr at argument i.
func (f *Filter) rectangle(dst []byte, q *sequence, i int) []byte {
	if f.ours() == 0 {
		return f.pass(dst, q)
	}
	top, bot := q.count(i), q.arg(i+2, 0)
	if top > f.rows {
		return dst
	}
	if bot > 0 && bot <= f.rows {
		return f.pass(dst, q)
	}
	q.set(i+2, f.rows)
	return f.rewrite(dst, q)
}

// copyRectangle clamps DECCRA: Pts;Pls;Pbs;Prs;Pps;Ptd;Pld;Ppd.
func (f *Filter) copyRectangle(dst []byte, q *sequence) []byte {
	if f.ours() == 0 {
		return f.pass(dst, q)
	}
	top, bot, to := q.count(0), q.arg(2, 0), q.count(5)
	if bot == 0 || bot > f.rows {
		bot = f.rows
	}
	if top > bot || to > f.rows {
		return dst
	}
	q.set(2, min(bot, top+f.rows-to))
	return f.rewrite(dst, q)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
