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
	// PartMiB is how large one file of a session's log grows; 0 is event.PartSize.
	PartMiB int64
}

// keeping reads [log], which only the user's own file may have: a file that came with a
// clone must not say when the user's logs go.
func (n node) keeping(kind Kind) (out Keeping) {
	n.subject = "log: "
	if kind != User {
		n.doc.add(n.keyPos(), "move it to "+FileName+" in your own configuration folder", "log: only your own file may say how long logs are kept")
		return out
	}
	keys, _ := n.table("keep", "keep_mib", "part_mib")
	if v, ok := keys["keep"]; ok {
		if s, ok := v.str(); ok {
			days, err := strconv.ParseUint(strings.TrimSuffix(s, "d"), 10, 16)
			if err != nil || days == 0 || !strings.HasSuffix(s, "d") {
				v.fail("", "keep: %s is no number of days (such as \"90d\")", word(s))
			}
			out.Age = time.Duration(days) * 24 * time.Hour
		}
	}
	out.MiB, out.PartMiB = mebibytes(keys, "keep_mib"), mebibytes(keys, "part_mib")
	return out
}

func mebibytes(keys map[string]node, name string) int64 {
	v, ok := keys[name]
	if !ok {
		return 0
	}
	mib, ok := v.v.(int64)
	if !ok || mib < 1 || mib > 1<<20 {
		v.fail("", "%s: want a number of MiB, from 1 to %d", name, 1<<20)
	}
	return mib
}
