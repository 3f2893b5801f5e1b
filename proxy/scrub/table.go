package scrub

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

// table is a Wu-Manber search: a window as long as the shortest pattern moves over the
// text, and the two bytes at its end say how far it may jump without missing the start
// of a pattern. With secrets of usual length most of the text is never looked at.
//
// A step of that has to wait for the one before it. So the four bytes at the window's end
// are looked up first: nearly always they stand in no pattern, and then the window moves on
// by as much as ever possible, which the processor can foresee.
type table struct {
	// shift is indexed by the window's last two bytes. 0 means: a pattern may begin at
	// the window's start, look. 64 KiB, of which text touches a fraction.
	shift [1 << 16]uint8
	// grams has a bit, by its hash, for each four bytes that stand in the first min bytes of
	// a pattern.
	grams [gramBits / 32]uint32
	min   int // length of the shortest pattern, at most maxShift
	max   int // length of the longest pattern

	// slots holds patterns by the hash of the two bytes that end their first min bytes,
	// the longest first. slots[i] is byEnd[ends[i]:ends[i+1]].
	byEnd []pattern
	ends  [1<<slotBits + 1]uint32

	// byHead holds the patterns in order, heads where each first byte begins.
	byHead []string
	heads  [257]uint32

	folded []string // the patterns in lower case
}

type pattern struct {
	text string
	mask string
	head uint64 // the first 8 bytes, to dismiss in one comparison
	id   int    // the order of New, for equal lengths
	step int    // bytes of a character where that is not one, see widen
}

const (
	slotBits = 10
	// Ten secrets have some 5,000 different grams: one of 25 others is taken for one of them.
	// 16 KiB stay in the first-level cache.
	gramLog  = 17
	gramBits = 1 << gramLog
	gramSize = 4
	// maxShift keeps a shift in a byte. Secrets with longer shortest spellings (a PEM key
	// alone) lose nothing that could be measured.
	maxShift = 255
)

func slotOf(block uint16) uint32 {
	// Fibonacci hashing: the high bits of the product are well mixed.
	return uint32(block) * 0x9E3779B1 >> (32 - slotBits)
}

// gramOf is where the bit of the first four bytes of p stands.
func gramOf(p []byte) (word, bit uint32) {
	h := binary.LittleEndian.Uint32(p) * 0x9E3779B1 >> (32 - gramLog)
	return h / 32, h % 32
}

// newTable returns nil for no patterns. Each pattern has at least minSecret bytes.
func newTable(patterns []pattern) *table {
	if len(patterns) == 0 {
		return nil
	}
	t := &table{min: maxShift}
	for i := range patterns {
		p := &patterns[i]
		p.head, p.id = binary.LittleEndian.Uint64([]byte(p.text[:8])), i
		t.min = min(t.min, len(p.text))
		t.max = max(t.max, len(p.text))
		t.byHead = append(t.byHead, p.text)
		t.folded = append(t.folded, strings.ToLower(p.text))
	}
	t.fillShift(patterns)
	t.fillSlots(patterns)
	sort.Strings(t.byHead)
	for c := range 257 {
		t.heads[c] = uint32(sort.Search(len(t.byHead), func(i int) bool { return int(t.byHead[i][0]) >= c }))
	}
	return t
}

func (t *table) fillShift(patterns []pattern) {
	for i := range t.shift {
		// The block is in no pattern: the next window that can match begins on its
		// second byte, which may be the first of a pattern.
		t.shift[i] = uint8(t.min - 1)
	}
	for _, p := range patterns {
		for i := range t.min - gramSize + 1 {
			word, bit := gramOf([]byte(p.text[i : i+gramSize]))
			t.grams[word] |= 1 << bit
		}
		for end := 1; end < t.min; end++ {
			block := block(p.text, end)
			t.shift[block] = min(t.shift[block], uint8(t.min-1-end))
		}
	}
}

func (t *table) fillSlots(patterns []pattern) {
	slot := func(p pattern) uint32 { return slotOf(block(p.text, t.min-1)) }
	t.byEnd = slices.Clone(patterns)
	slices.SortFunc(t.byEnd, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(slot(a), slot(b)), cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.id, b.id))
	})
	at := 0
	for i := range 1 << slotBits {
		t.ends[i] = uint32(at)
		for at < len(t.byEnd) && slot(t.byEnd[at]) == uint32(i) {
			at++
		}
	}
	t.ends[1<<slotBits] = uint32(at)
}

func block(s string, end int) uint16 { return uint16(s[end-1]) | uint16(s[end])<<8 }

// next looks from p[from:] on for the leftmost-longest match and returns where it
// begins, and which it is. Without one it returns the end of what is decided: len(p)
// where p is the end of the text (final), and otherwise the first place where more
// bytes could still make a match. What it returns depends on the text alone, not on
// where the text was cut: a match is reported only when no longer one can follow.
func (t *table) next(p []byte, from int, final bool) (int, *pattern) {
	end := from + t.min - 1 // the last byte of the window
	for {
		if end = t.leap(p, end); end >= len(p) {
			break
		}
		block := binary.LittleEndian.Uint16(p[end-1:])
		shift := int(t.shift[block])
		if shift != 0 {
			end += shift
			continue
		}
		start := end - t.min + 1
		if hit, wait := t.at(p[start:], block, final); hit != nil || wait {
			return start, hit
		}
		end++
	}
	if final {
		return len(p), nil
	}
	for start := end - t.min + 1; start < len(p); start++ {
		if t.begins(p[start:]) {
			return start, nil
		}
	}
	return len(p), nil
}

// leap moves the end of the window on while the last bytes of it stand in no pattern. What
// it passes over is the start of none, as far as p goes.
func (t *table) leap(p []byte, end int) int {
	for end < len(p) {
		word, bit := gramOf(p[end-gramSize+1:])
		if t.grams[word]>>bit&1 != 0 {
			return end
		}
		end += t.min - gramSize + 1
	}
	return end
}

// at returns the longest pattern at the start of p, or that one has to wait for more.
// p is not shorter than the shortest pattern.
func (t *table) at(p []byte, block uint16, final bool) (hit *pattern, wait bool) {
	slot := slotOf(block)
	from, to := t.ends[slot], t.ends[slot+1]
	if from == to {
		return nil, false
	}
	head := binary.LittleEndian.Uint64(p)
	for i := from; i < to; i++ {
		c := &t.byEnd[i]
		if c.head != head {
			continue
		}
		if len(p) >= len(c.text) {
			if string(p[:len(c.text)]) == c.text {
				return c, false
			}
		} else if !final && c.text[:len(p)] == string(p) {
			return nil, true
		}
	}
	return nil, false
}

// begins says whether p, which is shorter than the longest pattern, is the beginning of
// one.
func (t *table) begins(p []byte) bool {
	for i := t.heads[p[0]]; i < t.heads[int(p[0])+1]; i++ {
		if text := t.byHead[i]; len(p) < len(text) && text[:len(p)] == string(p) {
			return true
		}
	}
	return false
}

// replace appends p to out with what it can decide replaced, and returns how much of p
// that was.
func (t *table) replace(out, p []byte, final bool) ([]byte, int) {
	for at := 0; ; {
		start, hit := t.next(p, at, final)
		out = append(out, p[at:start]...)
		if hit == nil {
			return out, start
		}
		out = append(out, hit.mask...)
		at = start + len(hit.text)
	}
}
