package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AnswerKeys are the keys that answer a Question, each right after the hotkey: once, for
// the session, always, deny. "a" is taken: it marks as read.
const AnswerKeys = "oswd"

// Question is a call that waits for leave. Its texts are escaped before they are drawn.
type Question struct {
	Method, Host, Path string
	// Endpoint is the path that an answer for longer than this call is for; "" where that
	// is Path.
	Endpoint string
	Reason   string        // who asks: "rule stripe asks for POST /v1/refunds"
	Calls    int           // that wait for this answer
	Waiting  int           // how many more questions wait behind it
	Left     time.Duration // until the answer is no
}

// Height is how many rows it takes at this width; none where nothing asks.
func (q *Question) Height(width int) int { return len(q.rows(new(Styles), hotkey, width)) }

// rows asks, in one row where it is wide enough, else in two. What is asked about keeps
// the room, what goes is who asks.
func (q *Question) rows(st *Styles, hotkey string, width int) []string {
	if q == nil {
		return nil
	}
	ask := "  ? allow"
	if q.Waiting > 0 && width >= 60 {
		ask += fmt.Sprintf(" (1 of %d)", q.Waiting+1)
	}
	method := "  " + safe(q.Method) + " "
	seconds := right(strconv.Itoa(int(max(q.Left, 0)/time.Second)), 5) + " s "
	times := ""
	if q.Calls > 1 {
		times = " ×" + strconv.Itoa(q.Calls)
	}
	keys := hotkey + " [o]nce [s]ession al[w]ays [d]eny"
	if width < 2+cells(keys) {
		keys = hotkey + " o/s/w/d"
	}
	reason := safe(q.Reason)
	if q.Endpoint != "" {
		reason = strings.TrimSuffix("s, w: "+safe(q.Endpoint)+"; "+reason, "; ")
	}
	room := width - cells(ask) - cells(method) - cells(times) - cells(seconds)
	full := cells(safe(q.Host) + safe(q.Path))
	if width >= 100 && q.Endpoint == "" && room-cells(keys)-2-full >= cells(reason)+5 {
		if reason != "" {
			reason = "   " + reason
		}
		line := st.in(warning, ask) + method + safe(q.Host) + safe(q.Path) + times + st.in(quietly, reason)
		return []string{sides(line, "  "+st.in(strong, keys)+st.in(quietly, seconds), width)}
	}
	if width < 60 {
		return q.narrow(st, ask+method, times+seconds, keys, width)
	}
	line := st.in(warning, ask) + method + target(safe(q.Host), safe(q.Path), min(room, full)) + times
	reason = left(reason, min(cells(reason), max(width-cells(keys)-7, 0)))
	return []string{
		sides(line, st.in(quietly, seconds), width),
		sides("    "+st.in(quietly, reason), "  "+st.in(strong, keys)+" ", width),
	}
}

// narrow gives the address a row of its own: whose host it is must be seen. What a longer
// answer is for stands beside the method.
func (q *Question) narrow(st *Styles, ask, end, keys string, width int) []string {
	first := st.in(warning, ask)
	if room := width - cells(ask) - cells(end) - 6; q.Endpoint != "" && room > 0 {
		first += st.in(quietly, "s, w: "+cutPath(safe(q.Endpoint), room))
	}
	return []string{
		sides(first, st.in(quietly, end), width),
		fill("  "+target(safe(q.Host), safe(q.Path), max(width-3, 1)), width),
		fill("  "+st.in(strong, keys), width),
	}
}
