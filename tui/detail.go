package tui

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// detailLabel is the width of "request" and its gap.
const detailLabel = 9

// about is what there is to say of a call beside its event.
type about struct {
	cover    string        // the TOML that would cover it; "" for none
	may      bool          // c would write it
	standing event.Service // of its service; its Name is empty where that is not known
	head     event.Head
	headers  bool // head is known
	gone     bool // headers are kept, and those of this call are not
}

// detailLines says everything about one call: what, why, what was sent, how long each part
// took, the TOML that would cover it, and the headers of both directions.
func detailLines(st *Styles, c *Call, a about, now time.Time, width int) []string {
	d := details{st: st, width: width, most: keepText}
	whole := d.title(c, now)
	d.say("why", why(c, a))
	if c.Phase != event.Note && !c.closed() {
		d.say("sent", sent(c))
	}
	if c.Operation != "" {
		d.say("asks for", c.Operation)
	}
	if c.Code != "" {
		d.say("answer", "from agentvault itself, code "+c.Code)
	}
	if c.Phase != event.Note {
		d.say("timing", timing(c, now))
	}
	d.cover(a.cover, a.may)
	if !whole {
		d.say("address", c.URL())
	}
	if c.Phase != event.Note && c.Done { // it is counted at the end
		d.say("size", fmtSize(c.Sent)+" sent, "+fmtSize(c.Received)+" received")
	}
	d.say("client", c.Client)
	d.headers(c, a)
	return d.lines
}

// details gathers labelled lines.
type details struct {
	st    *Styles
	width int
	most  int // the lines that a text may take; 2 when 0
	lines []string
}

// title is what the call is and what became of it; it says no where the address was cut.
func (d *details) title(c *Call, now time.Time) (whole bool) {
	end := fmtStatus(c.Status) + " in " + fmtDuration(c.Duration)
	switch {
	case c.Phase == event.Note:
		end = clock(c.Time, now)
	case c.Verdict == event.Held:
		end = "waits for leave"
	case !c.Done:
		end = "under way for " + fmtDuration(c.elapsed(now).Truncate(time.Second))
	}
	if d.width < 60 { // no room for both on a row
		address := c.place() + c.WithOperation(c.Path)
		whole = cells(address) <= d.width-4
		d.lines = append(d.lines, sides(d.st.in(strong, "  "+c.method()), d.st.in(c.mark().tone, end)+"  ", d.width),
			"  "+d.st.in(strong, target(c.place(), c.WithOperation(c.Path), max(d.width-4, 1))))
		return whole
	}
	method := "  " + c.method() + " "
	room := d.width - cells(method) - cells(end) - 4
	address := c.URL()
	whole = cells(address) <= room
	if !whole {
		address = target(c.place(), c.WithOperation(c.Path), room)
	}
	d.lines = append(d.lines, sides(d.st.in(strong, method+address), d.st.in(c.mark().tone, end)+"  ", d.width))
	return whole
}

// heading is a title that is no call's.
func (d *details) heading(name, end string, t tone) {
	d.lines = append(d.lines, sides(d.st.in(strong, "  "+name), d.st.in(t, end)+"  ", d.width))
}

// say adds a labelled text; nothing where there is none.
func (d *details) say(label, text string) { d.text(label, text, plain) }

// warn is say for what is worth a look.
func (d *details) warn(label, text string) { d.text(label, "⚠ "+text, warning) }

func (d *details) text(label, text string, t tone) {
	if text == "" {
		return
	}
	for i, line := range wrapWords(text, max(d.width-2-detailLabel-2, 8), cmp.Or(d.most, 2)) {
		name := ""
		if i == 0 {
			name = label
		}
		d.lines = append(d.lines, "  "+d.st.in(quietly, left(name, detailLabel))+d.st.in(t, line))
	}
}

// cover adds the TOML, and behind its first row the keys that take it.
func (d *details) cover(toml string, may bool) {
	if toml == "" {
		return
	}
	label, keys := "cover", "y to copy  "
	if may {
		keys = "c to add, y to copy  "
	}
	for _, row := range tomlRows(toml, d.width-2-detailLabel-2) {
		line := "  " + d.st.in(quietly, left(label, detailLabel)) + d.st.in(accent, row)
		if label != "" && cells(line)+3+cells(keys) <= d.width {
			line = sides(line, d.st.in(quietly, keys), d.width)
		}
		d.lines = append(d.lines, line)
		label = ""
	}
}

// tomlRows is a TOML text in rows of at most width cells, all of it: what is written must be seen.
func tomlRows(toml string, width int) (rows []string) {
	for line := range strings.SplitSeq(toml, "\n") {
		text := event.Escape(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "  "))
		if cells(text) <= width {
			rows = append(rows, text)
			continue
		}
		for i, part := range wrapWords(text, max(width-4, 8), len(text)) {
			if i > 0 {
				part = "    " + part
			}
			rows = append(rows, part)
		}
	}
	return rows
}

