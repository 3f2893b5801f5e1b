package tui

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// keepServices bounds the table: no real session comes near.
const keepServices = 200

// Service is what a service did in this session, as far as its calls have ended, and how
// the session stands with its secret.
type Service struct {
	Name     string
	Secret   string // the ref
	Where    string // the slot that was injected last
	Calls    uint64
	Injected uint64
	Refused  uint64 // denied or uncovered by its rules
	Failed   uint64
	Last     time.Time
	Trouble  string    // why the last call that failed, or was refused, did or was
	When     time.Time // of Trouble
	// Standing is what the session says of it; its Name is empty until it has.
	Standing event.Service
}

// services is the table in the order of first sight.
type services struct{ list []*Service }

func (t *services) count(e event.Event) {
	if e.Service == "" {
		return
	}
	v := t.find(e.Service)
	if v == nil {
		return
	}
	v.Calls++
	v.Last = e.Time
	switch e.Verdict {
	case event.Injected:
		v.Injected++
	case event.Denied, event.Uncovered:
		v.Refused++
		v.Trouble, v.When = e.Reason, e.Time
	case event.Failed:
		v.Failed++
		v.Trouble, v.When = e.Reason, e.Time
	}
	v.Secret = cmp.Or(e.Secret, v.Secret)
	v.Where = cmp.Or(e.Where, v.Where)
}

func (t *services) find(name string) *Service {
	for _, v := range t.list {
		if v.Name == name {
			return v
		}
	}
	if len(t.list) >= keepServices {
		return nil
	}
	v := &Service{Name: name}
	t.list = append(t.list, v)
	return v
}

// Services is the table in the order of first sight. It is the Store's own.
func (s *Store) Services() []*Service { return s.services.list }

// Stand takes in how the session stands with its services. Those that have not been used
// get a row too.
func (s *Store) Stand(now []event.Service) {
	for _, e := range now {
		v := s.services.find(safe(e.Name))
		if v == nil {
			continue
		}
		for _, text := range []*string{&e.Name, &e.Auth, &e.Ref, &e.Note, (*string)(&e.State)} {
			*text = safe(*text)
		}
		for _, list := range []*[]string{&e.Hosts, &e.Allow, &e.Deny, &e.Ask} {
			clean := make([]string, len(*list))
			for i, text := range *list {
				clean[i] = safe(text)
			}
			*list = clean
		}
		v.Standing = e
		v.Secret = cmp.Or(v.Secret, e.Ref)
	}
}

// standingOf is what the session says of a service; its Name is empty where it says nothing.
func (s *Store) standingOf(name string) event.Service {
	for _, v := range s.services.list {
		if v.Name == name {
			return v.Standing
		}
	}
	return event.Service{}
}

// secretState is how a service's secret is, as sign, words and tone.
func secretState(v *Service, now time.Time) (sign, words string, t tone) {
	s := &v.Standing
	switch s.State {
	case event.Missing:
		return "✕", "no value", warning
	case event.Aged:
		return "⚠", "stale, " + ago(s.Read, now), warning
	case event.Unread:
		return "○", "not read yet", quietly
	case event.Cached:
		words := "cached"
		if s.Leased {
			words = "leased"
		}
		if !s.Expires.IsZero() {
			left := s.Expires.Sub(now)
			if left <= 0 {
				return "⚠", words + ", over", warning
			}
			return "●", words + ", ends in " + until(left), accent
		}
		if now.Sub(s.Read) >= time.Minute {
			words += ", " + ago(s.Read, now)
		}
		return "●", words, accent
	}
	if v.Secret == "" && s.Name != "" {
		return "○", "no secret", quietly
	}
	return "·", "", quietly
}

// ago is how long something is past: 12m old. Numbers that race tell nothing.
func ago(t, now time.Time) string {
	if d := now.Sub(t).Truncate(time.Minute); d >= time.Minute {
		return inMinutes(d) + " old"
	}
	return "under 1m old"
}

