package scrub

// Check looks through a text that comes in pieces, and passes nothing on. It says how far
// the text is known to hold no secret, for who holds back another form of it until then.
// A Check is for one goroutine.
type Check struct {
	t     *table
	seen  int64
	held  []byte // the end of what was seen, which is undecided
	join  []byte
	found bool
}

// Check returns a Check of an empty text.
func (s *Scrubber) Check() *Check {
	if s.Empty() {
		return &Check{}
	}
	return &Check{t: s.t}
}

// Add takes the next piece. Clean is the length of the text, counted from its beginning,
// that neither holds a secret nor can turn out to be the beginning of one. Once a secret
// was found, nothing else will be.
func (c *Check) Add(p []byte) (clean int64, found bool) {
	c.seen += int64(len(p))
	c.look(p, false)
	return c.seen - int64(len(c.held)), c.found
}

// End says whether the text, which is over, holds a secret.
func (c *Check) End() bool {
	c.look(nil, true)
	return c.found
}

func (c *Check) look(p []byte, final bool) {
	if c.t == nil || c.found {
		return
	}
	if len(c.held) > 0 {
		c.join = append(append(c.join[:0], c.held...), p...)
		p = c.join
	}
	end, hit := c.t.next(p, 0, final)
	c.found = hit != nil
	c.held = append(c.held[:0], p[end:]...)
}