// headers adds a line for each header. They are safe to draw: see looked.
func (d *details) headers(c *Call, a about) {
	if c.Phase == event.Note || c.closed() {
		return
	}
	if !a.headers {
		if a.gone && c.Done {
			d.text("headers", "not kept: those of the newest calls are, while somebody looks", quietly)
		}
		return
	}
	d.fields("request", a.head.Request)
	d.fields("response", a.head.Response)
	if a.head.More > 0 {
		d.text("", "and "+strconv.Itoa(a.head.More)+" lines more, which are not kept", quietly)
	}
}

func (d *details) fields(label string, fields []event.Field) {
	room := max(d.width-2-detailLabel-2, 8)
	for _, f := range fields {
		name := left(f.Name, min(cells(f.Name), room/2)) + ": "
		t := plain
		if strings.Contains(f.Value, "‹") {
			t = accent
		}
		value := left(f.Value, min(cells(f.Value), max(room-cells(name), 0)))
		d.lines = append(d.lines, "  "+d.st.in(quietly, left(label, detailLabel))+d.st.in(quietly, name)+d.st.in(t, value))
		label = ""
	}
}

// fit is the first lines, and in the last row how many more there are.
func (d *details) fit(height int) []string { return fitLines(d.st, d.lines, height, "") }

func fitLines(st *Styles, lines []string, height int, how string) []string {
	if len(lines) <= height || height <= 0 {
		return lines[:min(len(lines), max(height, 0))]
	}
	rest := len(lines) - height + 1
	more := "… " + strconv.Itoa(rest) + " more lines" + how
	return append(lines[:height-1:height-1], "  "+st.in(quietly, strings.Repeat(" ", detailLabel)+more))
}

// why is the rule that decided, in a sentence.
func why(c *Call, a about) string {
	if c.Service != "" && c.Verdict == event.Uncovered && len(a.standing.Allow) > 0 {
		return "host is covered by " + c.Service + ", which allows " + strings.Join(a.standing.Allow, ", ")
	}
	switch {
	case c.Verdict != event.Injected && c.Verdict != event.Passed, c.Service == "":
	case a.head.Rule != "":
		return "covered by " + c.Service + ", whose rule " + a.head.Rule + " allows it" + tailOf(c.Reason)
	case a.standing.Name != "" && len(a.standing.Allow) == 0:
		return "covered by " + c.Service + ", which allows everything" + tailOf(c.Reason)
	}
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
		return "let through: no service covers it, and that is allowed"
	}
	return c.mark().word
}

// tailOf puts a reason behind a sentence.
func tailOf(reason string) string {
	if reason == "" {
		return ""
	}
	return "; " + strings.TrimPrefix(reason, "covered, and ")
}

// sent says which credential left, and which the agent had put there.
func sent(c *Call) string {
	text := "no credential added"
	if c.Verdict == event.Injected {
		text = "the credential of " + c.Service
		var facts []string
		for _, f := range []string{c.Secret, c.Label, string(c.State)} {
			if f != "" {
				facts = append(facts, f)
			}
		}
		if len(facts) > 0 {
			text += " (" + strings.Join(facts, ", ") + ")"
		}
		if c.Where != "" {
			text += " in " + c.Where
		}
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
		if c.Sent+c.Received > 0 {
			return fmtDuration(c.Duration) + " in all"
		}
		return fmtDuration(c.Duration) + " in all; nothing was sent"
	}
	kept := ""
	switch {
	case t.Kept:
		kept = " (kept)"
	case t.Ahead:
		kept = " (ahead)"
	}
	return strings.Join([]string{"name " + millis(t.Name), "connect " + millis(t.Connect), "tls " + millis(t.TLS) + kept,
		"wait " + millis(t.Wait), "body " + millis(t.Body) + " ms"}, "  ")
}

// millis writes d in milliseconds, with a tenth below ten and no unit: the parts are
// compared.
func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return strings.TrimSuffix(strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64), ".0")
	}
	return strconv.FormatInt(int64(d.Round(time.Millisecond)/time.Millisecond), 10)
}

// endpointDetail says everything about one endpoint.
func endpointDetail(st *Styles, p *Endpoint, a about, width, height int) []string {
	d := details{st: st, width: width}
	m := markOf(p.Verdict)
	end := fmtCalls(p.Calls)
	if p.Status > 0 {
		end += ", last " + fmtStatus(p.Status)
	}
	method := cmp.Or(p.Method, "—") + " "
	if width < 60 { // no room for both on a row
		d.heading(method, end, m.tone)
		d.lines = append(d.lines, "  "+st.in(strong, target(p.HostPort(), p.Template, max(width-4, 1))))
	} else {
		d.heading(method+target(p.HostPort(), p.Template, max(width-cells(method)-cells(end)-6, 1)), end, m.tone)
	}
	c := p.asCall()
	d.say("why", why(c, a))
	switch p.Auth {
	case "":
		d.say("auth", "the agent sent no credential")
	case "placeholder":
		d.say("auth", "the agent sent its placeholder")
	default:
		d.say("auth", "the agent sent a credential of its own: "+p.Auth)
	}
	d.cover(a.cover, a.may)
	return d.fit(height)
}
