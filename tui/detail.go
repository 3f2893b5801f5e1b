package tui

import (
	"strconv"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// detailLabel is the width of "timing" and its gap.
const detailLabel = 9

// detailLines says everything about one call in at most height lines: what, why, what
// was sent, how long each part took, and the TOML that would cover it.
func detailLines(st *Styles, c *Call, cover string, now time.Time, width, height int) []string {
	d := details{st: st, width: width}
	d.title(c, now)
	d.say("why", why(c))
	if c.Phase != event.Note {
		d.say("sent", sent(c))
		d.say("timing", timing(c, now))
		d.say("size", fmtSize(c.Sent)+" sent, "+fmtSize(c.Received)+" received")
	}
	if c.Client != "" {
		d.say("client", c.Client)
	}
	if c.Code != "" {
		d.say("answer", "from agentvault itself, code "+c.Code)
	}
	d.cover(cover, height)
	if len(d.lines) > height {
		d.lines = d.lines[:height]
	}
	return d.lines
}

// details gathers labelled lines.
type details struct {
	st    *Styles
	width int
	lines []string
}

func (d *details) title(c *Call, now time.Time) {
	end := fmtStatus(c.Status) + " in " + fmtDuration(c.Duration)
	switch {
	case c.Phase == event.Note:
		end = clock(c.Time, now)
	case !c.Done:
		end = "under way for " + fmtDuration(c.elapsed(now).Truncate(time.Second))
	}
	method := "  " + c.method() + " "
	room := d.width - cells(method) - cells(end) - 4
	address := c.URL()
	if cells(address) > room {
		address = target(c.HostPort(), c.Path, room)
	}
	d.lines = append(d.lines, sides(d.st.in(strong, method+address), d.st.in(markOf(c.Verdict).tone, end)+"  ", d.width))
}

// say adds a labelled text, on two lines at most.
func (d *details) say(label, text string) {
	lines := wrapWords(text, d.width-2-detailLabel-2, 2)
	for i, line := range lines {
		name := ""
		if i == 0 {
			name = label
		}
		d.lines = append(d.lines, "  "+d.st.in(quietly, left(name, detailLabel))+line)
	}
}

// cover adds the TOML, as much of it as there is room for.
func (d *details) cover(toml string, height int) {
	if toml == "" {
		return
	}
	label := "cover"
	rows := strings.Split(toml, "\n")
	for i, row := range rows {
		if len(d.lines) == height-1 && i < len(rows)-1 {
			d.lines = append(d.lines, "  "+strings.Repeat(" ", detailLabel)+d.st.in(quietly, ellipsis+" y copies all of it"))
			return
		}
		text := strings.ReplaceAll(strings.TrimRight(row, "\r"), "\t", "  ")
		d.lines = append(d.lines, "  "+d.st.in(quietly, left(label, detailLabel))+
			d.st.in(accent, left(event.Escape(text), d.width-2-detailLabel-2)))
		label = ""
	}
}

// why is the reason of the verdict in a sentence.
func why(c *Call) string {
	if c.Reason != "" {
		return c.Reason
	}
	switch c.Verdict {
	case event.Injected:
		return "covered by " + c.Service
	case event.Passed:
		if c.Service != "" {
			return "covered by " + c.Service + ", which adds nothing here"
		}
		return "let through: no service, and no credential of its own"
	}
	return markOf(c.Verdict).word
}

// sent says which credential left, and which the agent had put there.
func sent(c *Call) string {
	var text string
	switch {
	case c.Verdict == event.Injected:
		text = "the credential of " + c.Service
		if c.Secret != "" {
			text += " (" + c.Secret + ")"
		}
		if c.Where != "" {
			text += " in " + c.Where
		}
	default:
		text = "no credential added"
	}
	switch c.Auth {
	case "":
		return text + "; the agent sent none of its own"
	case "placeholder":
		return text + "; the agent sent its placeholder"
	}
	return text + "; the agent sent its own: " + c.Auth
}

// timing splits the duration into its parts.
func timing(c *Call, now time.Time) string {
	t := c.Timing
	if t == nil {
		if !c.Done {
			return "under way since " + clock(c.Time, now)
		}
		return fmtDuration(c.Duration) + " in all"
	}
	var parts []string
	if t.Kept {
		parts = append(parts, "connection kept")
	} else {
		parts = append(parts, "name "+millis(t.Name), "connect "+millis(t.Connect), "tls "+millis(t.TLS))
	}
	return strings.Join(append(parts, "wait "+millis(t.Wait), "body "+millis(t.Body)+" ms"), "  ")
}

// millis writes d in milliseconds, rounded, with no unit: the parts are compared.
func millis(d time.Duration) string {
	return strconv.FormatInt(int64(d.Round(time.Millisecond)/time.Millisecond), 10)
}