// inMinutes is a duration of a minute or more, in whole minutes up to an hour: 8m, 1.5h.
func inMinutes(d time.Duration) string {
	if d < time.Hour {
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return fmtDuration(d.Truncate(time.Minute))
}

// until is how long something lasts; the last minute by the second.
func until(d time.Duration) string {
	if d > time.Minute {
		return inMinutes(d)
	}
	return fmtDuration(d.Truncate(time.Second))
}

// serviceColumns shares the width out: sign, name and calls stay.
type serviceColumns struct {
	name, state, calls, counts, last, secret, slot int
}

func serviceColumnsFor(width int) serviceColumns {
	c := serviceColumns{name: 14, calls: 7}
	flex := width - 4 - c.name - c.calls
	take := func(column *int, need, gap int) {
		if flex >= need+gap {
			*column = need
			flex -= need + gap
		}
	}
	take(&c.state, min(19, max(flex-1, 0)), 1)
	take(&c.last, clockWidth, 2)
	take(&c.counts, 27, 0)
	if flex >= 18 {
		take(&c.secret, min(flex-2, 36), 2)
	}
	if flex >= 16 {
		take(&c.slot, min(flex-2, 30), 2)
	}
	if flex > 0 {
		more := min(flex, 12)
		c.name += more
		flex -= more
		if c.secret > 0 {
			c.secret += min(flex, 60)
		}
	}
	return c
}

func (c serviceColumns) header(st *Styles) string {
	b := "    " + left("SERVICE", c.name) + behind(c.state, 1, left("STATE", c.state)) + right("CALLS", c.calls) +
		behind(c.counts, 0, right("INJECTED", 10)+right("REFUSED", 9)+right("FAILED", 8)) +
		behind(c.last, 2, left("LAST", c.last)) + behind(c.secret, 2, left("SECRET", c.secret)) + behind(c.slot, 2, left("SLOT", c.slot))
	return st.in(quietly, strings.TrimRight(b, " "))
}

func (c serviceColumns) row(st *Styles, v *Service, now time.Time, chosen bool) string {
	text := plain
	if chosen {
		text = strong
	}
	sign, words, t := secretState(v, now)
	b := pointer(st, chosen) + st.in(t, sign) + " " + st.in(text, left(v.Name, c.name)) + behind(c.state, 1, st.in(t, left(words, c.state)))
	n := func(x uint64, w int) string { return right(strconv.FormatUint(x, 10), w) }
	b += st.in(text, n(v.Calls, c.calls))
	if c.counts > 0 {
		refused, failed := text, text
		if v.Refused > 0 {
			refused = warning
		}
		if v.Failed > 0 {
			failed = warning
		}
		b += st.in(text, n(v.Injected, 10)) + st.in(refused, n(v.Refused, 9)) + st.in(failed, n(v.Failed, 8))
	}
	return b + behind(c.last, 2, st.in(quietly, left(cmp.Or(clock(v.Last, now), "—"), c.last))) +
		behind(c.secret, 2, st.in(quietly, pad(cut(cmp.Or(v.Secret, "—"), c.secret), c.secret))) +
		behind(c.slot, 2, st.in(quietly, pad(cut(cmp.Or(v.Where, "—"), c.slot), c.slot)))
}

// serviceDetail says everything about one service in at most height lines.
func serviceDetail(st *Styles, v *Service, now time.Time, width, height int) []string {
	d := details{st: st, width: width}
	s := &v.Standing
	_, words, t := secretState(v, now)
	d.heading(v.Name, words, t)
	if v.Secret != "" {
		d.say("secret", secretLine(v, now))
	}
	if s.Note != "" {
		d.warn("note", s.Note)
	}
	if len(s.Hosts) > 0 {
		d.say("hosts", strings.Join(s.Hosts, ", "))
	}
	d.say("slot", cmp.Or(v.Where, s.Auth))
	if s.Name != "" {
		d.say("allow", cmp.Or(strings.Join(s.Allow, ", "), "everything"))
	}
	d.say("deny", strings.Join(s.Deny, ", "))
	d.say("ask", strings.Join(s.Ask, ", "))
	if v.Trouble != "" {
		d.warn("trouble", clock(v.When, now)+"  "+v.Trouble)
	}
	return d.fit(height)
}

// secretLine is where the value comes from, since when it is there and until when.
func secretLine(v *Service, now time.Time) string {
	s := &v.Standing
	parts := []string{v.Secret}
	if !s.Read.IsZero() {
		parts = append(parts, "read at "+clock(s.Read, now))
	}
	if !s.Expires.IsZero() {
		what := "ends at "
		if s.Leased {
			what = "leased for this session, ends at "
		}
		parts = append(parts, what+s.Expires.In(now.Location()).Format("15:04:05"))
	}
	return strings.Join(parts, "; ")
}
