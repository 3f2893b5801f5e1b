package config

import (
	"strconv"
	"strings"
	"time"
)

// Keeping says how long the logs of sessions that have ended are kept; zero bounds nothing.
type Keeping struct {
	Age time.Duration // since the last line
	MiB int64         // of all logs together; the oldest go first
}

// keeping reads [log], which only the user's own file may have: a file that came with a
// clone must not say when the user's logs go.
func (n node) keeping(kind Kind) (out Keeping) {
	n.subject = "log: "
	if kind != User {
		n.doc.add(n.keyPos(), "move it to "+FileName+" in your own configuration folder", "log: only your own file may say how long logs are kept")
		return out
	}
	keys, _ := n.table("keep", "keep_mib")
	if v, ok := keys["keep"]; ok {
		if s, ok := v.str(); ok {
			days, err := strconv.ParseUint(strings.TrimSuffix(s, "d"), 10, 16)
			if err != nil || days == 0 || !strings.HasSuffix(s, "d") {
				v.fail("", "keep: %s is no number of days (such as \"90d\")", word(s))
			}
			out.Age = time.Duration(days) * 24 * time.Hour
		}
	}
	if v, ok := keys["keep_mib"]; ok {
		mib, ok := v.v.(int64)
		if !ok || mib < 1 || mib > 1<<20 {
			v.fail("", "keep_mib: want a number of MiB, from 1 to %d", 1<<20)
		}
		out.MiB = mib
	}
	return out
}
