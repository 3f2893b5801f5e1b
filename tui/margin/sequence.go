package margin

import "strconv"

// maxArg is the largest argument that is passed on: xterm's limit, and far from where a
// terminal's arithmetic could overflow into a move in the other direction.
const maxArg = 65535

// sequence is one control sequence: CSI prefix args inter final.
type sequence struct {
	prefix byte // one of < = > ?, or 0
	inter  byte // one of 0x20-0x2f, or 0
	final  byte
	args   []int // -1 = left out
	colon  bool  // sub-arguments were used
	huge   bool  // an argument was beyond maxArg
	body   []byte
}

// parse reads what stands between the introducer and the end, final byte included. It returns
// false for a sequence that no grammar allows; terminals disagree about those.
func (q *sequence) parse(body []byte) bool {
	*q = sequence{args: q.args[:0], body: body, final: body[len(body)-1]}
	p := body[:len(body)-1]
	if len(p) > 0 && p[0] >= '<' && p[0] <= '?' {
		q.prefix, p = p[0], p[1:]
	}
	for len(p) > 0 && p[len(p)-1] < 0x30 {
		if q.inter != 0 {
			return false
		}
		q.inter, p = p[len(p)-1], p[:len(p)-1]
	}
	n := -1
	for _, c := range p {
		switch {
		case c >= '0' && c <= '9':
			n = max(n, 0)*10 + int(c-'0')
			if n > maxArg {
				n, q.huge = maxArg, true
			}
		case c == ';':
			q.args = append(q.args, n)
			n = -1
		case c == ':':
			q.colon = true
			q.args = append(q.args, n)
			n = -1
		default:
			return false
		}
	}
	if len(p) > 0 {
		q.args = append(q.args, n)
	}
	return true
}

// arg is argument i, or def where it is left out.
func (q *sequence) arg(i, def int) int {
	if i >= len(q.args) || q.args[i] < 0 {
		return def
	}
	return q.args[i]
}

// count is argument i where 0 means 1, as in all relative moves.
func (q *sequence) count(i int) int { return max(q.arg(i, 1), 1) }

// set writes argument i, growing the list.
func (q *sequence) set(i, v int) {
	for len(q.args) <= i {
		q.args = append(q.args, -1)
	}
	q.args[i] = v
}

// append writes the sequence anew after an introducer.
func (q *sequence) append(dst []byte) []byte {
	if q.prefix != 0 {
		dst = append(dst, q.prefix)
	}
	for i, a := range q.args {
		if i > 0 {
			dst = append(dst, ';')
		}
		if a >= 0 {
			dst = strconv.AppendInt(dst, int64(a), 10)
		}
	}
	if q.inter != 0 {
		dst = append(dst, q.inter)
	}
	return append(dst, q.final)
}
